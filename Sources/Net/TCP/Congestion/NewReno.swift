/// NewReno's two rules as plain arithmetic (RFC 5681 3.1 with the byte counting of RFC 3465 2.1).
enum NewReno {
    /// The window after `acked` bytes in congestion avoidance: a segment for each window's worth. `counted` is what was
    /// acknowledged towards the next.
    static func grown(cwnd: UInt32, acked: UInt32, mss: UInt32, counted: inout UInt32) -> UInt32 {
        counted = UInt32(truncatingIfNeeded: min(UInt64(counted) &+ UInt64(acked), 2 &* UInt64(cwnd)))
        guard counted >= cwnd else { return cwnd }
        counted = min(counted &- cwnd, cwnd)
        return cwnd &+ mss
    }

    /// The threshold after congestion with so many bytes in flight (RFC 5681 (4)).
    static func threshold(flight: Int, mss: UInt32) -> UInt32 {
        max(UInt32(truncatingIfNeeded: max(0, flight)) / 2, 2 &* mss)
    }
}
