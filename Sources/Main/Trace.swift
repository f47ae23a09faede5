import App
import ArgumentParser

struct Trace: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Follows one command through a running server, step by step.",
        discussion: """
            Sends the command over a kernel socket, with tracing on for this client alone, and prints when each step was \
            done: nanoseconds since the first, and since the one before. The server must allow DEBUG to this client (the \
            directive enable-debug-command).
            """)

    @Argument(help: ArgumentHelp("The server, as host:port.", valueName: "host:port"))
    var server: String
    @Argument(parsing: .captureForPassthrough, help: "The command and its arguments (PING).")
    var command: [String] = []
    @Option(help: "How often the command is sent; the last time is shown.")
    var `repeat` = 1
    @Option(help: "The password that the server requires.")
    var password: String?

    func validate() throws {
        guard `repeat` >= 1 else { throw ValidationError("The command must be sent once at least.") }
        guard server.contains(":") else { throw ValidationError("'\(server)' is not host:port.") }
    }

    func run() throws {
        let colon = server.lastIndex(of: ":")!
        let host = server[..<colon].trimmingPrefix("[")
        let client = try TraceClient(
            host: String(host.hasSuffix("]") ? host.dropLast() : host),
            port: String(server[server.index(after: colon)...]))
        if let password { try client.authenticate([password]) }
        let (timeline, reply) = try client.trace(command.isEmpty ? ["PING"] : command, repeats: `repeat`)
        guard !timeline.isEmpty else { throw Failure(text: "the server recorded nothing of this client") }
        print(timeline.text, terminator: "")
        print("reply: \(reply.count > 200 ? reply.prefix(200) + "..." : reply)")
    }
}
