import Runtime

/// An Ethernet switch in memory, for tests, simulation and instruction counts: links attached to it exchange frames by
/// hardware address, in virtual time, with faults drawn from seeded entropy. Links with the same hardware address are
/// the queues of one device: flows are spread over them by a hash of addresses and ports, as RSS does.
public final class MemoryWire {
    /// What happens to frames on the wire. Probabilities are per frame, 0...1.
    public struct Faults: Sendable {
        public var loss = 0.0
        public var duplication = 0.0
        /// One random bit of the frame is flipped.
        public var corruption = 0.0
        /// The frame is held back by a random time of up to `reorderSpan`.
        public var reordering = 0.0
        public var reorderSpan: Nanoseconds = .milliseconds(2)
        /// Time from `transmit` to `receive`; 0 delivers within `transmit` itself.
        public var delay: Nanoseconds = 0
        public init() {}
    }
    /// May be changed at any time; frames already on the wire are not touched.
    public var faults: Faults

    public init(entropy: Entropy, faults: Faults = Faults(), now: Nanoseconds) {
        self.faults = faults
    }

    /// A new link, whose received frames are taken from `pool` (which stays the caller's).
    public func attach(hardwareAddress: MACAddress, pool: FramePool, mtu: Int = 1500) -> MemoryLink { fatalError() }

    /// Delivers the frames that are due and makes `now` the time of later transmissions.
    public func advance(now: Nanoseconds) { fatalError() }

    /// When the next frame on the wire is due; nil when the wire is empty.
    public var nextDeadline: Nanoseconds? { fatalError() }
}

/// One end of a `MemoryWire`.
public final class MemoryLink: Link {
    public let pool: FramePool
    public let hardwareAddress: MACAddress
    public let mtu: Int
    public let descriptor: Int32 = -1
    public internal(set) var statistics = LinkStatistics()
    public let driver = "memory"

    init(hardwareAddress: MACAddress, pool: FramePool, mtu: Int) {
        self.hardwareAddress = hardwareAddress
        self.pool = pool
        self.mtu = mtu
    }

    public func receive(into queue: FrameQueue, limit: Int) -> Int { fatalError() }
    public func transmit(from queue: FrameQueue) -> Int { fatalError() }
    public func reclaim() {}
    public func close() {}
}
