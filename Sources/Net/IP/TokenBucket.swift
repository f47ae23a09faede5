import Runtime

/// A bound on how often something is done: `burst` at once, one each `interval` in the long run. O(1), no timer.
struct TokenBucket {
    let interval: Nanoseconds
    let burst: Int64
    /// When the bucket will be full again; it is full when that is past. At most `burst * interval` ahead.
    private var fullAt: Nanoseconds = 0

    init(interval: Nanoseconds, burst: Int64) {
        self.interval = interval
        self.burst = burst
    }

    /// Takes a token; false when there is none.
    mutating func take(_ now: Nanoseconds) -> Bool {
        let base = max(fullAt, now)
        guard base &- now <= interval &* (burst &- 1) else { return false }
        fullAt = base &+ interval
        return true
    }
}
