/// CUBIC (RFC 9438) as plain arithmetic: bytes and milliseconds in, a congestion window out. Everything is whole numbers, so
/// that a run gives the same on every machine. One value describes one stage of congestion avoidance:
///
///     W_cubic(t) = C * (t - K)^3 + W_max        C = 0.4 segments a second cubed (RFC 9438 5.1)
///
/// beside the window that Reno would have with CUBIC's decrease, W_est (4.3); the larger of the two is the window.
struct CubicState: BitwiseCopyable {
    /// The multiplicative decrease, 0.7 (RFC 9438 4.6), in tenths.
    static let betaTenths: UInt64 = 7
    /// Cube of milliseconds that makes a segment: 1 / C.
    static let cubePerSegment: UInt64 = 2_500_000_000
    /// alpha_cubic = 3 * (1 - beta) / (1 + beta) = 9/17 (RFC 9438 4.3).
    static let alphaNumerator: UInt64 = 9
    static let alphaDenominator: UInt64 = 17
    /// Fractions of a byte are kept in 1/1024.
    static let fraction: UInt64 = 10
    /// Farther from K the cube is taken as if it were here; far beyond the largest window.
    static let farthest = 1 << 20

    /// Until anything was lost, the window grows by a twentieth each round trip at least, as Linux does it (not in RFC 9438):
    /// HyStart++ may have ended slow start for round trips that were long by chance, and from W_max = cwnd the curve would
    /// need many seconds to where the path is full.
    static let untoldDivisor: UInt32 = 20

    /// False: the stage has not begun; the other fields mean nothing.
    var isRunning = false
    /// t: milliseconds of the stage during which the window was in use (RFC 9438 4.2, 5.8).
    var elapsed: UInt32 = 0
    /// Milliseconds until the curve is at its plateau.
    var k: UInt32 = 0
    /// The plateau in bytes: W_max, or the window at the beginning when that was above it.
    var plateau: UInt32 = 0
    /// W_est in 1/1024 bytes; >= the window at the beginning.
    var estimate: UInt64 = 0
    /// 1/1024 bytes that the window is owed; < 1024.
    var owed: UInt32 = 0
    /// cwnd_prior: the window at the last event, from which on W_est grows as fast as Reno's. Survives the stages.
    var prior: UInt32 = 0

    /// No event has told of the path yet, or the timeout made it forgotten.
    var isUntold = false

    /// A stage begins with a window of `cwnd` bytes; `wMax` is the window before the last event, 0 when there was none or it
    /// was a timeout (4.8). Both become the plateau then, as the RFC wants it (4.8, 4.10).
    mutating func begin(cwnd: UInt32, mss: UInt32, wMax: inout UInt32) {
        isRunning = true
        elapsed = 0
        owed = 0
        estimate = UInt64(cwnd) &<< Self.fraction
        isUntold = wMax == 0
        // After idleness W_max is all that is known of the window before.
        if prior == 0 { prior = wMax }
        if cwnd >= wMax {
            wMax = cwnd
            k = 0
        } else {
            // At most 2^30 * 2.5e9 < 2^63.
            k = UInt32(cubeRoot(UInt64(wMax &- cwnd) &* Self.cubePerSegment / UInt64(mss)))
        }
        plateau = wMax
    }

    /// W_cubic in bytes at `milliseconds` of the stage; may be below zero only for an absurd K.
    func window(at milliseconds: Int, mss: UInt32) -> Int {
        let d = max(-Self.farthest, min(Self.farthest, milliseconds &- Int(k)))
        // d^3 <= 2^60; in thousands it has room for the segment's size.
        return Int(plateau) &+ (d &* d &* d / 1_000) &* Int(mss) / Int(Self.cubePerSegment / 1_000)
    }

    /// New data was acknowledged: the window afterwards. `acked`, `cwnd` > 0 and `mss` in bytes, `roundTrip` in milliseconds.
    mutating func grown(cwnd: UInt32, acked: UInt32, mss: UInt32, roundTrip: UInt32) -> UInt32 {
        let grown = grownByFormula(cwnd: cwnd, acked: acked, mss: mss, roundTrip: roundTrip)
        return isUntold ? max(grown, cwnd &+ min(acked, cwnd) / Self.untoldDivisor) : grown
    }

    private mutating func grownByFormula(cwnd: UInt32, acked: UInt32, mss: UInt32, roundTrip: UInt32) -> UInt32 {
        let acked = UInt64(min(acked, 1 << 24))
        let window = UInt64(cwnd)
        // 4.3: alpha becomes 1 once the window of before is reached again.
        let reached = estimate &>> Self.fraction >= UInt64(prior)
        let step = (acked &* UInt64(mss)) &<< Self.fraction / window
        estimate &+= reached ? step : step &* Self.alphaNumerator / Self.alphaDenominator
        estimate = min(estimate, 1 &<< (30 + Self.fraction))
        let reno = estimate &>> Self.fraction
        if self.window(at: Int(elapsed), mss: mss) < Int(truncatingIfNeeded: reno) {
            // Reno-friendly region.
            owed = 0
            return UInt32(truncatingIfNeeded: max(window, reno))
        }
        // 4.2: the curve a round trip from now, but never down and not up by more than a half a round trip.
        let ahead = self.window(at: Int(elapsed) &+ Int(roundTrip), mss: mss)
        let target = UInt64(max(Int(cwnd), min(ahead, Int(cwnd) &+ Int(cwnd) / 2)))
        // At most 2^29 * 2^24 * 2^10.
        let gain = ((target &- window) &* acked) &<< Self.fraction / window &+ UInt64(owed)
        owed = UInt32(truncatingIfNeeded: gain & 1023)
        return UInt32(truncatingIfNeeded: window &+ gain &>> Self.fraction)
    }

    /// Congestion at a window of `cwnd` bytes: the threshold (4.6), W_max with fast convergence (4.7); the stage is over.
    mutating func congested(cwnd: UInt32, mss: UInt32, wMax: inout UInt32) -> UInt32 {
        prior = cwnd
        isRunning = false
        // A window that did not come back to where it was makes room for newcomers: (1 + beta) / 2 = 0.85.
        wMax = cwnd < wMax ? UInt32(UInt64(cwnd) &* (10 &+ Self.betaTenths) / 20) : cwnd
        return max(UInt32(UInt64(cwnd) &* Self.betaTenths / 10), 2 &* mss)
    }
}
