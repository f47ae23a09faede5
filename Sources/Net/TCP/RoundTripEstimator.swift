import Runtime

/// Retransmission timeout from round-trip samples (RFC 6298 2). Fixed point: microseconds, scaled as in Jacobson's paper.
struct RoundTripEstimator {
    /// SRTT * 8; 0 before the first sample.
    private(set) var smoothed: UInt32 = 0
    /// RTTVAR * 4; before the first sample: the timeout to start with (RFC 6298 2.1).
    private(set) var variation: UInt32 = 1_000_000

    /// RFC 6298 2.5: the upper bound.
    static let maximum: Nanoseconds = .seconds(60)

    init() {}

    /// Takes a sample of a segment that was sent once (Karn's rule is the caller's).
    @inline(__always) mutating func sample(_ span: Nanoseconds) {
        // In four bytes up to four seconds, which is nearly always: a cheaper division.
        let r =
            UInt64(bitPattern: span) <= UInt64(UInt32.max)
            ? UInt32(truncatingIfNeeded: span) / 1_000
            : UInt32(truncatingIfNeeded: min(max(span, 1_000), .seconds(60)) / 1_000)
        if smoothed == 0 {
            smoothed = max(r, 1) << 3
            variation = max(r, 1) << 1
            return
        }
        let srtt = smoothed >> 3
        let error = r > srtt ? r &- srtt : srtt &- r
        variation = variation &- (variation >> 2) &+ error
        // Never 0 again: what is taken away is at most an eighth.
        smoothed = smoothed &- srtt &+ r
    }

    /// SRTT in whole milliseconds.
    var milliseconds: UInt32 { (smoothed >> 3 &+ 500) / 1_000 }

    /// Whether SRTT + 4 * RTTVAR is at most `microseconds`.
    @inline(__always) func isWithin(microseconds: UInt32) -> Bool { smoothed >> 3 &+ variation <= microseconds }

    /// SRTT + 4 * RTTVAR, not below `floor`; without backoff.
    @inline(__always) func timeout(floor: Nanoseconds) -> Nanoseconds {
        min(max(Nanoseconds(smoothed >> 3 &+ variation) &* 1_000, floor), Self.maximum)
    }

    /// The timeout after `backoff` expirations: doubled each time (RFC 6298 5.5), bounded.
    func timeout(floor: Nanoseconds, backoff: UInt8) -> Nanoseconds {
        let base = timeout(floor: floor)
        return backoff >= 16 ? Self.maximum : min(base << Int64(backoff), Self.maximum)
    }

    /// RFC 6298 5.7: after a lost SYN data starts with three seconds.
    mutating func startOverAfterLostSyn() {
        smoothed = 0
        variation = 3_000_000
    }
}
