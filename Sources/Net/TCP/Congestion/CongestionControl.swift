import Runtime

/// The congestion window outside of recovery: slow start, congestion avoidance by the configured policy, what an event does
/// to the threshold, and restart after idleness. Inside of recovery the window is recovery's.
extension Stack {
    /// The window never exceeds what a send queue could ever fill.
    static let maxCongestionWindow: UInt32 = 1 << 30
    /// The initial window, also that after idleness (RFC 6928 2, RFC 5681 4.1).
    func initialWindow(_ b: Block) -> UInt32 {
        let mss = UInt32(b.pointee.mss)
        return min(UInt32(Self.initialSegments) &* mss, max(2 &* mss, 14_600))
    }

    // MARK: growth

    /// `acked` bytes of new data were acknowledged outside of recovery; sndUna has moved. `flightBefore`: bytes that were in
    /// flight before that. O(1).
    @inline(never) func congestionAcked(_ b: Block, acked: Int, flightBefore: Int) {
        // RFC 3168 6.1.2: ACKs with ECE, those of the round trip after it was seen, let nothing grow.
        if let s = b.pointee.send, isReduced(b, s) { return }
        let isUsed = isWindowUsed(b, acked)
        let cwnd = b.pointee.cwnd
        let count = UInt32(truncatingIfNeeded: min(acked, Int(Self.maxCongestionWindow)))
        if cwnd < b.pointee.ssthresh {
            // A window half used may still double: else an application that writes in bursts never gets a larger one.
            if isUsed || flightBefore &* 2 >= Int(cwnd) { slowStart(b, count) }
            return
        }
        guard isUsed, let s = b.pointee.send else { return }
        let mss = UInt32(b.pointee.mss)
        switch configuration.congestionControl {
        case .cubic:
            if !s.pointee.congestion.cubic.isRunning {
                s.pointee.congestion.cubic.begin(cwnd: cwnd, mss: mss, wMax: &b.pointee.wMax)
            }
            b.pointee.cwnd = s.pointee.congestion.cubic.grown(
                cwnd: cwnd, acked: count, mss: mss, roundTrip: b.pointee.estimator.milliseconds)
        case .newReno:
            b.pointee.cwnd = NewReno.grown(
                cwnd: cwnd, acked: count, mss: mss, counted: &s.pointee.congestion.counted)
        }
        b.pointee.cwnd = min(b.pointee.cwnd, Self.maxCongestionWindow)
    }

    /// The window grows by what was acknowledged (RFC 5681 3.1): by all of it. RFC 3465 2.2 allows two segments an ACK and
    /// RFC 9406 4.3 eight, against bursts, which are bounded where they leave; and a peer that works in bursts, or a single
    /// segment that is late, makes ACKs of many segments. By one while what was sent before a timeout is not yet
    /// acknowledged (RFC 3465 2.3): most of that had arrived before.
    private func slowStart(_ b: Block, _ acked: UInt32) {
        var step = b.pointee.sndUna <= b.pointee.recover ? min(acked, UInt32(b.pointee.mss)) : acked
        // The threshold is unknown: round trips may tell it (RFC 9406 4.3: in the first slow start only).
        if b.pointee.ssthresh == .max, configuration.congestionControl == .cubic, let s = b.pointee.send {
            if s.pointee.congestion.hyStart.acknowledged(b.pointee.sndUna, next: b.pointee.sndNxt) {
                b.pointee.ssthresh = b.pointee.cwnd
                return
            }
            if s.pointee.congestion.hyStart.roundsLeft > 0 { step /= HyStart.carefulDivisor }
        }
        b.pointee.cwnd = min(b.pointee.cwnd &+ step, b.pointee.ssthresh, Self.maxCongestionWindow)
    }

    /// Whether the ACK is for something that was sent while the window was full: only such a window may grow (RFC 9438 5.8,
    /// RFC 7661 4.3). Counts CUBIC's time, which stands still otherwise (RFC 9438 4.2).
    private func isWindowUsed(_ b: Block, _ acked: Int) -> Bool {
        guard let s = b.pointee.send, s.pointee.congestion.isLimited else { return false }
        guard b.pointee.sndUna - acked < s.pointee.congestion.limitedUntil else {
            s.pointee.congestion.isLimited = false
            return false
        }
        if s.pointee.congestion.cubic.isRunning {
            s.pointee.congestion.cubic.elapsed &+= nowMilliseconds &- s.pointee.congestion.limitedSince
        }
        s.pointee.congestion.limitedSince = nowMilliseconds
        return true
    }

    /// Output stopped because the congestion window is full.
    @inline(never) func noteWindowFull(_ b: Block) {
        let s = takeSendState(b)
        if !s.pointee.congestion.isLimited {
            s.pointee.congestion.isLimited = true
            s.pointee.congestion.limitedSince = nowMilliseconds
        }
        s.pointee.congestion.limitedUntil = b.pointee.sndMax
    }

    // MARK: events

    /// Loss or ECE was seen: sets the threshold and ends CUBIC's stage; cwnd is the caller's. Once a window.
    func congestionEvent(_ b: Block) {
        let s = takeSendState(b)
        saveForUndo(b, s)
        if b.pointee.flags.contains(.ecn) { b.pointee.flags.insert(.owesCWR) }
        // ECE has told of it already (RFC 3168 6.1.2).
        if isReduced(b, s) { return }
        reduceThreshold(b, s)
    }

    /// The retransmission timer fired for the first time: the threshold; what was known of the path is forgotten (RFC 9438
    /// 4.8). cwnd, one segment, is the caller's.
    func congestionTimeout(_ b: Block) {
        let s = takeSendState(b)
        saveForUndo(b, s)
        if b.pointee.flags.contains(.ecn) { b.pointee.flags.insert(.owesCWR) }
        // In a recovery the window was reduced for these losses; a retransmission lost too is no new congestion.
        if !b.pointee.flags.contains(.fastRecovery), !isReduced(b, s) { reduceThreshold(b, s) }
        s.pointee.congestion.cubic.isRunning = false
        s.pointee.congestion.hyStart = HyStart()
        b.pointee.wMax = 0
    }

    private func reduceThreshold(_ b: Block, _ s: UnsafeMutablePointer<SendState>) {
        let mss = UInt32(b.pointee.mss)
        switch configuration.congestionControl {
        case .cubic:
            // The window instead of the flight (RFC 9438 4.6 allows it): it only grows when it is used.
            b.pointee.ssthresh = s.pointee.congestion.cubic.congested(
                cwnd: b.pointee.cwnd, mss: mss, wMax: &b.pointee.wMax)
        case .newReno:
            b.pointee.ssthresh = NewReno.threshold(flight: b.pointee.sndMax - b.pointee.sndUna, mss: mss)
            s.pointee.congestion.counted = 0
        }
    }

    private func saveForUndo(_ b: Block, _ s: UnsafeMutablePointer<SendState>) {
        s.pointee.congestion.saved.cwnd = b.pointee.cwnd
        s.pointee.congestion.saved.ssthresh = b.pointee.ssthresh
        s.pointee.congestion.saved.wMax = b.pointee.wMax
        s.pointee.congestion.saved.cubic = s.pointee.congestion.cubic
    }

    /// The last event or timeout was spurious: nothing had been lost. The window, the threshold and CUBIC's stage are as if it
    /// had not been (RFC 9438 4.9); the time in between does not count.
    func congestionUndo(_ b: Block) {
        guard let s = b.pointee.send, s.pointee.congestion.saved.cwnd != 0 else { return }
        let saved = s.pointee.congestion.saved
        b.pointee.cwnd = max(b.pointee.cwnd, saved.cwnd)
        // Segments may have become larger since (RFC 1191 6.3).
        b.pointee.ssthresh = max(saved.ssthresh, 2 &* UInt32(b.pointee.mss))
        b.pointee.wMax = saved.wMax
        s.pointee.congestion.cubic = saved.cubic
        s.pointee.congestion.limitedSince = nowMilliseconds
        s.pointee.congestion.saved.cwnd = 0
    }

    // MARK: ECN

    private func isReduced(_ b: Block, _ s: UnsafeMutablePointer<SendState>) -> Bool {
        if b.pointee.sndUna >= s.pointee.congestion.reducedUntil { s.pointee.congestion.isReduced = false }
        return s.pointee.congestion.isReduced
    }

    /// An ACK with ECE came (RFC 3168 6.1.2): a router marked something of the present window. The window is reduced, unless
    /// it was within the last round trip.
    func congestionEchoed(_ b: Block) {
        guard b.pointee.sndMax != b.pointee.sndUna,
            b.pointee.flags.isDisjoint(with: [.fastRecovery, .timeoutRecovery])
        else { return }
        let s = takeSendState(b)
        if isReduced(b, s) { return }
        statistics.tcpEcnReductions &+= 1
        let before = b.pointee.cwnd
        s.pointee.congestion.isReduced = false
        congestionEvent(b)
        // No loss: nothing will be undone.
        s.pointee.congestion.saved.cwnd = 0
        s.pointee.congestion.isReduced = true
        s.pointee.congestion.reducedUntil = b.pointee.sndMax
        // The threshold is two segments at least; the window may go down to one (RFC 9438 4.6).
        let smaller = configuration.congestionControl == .cubic ? before / 10 &* 7 : before / 2
        b.pointee.cwnd = max(min(b.pointee.ssthresh, smaller), UInt32(b.pointee.mss))
    }

    // MARK: idleness

    /// Before the first burst after idleness. A window that was not used for longer than the retransmission timeout says
    /// nothing of the path now: slow start begins with the initial window (RFC 5681 4.1), up to three quarters of the old one
    /// (RFC 7661's and Linux's threshold). CUBIC's W_max stays.
    func congestionRestart(_ b: Block) {
        let initial = initialWindow(b)
        guard b.pointee.cwnd > initial else { return }
        let idle = Nanoseconds(nowMilliseconds &- b.pointee.idleSince) &* 1_000_000
        guard idle > b.pointee.estimator.timeout(floor: configuration.minimumRTO) else { return }
        b.pointee.ssthresh = max(b.pointee.ssthresh, b.pointee.cwnd / 4 &* 3)
        b.pointee.cwnd = initial
    }
}
