import CLinux
import Glibc
import Runtime

/// A bad network between two Ethernet interfaces, in user space: whatever arrives on one leaves on the other, delayed,
/// lost, repeated, damaged or overtaken as a seed decides. For kernels without netem, and for runs that can be repeated.
///
/// One thread. A frame is due its delay after the instant at which the kernel saw it, so the bridge may sleep for as long
/// as the shortest delay without looking at the interfaces, and is still exact; it is idle when nothing is on its way.
public final class LossyBridge {
    private let first: PacketLink
    private let second: PacketLink
    private let forward: BridgeDirection
    private let backward: BridgeDirection
    private let pool: FramePool
    private let trace: FrameTrace?
    private let clock = SystemClock()
    private let started: Nanoseconds

    /// Frames that both directions may hold together. What arrives beyond waits in the interfaces' rings, whose overruns
    /// the kernel counts.
    private static let frames = 32_768
    private static let slots = 4_096

    /// - Parameters:
    ///   - forward: what happens from `first` to `second`.
    ///   - backward: the other way.
    ///   - trace: a file that gets a line for each frame.
    public init(
        _ first: Interface, _ second: Interface, forward: Impairment, backward: Impairment, seed: UInt64,
        trace path: String? = nil
    ) throws(LinkError) {
        pool = FramePool(count: Self.frames, frameSize: 2048)
        started = clock.monotonic
        trace = if let path { try FrameTrace(path: path, now: started) } else { nil }
        self.first = try PacketLink(first, address: nil, pool: pool, slots: Self.slots)
        self.second = try PacketLink(second, address: nil, pool: pool, slots: Self.slots)
        var entropy = Entropy(seed: seed)
        self.forward = BridgeDirection(
            from: self.first, to: self.second, isForward: true, forward, entropy: Entropy(seed: entropy.next()),
            trace: trace)
        self.backward = BridgeDirection(
            from: self.second, to: self.first, isForward: false, backward, entropy: Entropy(seed: entropy.next()),
            trace: trace)
    }

    /// Carries frames until `stopped` says so; it is asked at least every 20 ms.
    public func run(until stopped: () -> Bool) {
        apus_exact_timers()
        while !stopped() {
            let now = clock.monotonic
            let realTime = clock.unixMicroseconds &* 1000
            var busy = forward.receive(now: now, realTime: realTime)
            if backward.receive(now: now, realTime: realTime) { busy = true }
            if forward.transmit(now: now) { busy = true }
            if backward.transmit(now: now) { busy = true }
            first.reclaim()
            second.reclaim()
            if !busy { rest() }
        }
        trace?.flush()
    }

    /// Sleeps until a frame is due or one may have arrived that is due soon.
    private func rest() {
        let due = min(forward.nextDue, backward.nextDue)
        guard due < .max else {
            var files = [
                pollfd(fd: first.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: second.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            _ = poll(&files, 2, 20)
            return
        }
        // Who arrives meanwhile is not due before the end of it. Short, so that the rings cannot fill up.
        let shortest = min(forward.impairment.delay, backward.impairment.delay)
        let blind = min(max(shortest, .microseconds(30)), .milliseconds(1))
        let wait = min(due &- clock.monotonic, blind)
        guard wait > BridgeDirection.tolerance else { return }
        var span = timespec(tv_sec: 0, tv_nsec: Int(wait))
        nanosleep(&span, nil)
    }

    /// The counters, as one line of JSON.
    public var report: String {
        let seconds = Double(clock.monotonic &- started) / 1e9
        return "{\"seconds\":\(seconds),\"frames_lowest_free\":\(pool.lowestFree),"
            + "\"forward\":\(Self.report(forward)),\"backward\":\(Self.report(backward))}"
    }

    private static func report(_ direction: BridgeDirection) -> String {
        let counters = direction.statistics
        let watch = direction.watch
        let meanLateness = counters.totalLateness / Int64(max(1, counters.sent)) / 1000
        let fields: [(String, UInt64)] = [
            ("frames", counters.frames), ("bytes", counters.bytes), ("sent", counters.sent), ("lost", counters.lost),
            ("duplicated", counters.duplicated), ("corrupted", counters.corrupted),
            ("reordered", counters.reordered), ("tail_drops", counters.tailDrops),
            ("ring_drops", direction.source.statistics.receiveDrops),
            ("transmit_drops", direction.target.statistics.transmitDrops),
            ("highest_occupancy", UInt64(counters.highestOccupancy)),
            ("worst_lateness_us", UInt64(counters.worstLateness / 1000)), ("mean_lateness_us", UInt64(meanLateness)),
            ("tcp_segments", watch.segments), ("tcp_octets", watch.octets),
            ("tcp_resent_segments", watch.resentSegments), ("tcp_resent_octets", watch.resentOctets),
        ]
        return "{" + fields.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}"
    }

    public func close() {
        forward.drain()
        backward.drain()
        first.close()
        second.close()
        pool.deallocate()
    }
}
