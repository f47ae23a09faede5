import CLinux
import Glibc
import Net
import Runtime

/// The poll loop of the bare echo. It does what a shard's turn does with its link (`Shard.turn`), in the same order and
/// with the same rules for starting the device, and nothing else:
///
/// 1. one reading of the clock;
/// 2. a burst of up to 64 frames, answered where they lie;
/// 3. one start of the device for all that waits, held for some microseconds while that makes batches larger (`KickPolicy`);
/// 4. reclaim.
///
/// Between turns without work it looks at the receive ring alone. After `idleSpin` without a frame it sleeps on the link.
struct EchoLoop<L: Link, C: Clock>: ~Copyable {
    let link: L
    let clock: C
    var echo: FrameEcho
    private let received = FrameQueue(capacity: 64)
    /// Answers that wait for the device.
    private let answers = FrameQueue(capacity: 1024)
    private var kicks = KickPolicy()
    /// Reads of the receive ring, and sleeps in poll(2).
    private(set) var turns: UInt64 = 0
    private(set) var sleeps: UInt64 = 0
    /// Longer than a shard's: nothing that could be measured happens in a sleep, and the first frame ends it.
    private let idleSpin = Nanoseconds.milliseconds(5)

    init(link: L, clock: C, echo: FrameEcho) {
        self.link = link
        self.clock = clock
        self.echo = echo
    }

    deinit {
        while let frame = answers.pop() { link.pool.release(frame.frame) }
        received.deallocate()
        answers.deallocate()
    }

    /// Returns whether there was anything to do.
    mutating func turn(now: Nanoseconds) -> Bool {
        turns &+= 1
        // As many as there is room for answers: what the device cannot take waits in its own ring.
        let count = link.receive(into: received, limit: min(64, answers.room))
        if count > 0 { echo.answer(received, into: answers, of: link.pool) }
        var sent = 0
        if !answers.isEmpty, kicks.shouldKick(waiting: answers.count, now: now) { sent = link.transmit(from: answers) }
        link.reclaim()
        return count > 0 || sent > 0
    }

    /// Turns until `stopped`, which is asked at least every 50 ms.
    mutating func run(until stopped: () -> Bool) {
        var lastWork = clock.monotonic
        while !stopped() {
            let now = clock.monotonic
            if turn(now: now) {
                lastWork = now
            } else if answers.isEmpty, now &- lastWork > idleSpin {
                sleep()
                lastWork = clock.monotonic
            } else {
                watch()
            }
        }
        kicks.release()
        _ = link.transmit(from: answers)
    }

    /// Never inlined: in a profile, waiting must be told apart from working.
    @inline(never)
    private func watch() {
        for _ in 0..<32 {
            if link.hasReceived { return }
            apus_cpu_relax()
        }
    }

    private mutating func sleep() {
        sleeps &+= 1
        var wait = pollfd(fd: link.descriptor, events: Int16(POLLIN), revents: 0)
        _ = poll(&wait, 1, 50)
    }

    /// The counters, as one line of JSON.
    func report(seconds: Double) -> String {
        let (frames, answered) = (link.statistics, echo.statistics)
        let fields: [(String, UInt64)] = [
            ("frames_in", frames.receivedFrames), ("bytes_in", frames.receivedBytes),
            ("frames_out", frames.transmittedFrames), ("bytes_out", frames.transmittedBytes),
            ("datagrams", answered.datagrams), ("arp_replies", answered.arpReplies), ("ignored", answered.ignored),
            ("receive_drops", frames.receiveDrops), ("transmit_drops", frames.transmitDrops),
            ("kicks", frames.systemCalls), ("polls", turns), ("sleeps", sleeps),
        ]
        return "{\"tool\":\"apus echo\",\"driver\":\"\(link.driver)\",\"seconds\":\(seconds),"
            + fields.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}"
    }
}
