import App
import ArgumentParser
import Glibc

struct SimulateStack: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stack-sim",
        abstract: "Two of our TCP stacks over a line that does everything wrong, in virtual time.",
        discussion: """
            The line loses, repeats, delays, reorders, marks, divides and damages frames; the users read slowly, close \
            in any order, abort. Streams must arrive whole, both ends close, and nothing be left; the structure of both \
            stacks is checked on the way. A seed always gives the same run. Exit status 1: a run failed.
            """)

    @Option(help: "The first run's seed.")
    var seed: UInt64 = 1
    @Option(help: "How many runs, with consecutive seeds; 0: until somebody stops it.")
    var runs: UInt64 = 1
    @Option(help: "No new run begins after so many seconds; 0: no limit.")
    var seconds = 0
    @Option(help: "Turns between two checks of the structure.")
    var check = 4
    @Flag(help: "Say what each seed chose.")
    var verbose = false
    @Flag(help: "Show every segment.")
    var trace = false

    func validate() throws {
        guard check >= 1, seconds >= 0 else { throw ValidationError("Counts must be positive.") }
    }

    func run() throws {
        let end = seconds == 0 ? Int.max : time(nil) + seconds
        var (done, bytes, turns, virtual) = (UInt64(0), 0, 0, 0.0)
        var failed: [UInt64] = []
        while runs == 0 || done < runs, time(nil) < end, failed.count < 20 {
            let number = seed &+ done
            let result = StackSimulation.run(seed: number, checkEvery: check, trace: trace ? { print($0) } : nil)
            done += 1
            bytes += result.bytes
            turns += result.turns
            virtual += Double(result.time) / 1e9
            if verbose { print("seed \(number): \(result.turns) turns, \(result.bytes) bytes; \(result.setting)") }
            guard let failure = result.failure else { continue }
            failed.append(number)
            print(
                "seed \(number): \(failure)\n  to repeat: apus stack-sim --check 1 --seed \(number); \(result.setting)")
        }
        print("\(done) seeds from \(seed), \(bytes) bytes, \(turns) turns, \(Int(virtual)) s of virtual time")
        print("\(done - UInt64(failed.count)) passed, \(failed.count) failed")
        if !failed.isEmpty { throw ExitCode(1) }
    }
}
