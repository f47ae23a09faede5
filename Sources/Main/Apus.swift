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

    /// ArgumentParser's `main` would say usage after every error; ours are sentences of their own.
    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let error as ExitCode {
            exit(withError: error)
        } catch let failure as Failure {
            // Redis's fatal errors of a file are several lines that speak for themselves.
            standardError((failure.text.hasPrefix("***") ? "\n" : "apus: ") + failure.text + "\n")
            exit(withError: ExitCode(1))
        } catch {
            exit(withError: error)
        }
    }
}

/// What goes wrong before or while the server runs: a sentence for the user.
struct Failure: Error {
    let text: String
}

func standardError(_ text: String) {
    var text = text
    text.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
}
