import Runtime

/// The numbered steps of RFC 9293 3.10.7.3 (SYN-SENT) and 3.10.7.4 (all others), one function each. A step that ends the
/// processing returns false.
extension Stack {
    /// How long TS.Recent means something (RFC 7323 5.5).
    private static let timestampLifetime: Nanoseconds = .seconds(24 * 86_400)

    /// The whole way for a segment of an existing connection. True when the frame was kept.
    @inline(never) func segmentArrives(_ b: Block, _ segment: inout TCPSegment, _ frame: FrameID) -> Bool {
        b.pointee.flags.remove(.answered)
        let silence = now &- b.pointee.lastReceived
        b.pointee.lastReceived = now
        switch b.pointee.state {
        case .closed:
            // Dead blocks are not in the table.
            return false
        case .synSent:
            return synSentSegmentArrives(b, &segment, frame)
        case .timeWait:
            if reopen(b, segment) { return false }
        case .synReceived:
            if repeatsSyn(b, &segment) { return false }
        case .established, .finWait1, .finWait2, .closeWait, .closing, .lastAck:
            break
        }
        guard checkTimestamp(b, segment, silence: silence),
            firstCheckSequence(b, &segment),
            secondCheckReset(b, segment),
            fourthCheckSyn(b, segment)
        else { return false }
        if b.pointee.flags.contains(.ecn) { noteCongestionMarks(b, segment) }
        guard fifthCheckAck(b, segment) else { return false }
        return continueWithText(b, &segment, frame)
    }

    /// Steps six to eight. The urgent pointer (sixth) is not used: its text is plain text (RFC 6093).
    private func continueWithText(_ b: Block, _ segment: inout TCPSegment, _ frame: FrameID) -> Bool {
        let kept = seventhText(b, &segment, frame)
        eighthCheckFin(b, segment)
        return kept
    }

    // MARK: SYN-RECEIVED

    /// The peer's SYN again. Without ACK, ours got lost: it is sent again (true). With ACK, this is the other half of a
    /// simultaneous open (RFC 9293 figure 8): what counts is the ACK, and the SYN was received before.
    private func repeatsSyn(_ b: Block, _ segment: inout TCPSegment) -> Bool {
        guard segment.flags.contains(.syn), !segment.flags.contains(.rst), segment.sequence + 1 == b.pointee.rcvNxt
        else { return false }
        checkECNAgain(b, segment)
        if segment.flags.contains(.ack) {
            trimFront(&segment, 1)
            return false
        }
        sendSyn(b)
        return true
    }

    // MARK: SYN-SENT (RFC 9293 3.10.7.3)

    private func synSentSegmentArrives(_ b: Block, _ segment: inout TCPSegment, _ frame: FrameID) -> Bool {
        let flags = segment.flags
        let acceptableAck = segment.acknowledgement == b.pointee.iss + 1
        // First: an ACK of something we never sent.
        if flags.contains(.ack), !acceptableAck {
            if !flags.contains(.rst) { sendResetAnswering(b, segment) }
            return false
        }
        // Second: a reset is believed only with an acceptable ACK.
        if flags.contains(.rst) {
            statistics.tcpResetsReceived &+= 1
            if flags.contains(.ack) { destroy(b) }
            return false
        }
        // Fourth.
        guard flags.contains(.syn) else { return false }
        acceptSyn(b, segment)
        if flags.contains(.ack) {
            b.pointee.sndUna = segment.acknowledgement
            establish(b, segment)
            b.pointee.flags.insert(.ackNow)
            touch(b)
        } else {
            // Simultaneous open (RFC 9293 3.5, figure 8).
            b.pointee.state = .synReceived
            sendSyn(b)
        }
        // Text on a SYN is not kept: the peer sends it again.
        return false
    }

    // MARK: the steps

    /// RFC 7323 5.3: protection against wrapped sequence numbers, and TS.Recent. A SYN is answered by a challenge whatever
    /// its timestamp (RFC 5961 4.2). `silence`: time since the last segment.
    private func checkTimestamp(_ b: Block, _ segment: TCPSegment, silence: Nanoseconds) -> Bool {
        guard b.pointee.flags.contains(.timestamps), segment.flags.isDisjoint(with: [.rst, .syn]) else { return true }
        guard segment.hasTimestamp else { return false }
        if Int32(bitPattern: segment.timestampValue &- b.pointee.tsRecent) < 0 {
            // RFC 7323 5.5: after 24 days TS.Recent says nothing about what is older.
            guard silence > Self.timestampLifetime else {
                statistics.tcpOldTimestamps &+= 1
                answerUnacceptable(b, segment)
                return false
            }
            b.pointee.tsRecent = segment.timestampValue
        }
        if segment.sequence <= b.pointee.lastAckSent, segment.end >= b.pointee.lastAckSent {
            b.pointee.tsRecent = segment.timestampValue
        }
        return true
    }

    /// First: some part of the segment must lie in the receive window. Cuts off what does not.
    private func firstCheckSequence(_ b: Block, _ segment: inout TCPSegment) -> Bool {
        let window = b.pointee.rcvWindow
        let offset = segment.sequence - b.pointee.rcvNxt
        let length = segment.length
        let acceptable =
            switch (length, window) {
            case (0, 0): offset == 0
            case (0, _): offset >= 0 && offset < window
            // A window that is closed still lets ACKs of segments right at its edge pass (RFC 9293 3.10.7.4, note).
            case (_, 0): offset == 0
            default: offset < window && offset &+ length > 0
            }
        guard acceptable else {
            statistics.tcpOutsideWindow &+= 1
            answerUnacceptable(b, segment)
            return false
        }
        if offset < 0 {
            noteOldText(b, segment, -offset)
            trimFront(&segment, -offset)
        }
        let excess = segment.count &- max(0, b.pointee.rcvEdge - segment.sequence)
        if excess > 0 {
            // Text beyond the window, and the FIN behind it, are the peer's to send again.
            segment.count &-= excess
            segment.flags.remove(.fin)
            b.pointee.flags.insert(.ackNow)
            touch(b)
        }
        return true
    }

    /// Drops the first `n` octets of sequence space, which were received before.
    private func trimFront(_ segment: inout TCPSegment, _ n: Int) {
        var n = n
        segment.sequence += n
        if segment.flags.contains(.syn) {
            segment.flags.remove(.syn)
            n &-= 1
        }
        // The segment was acceptable, so that n <= count.
        segment.textStart &+= n
        segment.count &-= n
    }

    /// Second: RST. Only the exact next sequence number resets; others in the window are asked for proof (RFC 5961 3.2).
    /// TIME-WAIT is not cut short (RFC 1337): the RST may answer an old duplicate.
    private func secondCheckReset(_ b: Block, _ segment: TCPSegment) -> Bool {
        guard segment.flags.contains(.rst) else { return true }
        statistics.tcpResetsReceived &+= 1
        if b.pointee.state == .timeWait { return false }
        if segment.sequence == b.pointee.rcvNxt {
            destroyWithPeer(b)
        } else {
            sendChallengeAck(b)
        }
        return false
    }

    /// Fourth: a SYN in the window: the peer is asked for proof (RFC 5961 4.2). A half-open connection of a listener goes
    /// back to LISTEN instead (RFC 9293 3.10.7.4), and the SYN is taken as a listener takes it.
    private func fourthCheckSyn(_ b: Block, _ segment: TCPSegment) -> Bool {
        guard segment.flags.contains(.syn) else { return true }
        guard b.pointee.state == .synReceived, b.pointee.flags.contains(.passive),
            segment.flags.isDisjoint(with: [.ack, .fin])
        else {
            sendChallengeAck(b)
            return false
        }
        let (key, hardwareRaw, previous) = (b.pointee.key, b.pointee.nextHopRaw, b.pointee.iss)
        destroy(b)
        passiveOpen(segment, key: key, hardwareRaw: hardwareRaw, after: previous)
        return false
    }

    /// Fifth: the ACK field.
    private func fifthCheckAck(_ b: Block, _ segment: TCPSegment) -> Bool {
        guard segment.flags.contains(.ack) else { return false }
        if b.pointee.state == .synReceived {
            guard segment.acknowledgement == b.pointee.iss + 1 else {
                sendResetAnswering(b, segment)
                return false
            }
            if b.pointee.flags.contains(.passive) { halfOpen.remove(b) }
            b.pointee.sndUna = segment.acknowledgement
            establish(b, segment)
            return true
        }
        if segment.acknowledgement > b.pointee.sndMax {
            // Acknowledges what was not sent (RFC 5961 5.2).
            sendChallengeAck(b)
            return false
        }
        if segment.acknowledgement < b.pointee.sndUna {
            // Old, but not older than anything the peer could have meant (RFC 5961 5.2); its text counts.
            if b.pointee.sndUna - segment.acknowledgement <= Int(b.pointee.sndWndMax) { return true }
            sendChallengeAck(b)
            return false
        }
        let acked = segment.acknowledgement - b.pointee.sndUna
        let sameWindow = takeWindow(b, segment)
        if b.pointee.flags.contains([.scored, .sackPermitted]),
            segment.headerLength > TCPSegment.minimumHeader &+ Int(b.pointee.optionsLength),
            let goesOn = acknowledgeSelectively(b, segment)
        {
            return goesOn
        }
        if acked > 0 { return acknowledge(b, segment.acknowledgement, timestampEcho: segment.timestampEcho) }
        if segment.length == 0, sameWindow { duplicateAck(b) }
        return true
    }

    /// RFC 9293 3.10.7.4, SND.WND: from newer segments only. True when the window did not change.
    private func takeWindow(_ b: Block, _ segment: TCPSegment) -> Bool {
        guard
            b.pointee.sndWl1 < segment.sequence
                || b.pointee.sndWl1 == segment.sequence && b.pointee.sndWl2 <= segment.acknowledgement
        else { return true }
        b.pointee.sndWl1 = segment.sequence
        b.pointee.sndWl2 = segment.acknowledgement
        let window = UInt32(segment.window) &<< UInt32(b.pointee.sndScale)
        if window == b.pointee.sndWnd { return true }
        updateSendWindow(b, window)
        return false
    }

    /// Seventh: the text. True when the frame was kept.
    private func seventhText(_ b: Block, _ segment: inout TCPSegment, _ frame: FrameID) -> Bool {
        if segment.length > 0, !segment.flags.contains(.syn) {
            // Whatever came, the peer hears where we are: at once unless it is text in order.
            touch(b)
        }
        guard segment.count > 0 else { return false }
        if b.pointee.flags.contains(.measuresRoundTrip) { sampleReceiver(b, segment) }
        guard b.pointee.state.canReceive else {
            // The peer has sent FIN before: text behind it is an error of its own making.
            b.pointee.flags.insert(.ackNow)
            return false
        }
        if b.pointee.flags.contains(.finSeen), segment.sequence + segment.count > b.pointee.rcvFin {
            segment.count = max(0, b.pointee.rcvFin - segment.sequence)
            if segment.count == 0 { return false }
        }
        let start = (segment.base + segment.textStart) - UnsafeRawPointer(pool.address(frame))
        if segment.sequence == b.pointee.rcvNxt {
            statistics.tcpBytesReceived &+= UInt64(segment.count)
            b.pointee.rcvNxt += segment.count
            deliver(b, frame, start: start, count: segment.count)
            if b.pointee.oooHead != .none {
                deliverOutOfOrder(b)
                acknowledgeFilledGap(b)
            }
            return true
        }
        insertOutOfOrder(b, frame, sequence: segment.sequence, start: start, count: segment.count)
        acknowledgeBehindGap(b)
        return true
    }

    /// Eighth: FIN, once everything before it has come.
    private func eighthCheckFin(_ b: Block, _ segment: TCPSegment) {
        // A FIN before text that came already contradicts itself.
        if segment.flags.contains(.fin), b.pointee.state.canReceive, !b.pointee.flags.contains(.finSeen),
            !hasText(b, behind: segment.sequence + segment.count)
        {
            b.pointee.flags.insert(.finSeen)
            b.pointee.rcvFin = segment.sequence + segment.count
            // Behind a gap, and without text that was answered already (RFC 5681 4.2).
            if segment.count == 0, b.pointee.rcvNxt != b.pointee.rcvFin { sendAck(b) }
        }
        guard b.pointee.flags.contains(.finSeen), b.pointee.state.canReceive,
            b.pointee.rcvNxt == b.pointee.rcvFin
        else { return }
        b.pointee.rcvNxt += 1
        b.pointee.rcvEdge = SequenceNumber.later(b.pointee.rcvEdge, b.pointee.rcvNxt)
        b.pointee.flags.insert(.ackNow)
        touch(b)
        signal(b, .endOfStream)
        switch b.pointee.state {
        case .established: b.pointee.state = .closeWait
        // Our FIN is not acknowledged, else the state were FIN-WAIT-2 by now.
        case .finWait1: b.pointee.state = .closing
        case .finWait2: enterTimeWait(b)
        case .closed, .synSent, .synReceived, .closeWait, .closing, .lastAck, .timeWait: break
        }
    }
}
