import CLinux
import Glibc
import Runtime

/// A load generator's loop, as `LoadRunner` runs it in real time.
protocol LoadLoop: AnyObject {
    /// The time of the last turn.
    var now: Nanoseconds { get }
    var failure: BenchError? { get }
    var state: BenchState { get }
    var recorder: BenchRecorder { get }
    /// How many connections are open, and how many shall be.
    var openings: (open: Int, wanted: Int) { get }
    /// A reply is due.
    var isWaiting: Bool { get }
    /// When the next turn is due even if nothing arrives.
    var nextDeadline: Nanoseconds { get }
    func turn() -> Bool
    /// Sleeps until something arrives, at most until then.
    func wait(until deadline: Nanoseconds)
}

/// Gives turns to a loop until something has come about, shows its progress, and stops at SIGINT and SIGTERM (which are
/// blocked in the calling thread).
final class LoadRunner<Loop: LoadLoop> {
    private let loop: Loop
    private let progress: BenchProgress
    /// For a sentence.
    private let server: String
    private(set) var isStopped = false
    private let signals = StopSignals()
    /// Signals are looked at, and progress is shown, at this time.
    private var nextLook: Nanoseconds = 0

    /// For so long after something was done the loop looks again at once; then it lets others have the core between looks,
    /// and then it sleeps.
    private static var spin: Nanoseconds { .microseconds(50) }
    private static var yielding: Nanoseconds { .milliseconds(2) }
    /// Without a reply for so long, a load is given up.
    private static var patience: Nanoseconds { .seconds(30) }

    init(_ loop: Loop, _ settings: BenchSettings) {
        self.loop = loop
        server = "\(settings.host):\(settings.port)"
        progress = BenchProgress(isShown: settings.showsProgress ?? (isatty(STDERR_FILENO) == 1))
    }

    /// - Parameter name: of the test under way; nil while connecting.
    func turns(until done: (Loop) -> Bool, shows name: String? = nil) throws(BenchError) {
        var lastWork = loop.now
        nextLook = 0
        while !done(loop) {
            let worked = loop.turn()
            if loop.now >= nextLook {
                look(name)
                if name != nil, let silence { throw silence }
            }
            if let failure = loop.failure { throw failure }
            if isStopped { break }
            if worked {
                lastWork = loop.now
            } else if loop.now - lastWork < Self.spin {
                apus_cpu_relax()
            } else {
                rest(since: lastWork)
            }
        }
        progress.clear()
        if isStopped, name == nil { throw BenchError("Stopped before anything was measured.") }
    }

    /// Nothing happens at present.
    private func rest(since lastWork: Nanoseconds) {
        guard loop.now - lastWork > Self.yielding else {
            sched_yield()
            return
        }
        // Waiting has a grain of a millisecond: what is due sooner is waited for awake.
        let deadline = min(loop.nextDeadline, loop.now + .milliseconds(10))
        if deadline - loop.now > .milliseconds(2) {
            loop.wait(until: deadline - .milliseconds(1))
        } else {
            sched_yield()
        }
    }

    /// Ten times a second.
    private func look(_ name: String?) {
        nextLook = loop.now + .milliseconds(100)
        if signals.hasCome() { isStopped = true }
        guard let name else { return progress.connecting(loop.openings.open, of: loop.openings.wanted, now: loop.now) }
        progress.show(name, loop.recorder, now: loop.now)
    }

    /// A sentence when a reply has been due for too long.
    private var silence: BenchError? {
        guard loop.isWaiting, loop.now - loop.state.lastReply > Self.patience else { return nil }
        return BenchError("\(server) has not answered for \(Self.patience / 1_000_000_000) seconds.")
    }
}
