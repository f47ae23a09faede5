import Runtime

/// What one direction of a `LossyBridge` does to the frames that cross it. Probabilities are for each frame, 0...1.
public struct Impairment: Sendable {
    /// From arrival at the bridge to departure, one way: a round trip takes it once for each direction.
    public var delay: Nanoseconds = 0
    public var loss = 0.0
    /// The frame leaves twice, the copy right behind it.
    public var duplication = 0.0
    /// One random bit of an IPv4 frame is flipped: behind the Ethernet header, and of every sixteenth such frame in it.
    /// ARP is spared, because it has no checksum of its own (a real cable has one for the frame).
    public var corruption = 0.0
    /// The frame is held back for a random time of up to `reorderSpan` beyond `delay`, so that others overtake it.
    public var reordering = 0.0
    public var reorderSpan: Nanoseconds = .milliseconds(2)
    /// Bits a second of the slowest link on the way, Ethernet headers counted; 0 is no limit.
    public var rate: Int64 = 0
    /// Frames that may wait for the slowest link; what comes on top is dropped, as a router does (tail drop).
    public var queueLimit = 1000
    public init() {}
}

/// Counters of one direction since the start.
public struct ImpairmentStatistics: Sendable {
    /// Frames that came in, and their bytes.
    public var frames: UInt64 = 0
    public var bytes: UInt64 = 0
    public var sent: UInt64 = 0
    public var lost: UInt64 = 0
    public var duplicated: UInt64 = 0
    public var corrupted: UInt64 = 0
    public var reordered: UInt64 = 0
    /// Dropped because `queueLimit` frames waited for the rate.
    public var tailDrops: UInt64 = 0
    /// The most frames that were on their way at a time.
    public var highestOccupancy = 0
    /// The most that a frame left later than it should have, and the sum over all frames, in nanoseconds.
    public var worstLateness: Nanoseconds = 0
    public var totalLateness: Nanoseconds = 0
    public init() {}
}

/// What becomes of one frame. Each frame draws the same number of random values whatever happens to it, so a seed always
/// gives the n-th frame of a direction the same fate.
struct FrameFate {
    var isLost = false
    var isDuplicated = false
    /// Uniform in 0..<2^32 when a bit is to be flipped.
    var flip: UInt32?
    var holdBack: Nanoseconds = 0

    init(_ impairment: Impairment, _ entropy: inout Entropy) {
        isLost = entropy.chance(impairment.loss)
        isDuplicated = entropy.chance(impairment.duplication)
        let isCorrupted = entropy.chance(impairment.corruption)
        let position = UInt32(truncatingIfNeeded: entropy.next() >> 32)
        if isCorrupted { flip = position }
        let isReordered = entropy.chance(impairment.reordering)
        let hold = Nanoseconds(entropy.next(below: Int(max(1, impairment.reorderSpan))))
        if isReordered { holdBack = 1 &+ hold }
    }
}

/// The slowest link of a direction: frames pass one after the other, each taking its length over the rate.
struct RateGate {
    /// 0: no limit.
    private let rate: Int64
    private let limit: Int
    /// When each frame that waits will have passed, oldest first: a ring of `limit` places.
    private var departures: [Nanoseconds]
    private var first = 0
    private var waiting = 0
    private var busyUntil: Nanoseconds = .min

    init(_ impairment: Impairment) {
        rate = impairment.rate
        limit = max(1, impairment.queueLimit)
        departures = rate > 0 ? Array(repeating: 0, count: limit) : []
    }

    /// When a frame that arrives now has passed; nil when too many wait already.
    mutating func pass(bytes: Int, arrival: Nanoseconds) -> Nanoseconds? {
        guard rate > 0 else { return arrival }
        while waiting > 0, departures[first] <= arrival {
            first = (first + 1) % limit
            waiting -= 1
        }
        guard waiting < limit else { return nil }
        busyUntil = max(busyUntil, arrival) &+ Int64(bytes) &* 8_000_000_000 / rate
        departures[(first + waiting) % limit] = busyUntil
        waiting += 1
        return busyUntil
    }
}
