import Runtime

/// Tail loss probes (RFC 8985 7): when ACKs stay away for two round trips, something is sent that provokes one, so that a
/// loss at the end of a flight is seen by its SACK and not by the timeout.
extension Stack {
    /// What a peer may delay the ACK of a single segment (RFC 8985 7.2).
    static let worstDelayedAck: Nanoseconds = .milliseconds(200)
    /// Added to two round trips: timers have ticks.
    static let probeSlack: Nanoseconds = .milliseconds(2)

    /// Conditions of RFC 8985 7.2: SACK was agreed on, no recovery, nothing sacked, no probe out; and a round trip is known.
    @inline(__always) func mayProbe(_ b: Block, _ s: SendStatePointer) -> Bool {
        b.pointee.flags.isDisjoint(with: [.fastRecovery, .timeoutRecovery, .persisting])
            && b.pointee.flags.contains(.sackPermitted) && s.pointee.sackedFrames == 0 && s.pointee.lostBytes == 0
            && !s.pointee.isProbing && b.pointee.backoff == 0 && b.pointee.estimator.smoothed != 0
    }

    /// Starts the timer anew for what is in flight now: for a probe if one may be sent before the timeout.
    @inline(never) func startLossTimer(_ b: Block, _ s: SendStatePointer) {
        let flight = b.pointee.sndMax - b.pointee.sndUna
        guard mayProbe(b, s), flight > 0 else { return restartLossTimer(b) }
        // SRTT is kept in eighths of a microsecond.
        var span = Nanoseconds(b.pointee.estimator.smoothed) &* 250
        span &+= flight <= Int(b.pointee.mss) ? Self.worstDelayedAck : Self.probeSlack
        if span < b.pointee.estimator.timeout(floor: configuration.minimumRTO) {
            setLossTimer(b, .probeTimer, now &+ span)
        } else {
            restartLossTimer(b)
        }
    }

    // MARK: a segment alone

    /// The probe's delay for a lone segment, or the timeout if that is shorter. What a request and its reply are in has no
    /// side block, and no flag that tells the one deadline from the other: `isLoneProbe` does. Only called when the timeout
    /// is above its lower bound, below which no probe comes first.
    func loneLossSpan(_ b: Block, timeout: Nanoseconds) -> Nanoseconds {
        guard mayProbeAlone(b) else { return timeout }
        return min(timeout, Nanoseconds(b.pointee.estimator.smoothed) &* 250 &+ Self.worstDelayedAck)
    }

    /// The timer of a lone segment fired before its timeout.
    func isLoneProbe(_ b: Block) -> Bool {
        guard mayProbeAlone(b), b.pointee.sndHead != .none else { return false }
        let info = pool.info(b.pointee.sndHead)
        return info.pointee.flags & SendFlags.sent != 0
            && now &- info.pointee.stamp < b.pointee.estimator.timeout(floor: configuration.minimumRTO)
    }

    private func mayProbeAlone(_ b: Block) -> Bool {
        b.pointee.send == nil && b.pointee.backoff == 0 && b.pointee.estimator.smoothed != 0
            && b.pointee.flags.isDisjoint(with: [.finSent, .persisting]) && b.pointee.flags.contains(.sackPermitted)
    }

    // MARK: the probe

    /// Sends the next new segment, whatever the congestion window says, or else the last one again (RFC 8985 7.3).
    func probeTimerFired(_ b: Block) {
        guard b.pointee.sndMax != b.pointee.sndUna else { return restartLossTimer(b) }
        let s = takeSendState(b)
        let fresh = b.pointee.sndUnsent
        var isSent = false
        if mayProbe(b, s), transmitQueue.room > 1 {
            if fresh != .none, frameEnd(fresh) - b.pointee.sndUna <= Int(b.pointee.sndWnd) {
                isSent = sendFrame(b, fresh)
                s.pointee.probeRepeats = false
            } else {
                isSent = repeatLast(b, s)
                s.pointee.probeRepeats = true
            }
        }
        if isSent {
            statistics.tcpTailProbes &+= 1
            s.pointee.isProbing = true
            s.pointee.probeEnd = b.pointee.sndMax
            // It may have been the last text before FIN.
            touch(b)
        }
        restartLossTimer(b)
    }

    /// The segment with the highest sequence number, again.
    private func repeatLast(_ b: Block, _ s: SendStatePointer) -> Bool {
        if b.pointee.flags.contains(.finSent), b.pointee.sndMax > b.pointee.sndEnd { return emitFin(b) }
        // All that is sent, or all but the frame that begins with sndMax or holds it.
        var last = b.pointee.sndTail
        if b.pointee.sndUnsent != .none {
            var frame = b.pointee.sndHead
            last = .none
            while frame != .none, pool.info(frame).pointee.flags & SendFlags.sent != 0 {
                last = frame
                frame = pool.info(frame).pointee.next
            }
        }
        return last != .none && repeatFrame(b, s, last)
    }

    /// What an ACK says of the probe (RFC 8985 7.4). A loss that the probe repaired is congestion like any other.
    @inline(never) func acknowledgeProbe(_ b: Block, _ s: SendStatePointer, _ sample: AckSample) {
        guard b.pointee.sndUna >= s.pointee.probeEnd else { return }
        if !s.pointee.probeRepeats || sample.probeDuplicate {
            s.pointee.isProbing = false
        } else if b.pointee.sndUna > s.pointee.probeEnd {
            s.pointee.isProbing = false
            if b.pointee.flags.isDisjoint(with: [.fastRecovery, .timeoutRecovery]) {
                congestionEvent(b)
                b.pointee.cwnd = min(b.pointee.cwnd, max(b.pointee.ssthresh, UInt32(b.pointee.mss)))
            }
        } else if sample.acked == 0, !sample.hasSacks {
            s.pointee.isProbing = false
        }
    }

    @inline(__always) func frameEnd(_ frame: FrameID) -> SequenceNumber {
        let info = pool.info(frame)
        return SequenceNumber(info.pointee.sequence) + Int(info.pointee.count)
    }
}
