import Runtime

/// What an acceptable ACK does to the send side: frames return, round trips are sampled, congestion control reacts.
extension Stack {
    /// SEG.ACK is new: sndUna < SEG.ACK <= sndMax. False when it ended the connection. O(frames acknowledged).
    @inline(never) func acknowledge(_ b: Block, _ ack: SequenceNumber, timestampEcho: UInt32) -> Bool {
        if let s = b.pointee.send {
            return acknowledgeScored(b, s, ack, timestampEcho: timestampEcho, SackBlocks())
        }
        let flightBefore = b.pointee.flight
        let acked = ack - b.pointee.sndUna
        releaseAcknowledged(b, ack, timestampEcho: timestampEcho)
        b.pointee.sndUna = ack
        b.pointee.duplicateAcks = 0
        congestionAcked(b, acked: acked, flightBefore: flightBefore)
        if !b.pointee.flags.contains(.persisting) {
            b.pointee.backoff = 0
            restartLossTimer(b)
        }
        return acknowledged(b)
    }

    /// A segment's ACK and SACK blocks, of a connection that keeps a scoreboard: SEG.ACK is between sndUna and sndMax. False
    /// when it ended the connection.
    @inline(never) func acknowledgeScored(
        _ b: Block, _ s: SendStatePointer, _ ack: SequenceNumber, timestampEcho: UInt32, _ sacks: SackBlocks
    ) -> Bool {
        var sample = AckSample()
        sample.acked = ack - b.pointee.sndUna
        sample.echo = b.pointee.optionsLength == 0 ? 0 : timestampEcho
        let flightBefore = b.pointee.flight
        let sackedBefore = Int(s.pointee.sackedBytes)
        if sample.acked > 0 {
            releaseScored(b, s, ack, &sample)
            b.pointee.sndUna = ack
            b.pointee.duplicateAcks = 0
            if !b.pointee.flags.contains(.persisting) { b.pointee.backoff = 0 }
            if sample.isAmbiguous { sample.sampleStamp = .min }
        }
        if sacks.count > 0 { markSacked(b, s, sacks, &sample) }
        sample.delivered = max(0, sample.acked &+ Int(s.pointee.sackedBytes) &- sackedBefore)
        sampleRoundTrip(b, s, sample)
        updateRack(s, sample)
        if s.pointee.isProbing { acknowledgeProbe(b, s, sample) }
        if s.pointee.mayUndo { checkUndo(b, s, sample) }
        let wait = reactToAck(b, s, sample, flightBefore: flightBefore)
        if !b.pointee.flags.contains(.persisting) {
            if wait > 0 {
                setLossTimer(b, .reorderTimer, now &+ wait)
            } else if sample.acked > 0 || b.pointee.flags.contains(.reorderTimer) {
                startLossTimer(b, s)
            }
        }
        if s.pointee.lostBytes > 0 { touch(b) }
        if b.pointee.sndUna == b.pointee.sndMax {
            b.pointee.idleSince = nowMilliseconds
            // What a probe and reordering have taught is worth its memory.
            if b.pointee.backlog == 0, !s.pointee.hasReordering, !s.pointee.isProbing { freeSendState(b) }
        }
        return acknowledged(b)
    }

    /// Losses, and what they and the arrivals do to the congestion window. Returns after what time to look for losses again;
    /// 0: no need.
    @inline(__always) private func reactToAck(
        _ b: Block, _ s: SendStatePointer, _ sample: AckSample, flightBefore: Int
    ) -> Nanoseconds {
        let recovering: ControlFlags = [.fastRecovery, .timeoutRecovery]
        let hasSack = b.pointee.flags.contains(.sackPermitted)
        var wait: Nanoseconds = 0
        var again = false
        var isLost = false
        if hasSack, s.pointee.sackedFrames > 0 || !b.pointee.flags.isDisjoint(with: recovering) {
            isLost = detectLoss(b, s, wait: &wait, again: &again)
        }
        if b.pointee.flags.isDisjoint(with: recovering) {
            if isLost {
                lossDetected(b, s, sample, again: again)
            } else if sample.acked > 0 {
                congestionAcked(b, acked: sample.acked, flightBefore: flightBefore)
            }
        } else if b.pointee.sndUna >= b.pointee.recover {
            if hasSack || b.pointee.flags.contains(.timeoutRecovery) { leaveRecovery(b, s) } else { leaveNewReno(b) }
            // What left since recovery began is lost too: the next one.
            if s.pointee.lostBytes > 0 { lossDetected(b, s, sample, again: again) }
        } else if b.pointee.flags.contains(.timeoutRecovery) {
            if again {
                lossDetected(b, s, sample, again: true)
            } else if sample.acked > 0 {
                congestionAcked(b, acked: sample.acked, flightBefore: flightBefore)
            }
        } else if !hasSack {
            if sample.acked > 0 { acknowledgePartially(b, s, sample.acked) }
        } else if sample.delivered > 0 {
            reduceProportionally(b, s, delivered: sample.delivered, isSafe: sample.acked > 0 && !isLost)
            touch(b)
        }
        return wait
    }

    /// What follows from sndUna's new place for the queue and its user. False when it ended the connection.
    @inline(__always) private func acknowledged(_ b: Block) -> Bool {
        if b.pointee.writableMark != 0 { checkWritable(b) }
        if b.pointee.sndUnsent != .none || b.pointee.sndChunks.head != nil || b.pointee.flags.contains(.finQueued) {
            touch(b)
        }
        if b.pointee.flags.contains(.finSent), b.pointee.sndUna == b.pointee.sndEnd + 1 { return finAcknowledged(b) }
        return true
    }

    /// A segment of a connection with a scoreboard may have SACK blocks. nil when it has none.
    @inline(never) func acknowledgeSelectively(_ b: Block, _ segment: TCPSegment) -> Bool? {
        guard let s = b.pointee.send else { return nil }
        let blocks = SackBlocks(segment)
        guard blocks.count > 0 else { return nil }
        if segment.acknowledgement == b.pointee.sndUna { statistics.tcpDuplicateAcks &+= 1 }
        return acknowledgeScored(
            b, s, segment.acknowledgement, timestampEcho: segment.hasTimestamp ? segment.timestampEcho : 0, blocks)
    }

    /// SEG.ACK is for the usual: a reply of one frame, sent once, and nothing special goes on: no recovery, no persisting,
    /// no FIN sent, which the caller has checked. Then 0 < SEG.ACK - sndUna, and SEG.ACK <= sndMax.
    @inline(__always) func isReplyAcknowledged(_ b: Block, _ ack: SequenceNumber) -> Bool {
        // sndMax at sndEnd: sndUnsent is .none. The last condition: the congestion window does not grow.
        b.pointee.sndFrames == 1 && ack == b.pointee.sndEnd && ack == b.pointee.sndMax
            && b.pointee.sndChunks.head == nil && b.pointee.writableMark == 0
            && pool.info(b.pointee.sndHead).pointee.flags == SendFlags.sent
            && (ack - b.pointee.sndUna) &* 2 < Int(b.pointee.cwnd)
    }

    /// `acknowledge`, when `isReplyAcknowledged`. The timer is left to the caller.
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
    }

    /// Returns the frames below SEG.ACK and takes a round-trip sample. Nothing was sent twice, except what a window smaller
    /// than a frame let through: from that only the timestamps tell (Karn; RFC 6298 3, RFC 7323 4.1).
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
            b.pointee.sndFrames &-= 1
            pool.release(frame)
            frame = next
        }
        b.pointee.sndHead = frame
        if frame == .none { b.pointee.sndTail = .none }
        if flags == SendFlags.sent {
            b.pointee.estimator.sample(now &- stamp)
        } else if flags & SendFlags.retransmitted != 0 {
            sampleEcho(b, timestampEcho)
        }
    }

    /// RFC 7323 4.1: our own clock as it comes back.
    private func sampleEcho(_ b: Block, _ echo: UInt32) {
        guard b.pointee.optionsLength != 0, echo != 0 else { return }
        let span = nowMilliseconds &+ b.pointee.tsOffset &- echo
        if span < 60_000 { b.pointee.estimator.sample(.milliseconds(Int64(span))) }
    }

    /// Steps 1 of RFC 8985 6.2, and RFC 6298: from what was sent once and is known to have arrived just now, else from
    /// the timestamps.
    @inline(__always) private func sampleRoundTrip(_ b: Block, _ s: SendStatePointer, _ sample: AckSample) {
        if sample.sampleStamp != .min {
            let span = now &- sample.sampleStamp
            b.pointee.estimator.sample(span)
            if b.pointee.ssthresh == .max {
                s.pointee.congestion.hyStart.measured(UInt32(truncatingIfNeeded: min(span, .seconds(60)) / 1_000))
            }
            if span <= s.pointee.leastRoundTrip || now &- s.pointee.leastSince > Self.leastRoundTripAge {
                s.pointee.leastRoundTrip = span
                s.pointee.leastSince = now
            }
        } else if sample.acked > 0, sample.isAmbiguous {
            sampleEcho(b, sample.echo)
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
            if b.pointee.sndMax != b.pointee.sndUna {
                // The probe's octet may have been dropped: it leaves again, with what follows it.
                let s = takeSendState(b)
                markAllLost(b, s, forget: false)
                restartLossTimer(b)
                touch(b)
            }
        }
        if b.pointee.sndUnsent != .none { touch(b) }
    }

    /// Our FIN is acknowledged (RFC 9293 3.10.7.4, fifth). False when that ends the connection.
    private func finAcknowledged(_ b: Block) -> Bool {
        switch b.pointee.state {
        case .finWait1: b.pointee.state = .finWait2
        case .closing: enterTimeWait(b)
        case .lastAck:
            destroyWithPeer(b)
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
        b.pointee.flags.subtract([.persisting, .probeTimer, .reorderTimer])
        b.pointee.retransmitAt = now &+ timeWaitTime
        b.pointee.orphanUntil = .max
        armTimer(b, b.pointee.retransmitAt)
        if !b.pointee.flags.contains(.closedTold) {
            b.pointee.flags.insert(.closedTold)
            signal(b, .closed)
        }
    }
}
