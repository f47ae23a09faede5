import Runtime

/// Fast retransmit and fast recovery (RFC 5681), NewReno (RFC 6582).
extension Stack {
    /// A segment without text, SYN or FIN that repeats sndUna and the window. It counts as a duplicate ACK only while data
    /// is in flight (RFC 5681 2).
    @inline(never) func duplicateAck(_ b: Block) {
        guard b.pointee.sndMax != b.pointee.sndUna, !b.pointee.flags.contains(.persisting) else { return }
        statistics.tcpDuplicateAcks &+= 1
        if b.pointee.duplicateAcks < .max { b.pointee.duplicateAcks &+= 1 }
        if b.pointee.flags.contains(.fastRecovery) {
            // Another segment has left the network (RFC 5681 3.2, step 4).
            b.pointee.cwnd = min(b.pointee.cwnd &+ UInt32(b.pointee.mss), Self.maxCongestionWindow)
        } else if b.pointee.duplicateAcks == 3, b.pointee.sndUna > b.pointee.recover {
            enterRecovery(b)
        }
        if b.pointee.sndUnsent != .none { touch(b) }
    }

    /// RFC 6582 3.2, step 2.
    private func enterRecovery(_ b: Block) {
        congestionEvent(b)
        b.pointee.recover = b.pointee.sndMax
        b.pointee.flags.insert(.fastRecovery)
        b.pointee.cwnd = b.pointee.ssthresh &+ 3 &* UInt32(b.pointee.mss)
        statistics.tcpFastRetransmits &+= 1
        retransmitHead(b)
    }

    /// RFC 6582 3.2, step 3: a full ACK ends recovery, a partial one shows the next hole.
    @inline(never) func acknowledgeInRecovery(_ b: Block, _ acked: Int) {
        let mss = UInt32(b.pointee.mss)
        if b.pointee.sndUna >= b.pointee.recover {
            let flight = UInt32(truncatingIfNeeded: b.pointee.flight)
            b.pointee.cwnd = min(b.pointee.ssthresh, max(flight, mss) &+ mss)
            b.pointee.flags.remove(.fastRecovery)
            b.pointee.duplicateAcks = 0
            return
        }
        let acked = UInt32(truncatingIfNeeded: acked)
        b.pointee.cwnd = b.pointee.cwnd > acked &+ mss ? b.pointee.cwnd &- acked : mss
        if acked >= mss { b.pointee.cwnd &+= mss }
        retransmitHead(b)
        touch(b)
    }

    /// Sends the oldest unacknowledged segment again; sndNxt stays.
    func retransmitHead(_ b: Block) {
        let frame = b.pointee.sndHead
        guard frame != .none else {
            // Only FIN is out: it leaves again with the next output.
            if b.pointee.flags.contains(.finSent), b.pointee.sndUna == b.pointee.sndEnd {
                b.pointee.sndNxt = b.pointee.sndEnd
                touch(b)
            }
            return
        }
        let info = pool.info(frame)
        guard info.pointee.flags & SendFlags.sent != 0, transmitQueue.room > 1 else { return }
        countRetransmission(b)
        if info.pointee.references == 1 {
            sendInPlace(b, frame)
        } else {
            _ = sendCopy(b, frame, from: 0, count: Int(info.pointee.count))
        }
    }
}
