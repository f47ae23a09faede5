import App
import ArgumentParser

struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sim", abstract: "The whole server under simulated faults and virtual time.")

    @Argument(parsing: .captureForPassthrough)
    var arguments: [String] = []

    func run() throws {
        throw ExitCode(Simulation.main(arguments: arguments))
    }
}
