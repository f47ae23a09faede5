import App
import ArgumentParser
import Glibc

@main
struct Apus: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apus",
        abstract: "A Redis-compatible in-memory database on its own TCP/IP stack.",
        discussion: "Without a subcommand: serve. `apus serve --help` lists the directives.",
        version: "apus \(Config.version)",
        subcommands: [
            Serve.self, BenchCommand.self, Simulate.self, SimulateStack.self, Trace.self, Bridge.self, Echo.self,
        ],
        defaultSubcommand: Serve.self)

    /// ArgumentParser's `main` would say usage after every error; those that our code throws are sentences of their own.
    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let status as ExitCode {
            exit(withError: status)
        } catch {
            // The parser's own (help, a wrong option) have other statuses.
            guard exitCode(for: error) == .failure else { exit(withError: error) }
            let text = "\(error)"
            // Redis's fatal errors of a file are several lines that speak for themselves.
            standardError((text.hasPrefix("***") ? "\n" : "apus: ") + text + "\n")
            exit(withError: ExitCode(1))
        }
    }
}

/// What goes wrong before or while the server runs: a sentence for the user.
struct Failure: Error, CustomStringConvertible {
    let text: String
    var description: String { text }
}

func standardError(_ text: String) {
    var text = text
    text.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

func standardOutput(_ text: String) {
    var text = text
    text.withUTF8 { _ = write(STDOUT_FILENO, $0.baseAddress, $0.count) }
}
