import Runtime

/// When to start the device for the frames that wait: at once, or some microseconds later together with more of them.
///
/// Starting it is a system call, and each start wakes the client once; with many busy clients a frame is always about to
/// follow, and waiting for it spares both sides work. With one client nothing can follow, since the client waits for this
/// very frame, and waiting would be pure delay. Which of the two it is, is measured: now and then a batch is held for a
/// trial, and holding goes on while it at least adds `worthwhile` frames to a batch on average.
struct KickPolicy {
    /// The longest that a frame is held.
    static let span = Nanoseconds.microseconds(10)
    /// As many frames are not held any longer: the kernel sends at most 32 in a call.
    static let enough = 32
    /// Frames that holding must add to a batch, on average.
    static let worthwhile = 2
    /// Batches between two trials while holding does not pay: what one client pays is a 256th of `span` on average.
    static let trialInterval = 256
    /// Fixed point: `gain` counts in sixteenths of a frame.
    private static let one = 16

    /// When the batch that is held began to wait; 0: none is held.
    private(set) var heldSince: Nanoseconds = 0
    /// Its frames at that time.
    private var heldAtFirst = 0
    /// Frames that holding added to a batch: a moving average over about four batches.
    private var gain = 0
    /// Batches until the next trial; not above 0 while a batch is held and while holding pays.
    private var untilTrial = Self.trialInterval

    var isHolding: Bool { heldSince != 0 }

    /// Whether to start the device for the `waiting` (> 0) frames now. Asked once a turn.
    @inline(__always)
    mutating func shouldKick(waiting: Int, now: Nanoseconds) -> Bool {
        untilTrial &-= 1
        return untilTrial > 0 || decide(waiting, now)
    }

    @inline(never)
    private mutating func decide(_ waiting: Int, _ now: Nanoseconds) -> Bool {
        if heldSince == 0 {
            if waiting >= Self.enough { return true }
            heldSince = now
            heldAtFirst = waiting
            return false
        }
        guard waiting >= Self.enough || now &- heldSince >= Self.span else { return false }
        gain &+= ((waiting &- heldAtFirst) &* Self.one &- gain) / 4
        heldSince = 0
        untilTrial = gain < Self.worthwhile * Self.one ? Self.trialInterval : 0
        return true
    }

    /// The frames leave without having been asked for: a shard that goes to sleep holds nothing.
    mutating func release() { heldSince = 0 }
}
