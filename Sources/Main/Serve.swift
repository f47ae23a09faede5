import App
import ArgumentParser
import Glibc
import Runtime

struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The server (the default).",
        usage: "apus [serve] [<file>.conf] [--<directive> <value> ...]",
        discussion: """
            Directives have redis.conf's names and syntax, in the file and on the command line alike; the command line \
            overrides the file. A file named - is the standard input.

            \(Config.help)
            """)

    @Argument(
        parsing: .captureForPassthrough,
        help: ArgumentHelp("A configuration file, and directives.", visibility: .hidden))
    var arguments: [String] = []

    func run() throws {
        // Captured arguments are not looked at by the parser.
        if let first = arguments.first {
            if first == "--help" || first == "-h" { throw CleanExit.helpRequest(self) }
            if first == "--version" || first == "-v" { throw CleanExit.message("apus \(Config.version)") }
        }
        let config = try Config.load(arguments: arguments)
        guard chdir(config.directory) == 0 else {
            throw Failure(text: "cannot change to the directory '\(config.directory)' (dir)")
        }
        StopSignals().block()
        throw ExitCode(try Server.run(config, configFile: config.file))
    }
}
