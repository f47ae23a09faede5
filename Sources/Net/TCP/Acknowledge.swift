import Runtime

/// What an acceptable ACK does to the send side: frames return, round trips are sampled, congestion control reacts.
extension Stack {
    /// SEG.ACK is new: sndUna < SEG.ACK <= sndMax. False when it ended the connection. O(frames acknowledged).
    @inline(never) func acknowledge(_ b: Block, _ ack: SequenceNumber, timestampEcho: UInt32) -> Bool {
        let acked = ack - b.pointee.sndUna
        let flightBefore = b.pointee.flight
        releaseAcknowledged(b, ack, timestampEcho: timestampEcho)
        b.pointee.sndUna = ack
        if b.pointee.sndNxt < ack { b.pointee.sndNxt = ack }
        if b.pointee.flags.contains(.fastRecovery) {
            acknowledgeInRecovery(b, acked)
        } else {
            b.pointee.duplicateAcks = 0
            congestionAcked(b, acked: acked, flightBefore: flightBefore)
        }
        if !b.pointee.flags.contains(.persisting) {
            b.pointee.backoff = 0
            if b.pointee.flight == 0 {
                b.pointee.retransmitAt = .max
                freeSendState(b)
            } else {
                // Without backoff the deadline may be before the one that the wheel knows.
                startRetransmission(b)
            }
        }
        if b.pointee.writableMark != 0 { checkWritable(b) }
        if b.pointee.sndUnsent != .none || b.pointee.sndChunks.head != nil { touch(b) }
        if b.pointee.flags.contains(.finSent), ack == b.pointee.sndEnd + 1 { return finAcknowledged(b) }
        return true
    }

    /// SEG.ACK is for the usual: a reply of one frame, sent once, and nothing special goes on: no recovery, no persisting,
    /// no FIN sent, which the caller has checked. Then 0 < SEG.ACK - sndUna, and SEG.ACK <= sndMax.
    @inline(__always) func isReplyAcknowledged(_ b: Block, _ ack: SequenceNumber) -> Bool {
        // sndNxt at sndEnd: sndUnsent is .none. The last condition: the congestion window does not grow.
        b.pointee.sndFrames == 1 && ack == b.pointee.sndEnd && ack == b.pointee.sndNxt
            && b.pointee.sndChunks.head == nil && b.pointee.writableMark == 0
            && pool.info(b.pointee.sndHead).pointee.flags == SendFlags.sent
            && (ack - b.pointee.sndUna) &* 2 < Int(b.pointee.cwnd)
    }

    /// `acknowledge`, when `isReplyAcknowledged`.
    @inline(__always) func acknowledgeReply(_ b: Block, _ ack: SequenceNumber) {
        let frame = b.pointee.sndHead
        b.pointee.estimator.sample(now &- pool.info(frame).pointee.stamp)
        pool.release(frame)
        b.pointee.sndHead = .none
        b.pointee.sndTail = .none
        b.pointee.sndFrames = 0
        b.pointee.sndUna = ack
        b.pointee.duplicateAcks = 0
        b.pointee.backoff = 0
        b.pointee.retransmitAt = .max
    }

    /// Returns the frames below SEG.ACK and takes a round-trip sample, unless one of them was sent twice (Karn; RFC 6298
    /// 3): then only the timestamps tell (RFC 7323 4.1).
    @inline(__always) private func releaseAcknowledged(_ b: Block, _ ack: SequenceNumber, timestampEcho: UInt32) {
        var frame = b.pointee.sndHead
        var flags: UInt16 = 0
        var stamp: Nanoseconds = 0
        while frame != .none {
            let info = pool.info(frame)
            guard SequenceNumber(info.pointee.sequence) + Int(info.pointee.count) <= ack else { break }
            let next = info.pointee.next
            flags |= info.pointee.flags
            stamp = info.pointee.stamp
            // After a timeout sndNxt lies before what the peer has got already.
            if frame == b.pointee.sndUnsent { b.pointee.sndUnsent = next }
            b.pointee.sndFrames &-= 1
            pool.release(frame)
            frame = next
        }
        b.pointee.sndHead = frame
        if frame == .none { b.pointee.sndTail = .none }
        if flags == SendFlags.sent {
            b.pointee.estimator.sample(now &- stamp)
        } else if flags & SendFlags.retransmitted != 0, b.pointee.optionsLength != 0, timestampEcho != 0 {
            let echoed = nowMilliseconds &+ b.pointee.tsOffset &- timestampEcho
            if echoed < 60_000 { b.pointee.estimator.sample(.milliseconds(Int64(echoed))) }
        }
    }

    /// SND.WND changes. A window that opens ends persisting.
    @inline(__always) func updateSendWindow(_ b: Block, _ window: UInt32) {
        b.pointee.sndWnd = window
        if window > b.pointee.sndWndMax { b.pointee.sndWndMax = window }
        if b.pointee.sndUnsent != .none || b.pointee.flags.contains(.persisting) { useSendWindow(b) }
    }

    @inline(never) private func useSendWindow(_ b: Block) {
        if b.pointee.flags.contains(.persisting), b.pointee.sndWnd > 0 {
            b.pointee.flags.remove(.persisting)
            b.pointee.backoff = 0
            b.pointee.retransmitAt = .max
            // The probe's octet may have been dropped: begin before it.
            b.pointee.sndNxt = b.pointee.sndUna
            b.pointee.sndUnsent = b.pointee.sndHead
        }
        if b.pointee.sndUnsent != .none { touch(b) }
    }

    /// Our FIN is acknowledged (RFC 9293 3.10.7.4, fifth). False when that ends the connection.
    private func finAcknowledged(_ b: Block) -> Bool {
        switch b.pointee.state {
        case .finWait1: b.pointee.state = .finWait2
        case .closing: enterTimeWait(b)
        case .lastAck:
            destroy(b)
            return false
        case .closed, .synSent, .synReceived, .established, .finWait2, .closeWait, .timeWait: break
        }
        return true
    }

    /// Everything is said on both sides; what is left is to answer the peer's FIN again if our ACK of it got lost.
    func enterTimeWait(_ b: Block) {
        b.pointee.state = .timeWait
        timeWait.append(b)
        discardSend(b)
        b.pointee.flags.remove(.persisting)
        b.pointee.retransmitAt = now &+ timeWaitTime
        b.pointee.orphanUntil = .max
        armTimer(b, b.pointee.retransmitAt)
        if !b.pointee.flags.contains(.closedTold) {
            b.pointee.flags.insert(.closedTold)
            signal(b, .closed)
        }
    }
}
