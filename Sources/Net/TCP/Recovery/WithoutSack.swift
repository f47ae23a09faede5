import Runtime

/// Fast retransmit and recovery with a peer that does not send SACK blocks: NewReno (RFC 5681 3.2, RFC 6582), where each
/// duplicate ACK stands for a segment that has left the network.
extension Stack {
    /// A segment without text, SYN or FIN that repeats sndUna and the window, without SACK blocks. It counts as a duplicate
    /// ACK only while data is in flight (RFC 5681 2), and only from a peer that knows no other way to tell.
    @inline(never) func duplicateAck(_ b: Block) {
        guard b.pointee.sndMax != b.pointee.sndUna, !b.pointee.flags.contains(.persisting) else { return }
        statistics.tcpDuplicateAcks &+= 1
        if b.pointee.flags.contains(.sackPermitted) {
            if let s = b.pointee.send, s.pointee.isProbing { acknowledgeProbe(b, s, AckSample()) }
            return
        }
        if b.pointee.duplicateAcks < .max { b.pointee.duplicateAcks &+= 1 }
        if b.pointee.flags.contains(.fastRecovery) {
            // Another segment has left the network (RFC 5681 3.2, step 4).
            b.pointee.cwnd = min(b.pointee.cwnd &+ UInt32(b.pointee.mss), Self.maxCongestionWindow)
        } else if b.pointee.duplicateAcks == 3, b.pointee.sndUna > b.pointee.recover {
            beginNewReno(b)
        }
        if b.pointee.sndUnsent != .none { touch(b) }
    }

    /// RFC 6582 3.2, step 2.
    private func beginNewReno(_ b: Block) {
        let s = takeSendState(b)
        beginUndo(b, s, for: b.pointee.sndUna)
        congestionEvent(b)
        b.pointee.recover = b.pointee.sndMax
        b.pointee.flags.insert(.fastRecovery)
        b.pointee.cwnd = b.pointee.ssthresh &+ 3 &* UInt32(b.pointee.mss)
        statistics.tcpFastRetransmits &+= 1
        repeatHead(b, s)
    }

    /// RFC 6582 3.2, step 3: a partial ACK shows the next hole.
    func acknowledgePartially(_ b: Block, _ s: SendStatePointer, _ acked: Int) {
        let mss = UInt32(b.pointee.mss)
        let acked = UInt32(truncatingIfNeeded: acked)
        b.pointee.cwnd = b.pointee.cwnd > acked &+ mss ? b.pointee.cwnd &- acked : mss
        if acked >= mss { b.pointee.cwnd &+= mss }
        repeatHead(b, s)
        touch(b)
    }

    /// RFC 6582 3.2, step 3: a full ACK ends recovery.
    func leaveNewReno(_ b: Block) {
        let mss = UInt32(b.pointee.mss)
        let flight = UInt32(truncatingIfNeeded: b.pointee.flight)
        b.pointee.cwnd = min(b.pointee.ssthresh, max(flight, mss) &+ mss)
        b.pointee.flags.remove(.fastRecovery)
        b.pointee.duplicateAcks = 0
    }

    /// Sends the oldest unacknowledged segment again, now.
    private func repeatHead(_ b: Block, _ s: SendStatePointer) {
        let head = b.pointee.sndHead
        guard head != .none else {
            if b.pointee.flags.contains(.finSent), b.pointee.sndUna == b.pointee.sndEnd { _ = emitFin(b) }
            return
        }
        guard pool.info(head).pointee.flags & SendFlags.sent != 0, transmitQueue.room > 1 else { return }
        _ = repeatFrame(b, s, head)
    }
}
