import Runtime

/// How a congestion window grows without loss and shrinks with it.
public enum CongestionControl: String, CaseIterable, Sendable {
    /// RFC 9438.
    case cubic
    /// RFC 5681 and 6582.
    case newReno = "newreno"
}

/// Congestion control's state while a connection sends: the part that means nothing to an idle one (`SendState`).
struct CongestionState: BitwiseCopyable {
    var cubic = CubicState()
    /// NewReno: bytes acknowledged since the window last grew; < cwnd.
    var counted: UInt32 = 0

    // MARK: use of the window
    /// With `isLimited`: the window was full when everything before this had been sent, so ACKs of that prove the window,
    /// and since when (milliseconds) it has been in use without a break.
    var limitedUntil = SequenceNumber(0)
    var limitedSince: UInt32 = 0
    var isLimited = false

    // MARK: one reduction a window
    /// With `isReduced`: sndMax at the last reduction by ECE. Until it is acknowledged nothing reduces the window again.
    var isReduced = false
    var reducedUntil = SequenceNumber(0)

    // MARK: undo (RFC 9438 4.9)
    /// What the last event or timeout changed; cwnd 0: nothing to restore.
    var saved = Saved()

    var hyStart = HyStart()

    struct Saved: BitwiseCopyable {
        var cwnd: UInt32 = 0
        var ssthresh: UInt32 = 0
        var wMax: UInt32 = 0
        var cubic = CubicState()
    }
}
