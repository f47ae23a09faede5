import Runtime

/// One direction of a bridge: frames from one link, impaired, to the other.
final class BridgeDirection {
    let source: PacketLink
    let target: PacketLink
    let impairment: Impairment
    /// From the first interface to the second.
    let isForward: Bool
    private(set) var statistics = ImpairmentStatistics()
    private(set) var watch = FlowWatch()

    private let pool: FramePool
    private var entropy: Entropy
    private var gate: RateGate
    /// Frames on their way, each with a reference (one that leaves twice has two).
    private var delayed = DelayQueue()
    /// What `source` has just received; empty between calls.
    private let fresh: FrameQueue
    /// When the last frame arrived: the two clocks disagree by a microsecond now and then, and frames keep their order.
    private var lastArrival: Nanoseconds = .min
    /// Frames that are due and that `target` had no room for.
    private let leaving: FrameQueue
    private let trace: FrameTrace?

    /// Frames that leave this much too early rather than wake the processor once more.
    static let tolerance: Nanoseconds = .microseconds(20)
    /// Frames that one turn takes in, and gives out: neither direction waits long for the other.
    private static let burst = 128

    init(
        from source: PacketLink, to target: PacketLink, isForward: Bool, _ impairment: Impairment, entropy: Entropy,
        trace: FrameTrace?
    ) {
        self.source = source
        self.target = target
        self.isForward = isForward
        self.impairment = impairment
        self.entropy = entropy
        self.trace = trace
        pool = source.pool
        gate = RateGate(impairment)
        fresh = FrameQueue(capacity: Self.burst)
        leaving = FrameQueue(capacity: 2 * Self.burst)
    }

    deinit {
        fresh.deallocate()
        leaving.deallocate()
    }

    /// When this direction has to do something if nothing arrives.
    var nextDue: Nanoseconds { leaving.isEmpty ? delayed.nextDue : .min }

    /// Takes in what has arrived. `realTime` is CLOCK_REALTIME at the instant `now`, in nanoseconds. True if the burst
    /// was full, so that more may wait.
    func receive(now: Nanoseconds, realTime: Int64) -> Bool {
        let count = source.receive(into: fresh, limit: Self.burst)
        while let frame = fresh.pop() {
            // The clocks are not read at the same instant, and the real one may be set.
            let age = min(max(0, realTime &- pool.info(frame.frame).pointee.stamp), .milliseconds(100))
            lastArrival = max(lastArrival, now &- age)
            pass(frame, arrival: lastArrival)
        }
        return count == Self.burst
    }

    /// Gives out what is due. True if there was more than one burst of it.
    func transmit(now: Nanoseconds) -> Bool {
        while leaving.room > 0, let (frame, due) = delayed.popDue(now &+ Self.tolerance) {
            let lateness = max(0, now &- due)
            statistics.worstLateness = max(statistics.worstLateness, lateness)
            statistics.totalLateness &+= lateness
            leaving.append(frame)
        }
        if !leaving.isEmpty { statistics.sent &+= UInt64(target.transmit(from: leaving)) }
        return leaving.room == 0 || delayed.nextDue <= now
    }

    /// One frame through everything that may happen to it.
    private func pass(_ frame: FrameDescriptor, arrival: Nanoseconds) {
        let bytes = pool.address(frame.frame) + Int(frame.offset)
        let length = Int(frame.length)
        let segment = SeenSegment(frame: bytes, length: length)
        statistics.frames &+= 1
        statistics.bytes &+= UInt64(length)
        if let segment { watch.see(segment) }
        let fate = FrameFate(impairment, &entropy)
        func tell(_ text: @autoclosure () -> String) {
            guard let trace else { return }
            trace.write(
                at: arrival, forward: isForward, frame: bytes, length: length, segment: segment, fate: text())
        }
        if fate.isLost {
            statistics.lost &+= 1
            tell("lost")
            return pool.release(frame.frame)
        }
        guard let passed = gate.pass(bytes: length, arrival: arrival) else {
            statistics.tailDrops &+= 1
            tell("tail")
            return pool.release(frame.frame)
        }
        let flips = fate.flip != nil && length > 34 && UnsafeRawPointer(bytes).big16(12) == EtherType.ipv4
        tell(
            fate.holdBack > 0
                ? "late \(fate.holdBack / 1000)" : flips ? "corrupt" : fate.isDuplicated ? "twice" : "ok")
        if flips, let flip = fate.flip { damage(bytes, length, flip) }
        if fate.holdBack > 0 { statistics.reordered &+= 1 }
        let due = passed &+ impairment.delay &+ fate.holdBack
        delayed.insert(frame, due: due)
        if fate.isDuplicated {
            statistics.duplicated &+= 1
            pool.retain(frame.frame)
            delayed.insert(frame, due: due)
        }
        statistics.highestOccupancy = max(statistics.highestOccupancy, delayed.count)
    }

    private func damage(_ frame: UnsafeMutableRawPointer, _ length: Int, _ flip: UInt32) {
        statistics.corrupted &+= 1
        let header = Ethernet.headerLength
        let inHeader = flip & 15 == 0
        let start = inHeader ? 0 : header * 8
        let bits = inHeader ? header * 8 : (length - header) * 8
        let bit = start + Int(flip >> 4) % bits
        frame.put8(UnsafeRawPointer(frame).byte(bit / 8) ^ 1 << UInt8(bit % 8), bit / 8)
    }

    /// Gives back every frame that is still on its way.
    func drain() {
        while let (frame, _) = delayed.popDue(.max) { pool.release(frame.frame) }
        while let frame = leaving.pop() { pool.release(frame.frame) }
    }
}
