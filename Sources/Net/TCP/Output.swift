import Runtime

/// What leaves, and when: the only place that decides it. `output` runs once a turn over the connections that something
/// happened to; timers and input only change state and `touch`.
extension Stack {
    /// Whether `output` has anything to do.
    @inlinable @inline(__always) public var hasOutput: Bool { touchedHead != nil }

    /// Builds the segments and ACKs that are due and puts them on `transmitQueue`. O(connections touched + segments).
    public func output(now: Nanoseconds) {
        begin(now)
        isBursting = false
        var next = touchedHead
        touchedHead = nil
        touchedTail = nil
        while let b = next {
            next = b.pointee.nextTouched
            let flags = b.pointee.flags.subtracting([.inTouched, .starved])
            b.pointee.flags = flags
            if flags.isDisjoint(with: .unusualOutput), sendReply(b) {
                continue
            }
            outputOther(b)
        }
        if postponedHead != nil { outputPostponed() }
    }

    @inline(never) private func outputOther(_ b: Block) {
        if b.pointee.flags.contains(.dead) { return recycle(b) }
        if b.pointee.sndFrames > Self.fewFrames { return postpone(b) }
        outputNow(b)
    }

    @inline(never) func outputNow(_ b: Block) {
        outputConnection(b)
        if b.pointee.flags.contains(.starved) { touch(b) }
    }

    @inline(__always) private func outputConnection(_ b: Block) {
        // SYNs are sent where they are decided, and again by their timer.
        guard b.pointee.state.isSynchronized else { return }
        if b.pointee.openFrame != .none {
            pool.release(b.pointee.openFrame)
            b.pointee.openFrame = .none
        }
        if b.pointee.sndChunks.head != nil { moveChunksToFrames(b) }
        let mayHaveText = b.pointee.sndUnsent != .none || b.pointee.flags.contains(.scored)
        let sent = mayHaveText && sendText(b)
        let flags = b.pointee.flags
        if flags.contains(.finQueued) { sendFin(b) } else if sent, !flags.contains(.holdsAck) { return }
        // Text carries the ACK and the window, but no SACK blocks; without any, they may have to leave by themselves.
        outputAck(b)
    }

    @inline(never) private func outputAck(_ b: Block) {
        let flags = b.pointee.flags
        if flags.contains(.ackNow) {
            sendAck(b)
        } else if flags.contains(.holdsAck) {
            outputHeldAck(b)
        } else if b.pointee.rcvNxt != b.pointee.lastAckSent {
            acknowledgeLater(b)
        } else if isWindowUpdateDue(b) {
            sendAck(b)
        }
    }

    /// Text was received and nothing has carried its ACK: a full segment is acknowledged in the turn that brought it, since
    /// a sender in slow start waits for nothing else, and a busy turn brings many segments for its one ACK (on a long path:
    /// when the burst that brought it is over); less waits a little (RFC 5681 4.2, RFC 9293 3.8.6.3).
    @inline(never) private func acknowledgeLater(_ b: Block) {
        if b.pointee.rcvNxt - b.pointee.lastAckSent >= Int(b.pointee.mss) || isWindowUpdateDue(b) {
            acknowledgeBurst(b)
        } else if b.pointee.delayedAckAt == .max {
            b.pointee.delayedAckAt = now &+ configuration.delayedAck
            armTimer(b, b.pointee.delayedAckAt)
        }
    }

    // MARK: text

    /// What nearly always leaves: a frame that was never sent, and nothing is in flight. False: it is not so, and nothing
    /// has changed. The octet after the last one acknowledged is its first: otherwise a part of it were sent. The caller
    /// knows that there is neither FIN nor a probe to be sent; so with nothing in flight no retransmission timer runs.
    @inline(__always) private func sendReply(_ b: Block) -> Bool {
        let frame = b.pointee.sndHead
        let start = b.pointee.sndUna
        guard b.pointee.sndFrames == 1, frame == b.pointee.sndUnsent, b.pointee.state.isSynchronized,
            b.pointee.sndMax == start, b.pointee.sndChunks.head == nil,
            b.pointee.optionsLength == UInt8(TCPOptions.timestampsLength), transmitQueue.room > 1
        else { return false }
        let info = pool.info(frame)
        guard info.pointee.flags == 0, UInt32(info.pointee.count) <= b.pointee.sndWnd else { return false }
        let count = Int(info.pointee.count)
        info.pointee.flags = SendFlags.sent
        info.pointee.stamp = now
        pool.retain(frame)
        emit(
            b, frame, count: count, sequence: start, flags: [.ack, .psh], options: TCPOptions.timestampsLength,
            room: true)
        statistics.tcpBytesSent &+= UInt64(count)
        b.pointee.sndUnsent = .none
        b.pointee.sndMax = start + count
        startRetransmission(b)
        return true
    }

    /// Segments that one connection may send in a turn: the others' segments are not kept waiting for longer (they cost
    /// about a microsecond each), and a router's queue sees no larger bursts.
    static let burst = 32

    /// Sends what is lost again, then from sndMax on, as far as the congestion window and the peer's window allow. True if a
    /// segment left.
    @inline(never) private func sendText(_ b: Block) -> Bool {
        var budget = Self.burst
        if let s = b.pointee.send, s.pointee.lostBytes > 0 {
            sendLost(b, s, &budget)
            // What is new waits for that.
            if s.pointee.lostBytes > 0 { return budget < Self.burst }
        }
        guard b.pointee.sndUnsent != .none else { return budget < Self.burst }
        if b.pointee.flight == 0, b.pointee.send != nil { congestionRestart(b) }
        let before = b.pointee.sndMax
        while b.pointee.sndUnsent != .none {
            let frame = b.pointee.sndUnsent
            let end = frameEnd(frame)
            if end - b.pointee.sndUna > Int(b.pointee.sndWnd) {
                if budget > 0, sendIntoWindow(b, frame) {
                    budget &-= 1
                    continue
                }
                break
            }
            let pipe = b.pointee.pipe
            if pipe > 0, pipe &+ (end - b.pointee.sndMax) > sendLimit(b) {
                noteWindowFull(b)
                break
            }
            guard mayBurst(b, budget), sendFrame(b, frame) else { break }
            budget &-= 1
        }
        if b.pointee.sndMax != before { newTextLeft(b) }
        return budget < Self.burst
    }

    /// A timer runs for what left: for a tail loss probe if one may be sent, from now on; else the timeout that runs already.
    @inline(__always) private func newTextLeft(_ b: Block) {
        if let s = b.pointee.send, mayProbe(b, s) {
            startLossTimer(b, s)
        } else if b.pointee.retransmitAt == .max {
            startRetransmission(b)
        }
    }

    /// cwnd, and for the first two duplicate ACKs a segment more each (limited transmit, RFC 3042). A peer that sends SACK
    /// blocks takes bytes out of the pipe instead.
    @inline(__always) private func sendLimit(_ b: Block) -> Int {
        let extra =
            b.pointee.duplicateAcks < 3 && !b.pointee.flags.contains(.fastRecovery)
            ? Int(b.pointee.duplicateAcks) &* Int(b.pointee.mss) : 0
        return Int(b.pointee.cwnd) &+ extra
    }

    /// PSH on what empties the queue; ACK always.
    @inline(__always) private func textFlags(_ b: Block, upTo end: SequenceNumber) -> TCPFlags {
        end == b.pointee.sndEnd && b.pointee.sndChunks.head == nil ? [.ack, .psh] : .ack
    }

    @inline(__always) private func emitText(_ b: Block, _ frame: FrameID, count: Int, sequence: SequenceNumber) {
        let flags = textFlags(b, upTo: sequence + count)
        if b.pointee.flags.contains(.ecn) {
            emitCapable(b, frame, count: count, sequence: sequence, flags: flags)
        } else {
            emit(b, frame, count: count, sequence: sequence, flags: flags)
        }
    }

    /// Sends the frame that holds sndMax, or what was not sent of it. False when there was no frame for a copy.
    func sendFrame(_ b: Block, _ frame: FrameID) -> Bool {
        let info = pool.info(frame)
        let start = SequenceNumber(info.pointee.sequence)
        if start == b.pointee.sndMax, info.pointee.references == 1 {
            sendInPlace(b, frame)
        } else {
            // The frame is still on its way out, or only the rest of it is wanted.
            let done = b.pointee.sndMax - start
            guard sendCopy(b, frame, from: done, count: Int(info.pointee.count) &- done) else { return false }
        }
        b.pointee.sndUnsent = info.pointee.next
        return true
    }

    /// Sends a whole frame of the queue as it lies. It keeps its reference in the queue.
    @inline(__always) func sendInPlace(_ b: Block, _ frame: FrameID) {
        let info = pool.info(frame)
        let count = Int(info.pointee.count)
        let start = SequenceNumber(info.pointee.sequence)
        noteSent(b, frame, from: start)
        pool.retain(frame)
        emitText(b, frame, count: count, sequence: start)
        advanceSendNext(b, to: start + count, count: count)
    }

    /// Sends a part of a frame from a copy. False (and starved) when there is no frame for it.
    @inline(never) func sendCopy(_ b: Block, _ frame: FrameID, from offset: Int, count: Int) -> Bool {
        guard let copy = pool.allocate() else {
            statistics.frameShortages &+= 1
            b.pointee.flags.insert(.starved)
            return false
        }
        let info = pool.info(frame)
        let start = SequenceNumber(info.pointee.sequence) + offset
        noteSent(b, frame, from: start)
        let payload = pool.address(copy) + Self.payloadOffset
        payload.copyMemory(from: pool.address(frame) + Self.payloadOffset + offset, byteCount: count)
        emitText(b, copy, count: count, sequence: start)
        advanceSendNext(b, to: start + count, count: count)
        return true
    }

    /// Remembers for round-trip samples and loss detection when the frame left, or that it left twice. With something in
    /// flight already, or sent before, a scoreboard is kept from now on.
    @inline(__always) private func noteSent(_ b: Block, _ frame: FrameID, from start: SequenceNumber) {
        let info = pool.info(frame)
        if b.pointee.send == nil, b.pointee.flight != 0, !b.pointee.flags.contains(.persisting) { _ = takeSendState(b) }
        if info.pointee.flags & SendFlags.sent != 0 {
            info.pointee.flags |= SendFlags.retransmitted
            if start < b.pointee.sndMax { countRetransmission(b) }
        }
        info.pointee.flags |= SendFlags.sent
        info.pointee.stamp = now
        if let s = b.pointee.send {
            if info.pointee.flags & SendFlags.linked != 0 { unlink(s, info) }
            link(s, frame)
        }
    }

    @inline(__always) private func advanceSendNext(_ b: Block, to end: SequenceNumber, count: Int) {
        statistics.tcpBytesSent &+= UInt64(count)
        if b.pointee.sndMax < end { b.pointee.sndMax = end }
        if b.pointee.flags.contains(.fastRecovery), let s = b.pointee.send {
            s.pointee.sentInRecovery &+= UInt32(truncatingIfNeeded: count)
        }
        if b.pointee.retransmitAt == .max { startRetransmission(b) }
    }

    // MARK: a window smaller than the frame

    /// The frame does not fit into the peer's window. Sends the part that does, if that is worth a segment (RFC 9293
    /// 3.8.6.2.1); otherwise waits for an ACK or, with nothing in flight, for the persist timer. True to go on.
    @inline(never) private func sendIntoWindow(_ b: Block, _ frame: FrameID) -> Bool {
        let flight = b.pointee.flight
        let usable = Int(b.pointee.sndWnd) &- flight
        let done = b.pointee.sndMax - SequenceNumber(pool.info(frame).pointee.sequence)
        let worth = usable > 0 && 2 &* usable >= min(Int(b.pointee.sndWndMax), 2 &* Int(b.pointee.mss))
        if worth, flight == 0 || b.pointee.pipe &+ usable <= sendLimit(b), transmitQueue.room > 1 {
            // The frame goes on being the unsent one: sndMax lies inside it now.
            return sendCopy(b, frame, from: done, count: usable)
        }
        if flight == 0 { startPersist(b) }
        return false
    }

    /// One octet beyond the window, or what little fits: an ACK with the present window answers it.
    func sendWindowProbe(_ b: Block) {
        let frame = b.pointee.sndHead
        guard frame != .none else { return }
        let info = pool.info(frame)
        let done = b.pointee.sndUna - SequenceNumber(info.pointee.sequence)
        let left = Int(info.pointee.count) &- done
        statistics.tcpWindowProbes &+= 1
        if sendCopy(b, frame, from: done, count: min(max(1, Int(b.pointee.sndWnd)), left)),
            frame == b.pointee.sndUnsent, b.pointee.sndMax >= frameEnd(frame)
        {
            b.pointee.sndUnsent = info.pointee.next
            // It may have been the last text before FIN.
            touch(b)
        }
    }

    // MARK: FIN

    /// FIN follows the last octet (RFC 9293 3.6): sent for the first time when nothing waits before it, and again when it is
    /// taken for lost.
    @inline(never) private func sendFin(_ b: Block) {
        guard b.pointee.sndUnsent == .none, b.pointee.sndChunks.head == nil else { return }
        if b.pointee.flags.contains(.finSent) {
            guard let s = b.pointee.send, s.pointee.finLost, s.pointee.lostBytes == 1 else { return }
            if emitFin(b) {
                s.pointee.finLost = false
                s.pointee.lostBytes = 0
            }
            return
        }
        switch b.pointee.state {
        case .established: b.pointee.state = .finWait1
        case .closeWait: b.pointee.state = .lastAck
        // Once more, after there was no frame for it.
        case .finWait1, .closing, .lastAck: break
        case .closed, .synSent, .synReceived, .finWait2, .timeWait: return
        }
        _ = emitFin(b)
    }

    /// False, and starved, when there is neither room nor a frame.
    func emitFin(_ b: Block) -> Bool {
        guard transmitQueue.room > 1, let frame = controlFrame() else {
            b.pointee.flags.insert(.starved)
            return false
        }
        if b.pointee.sndMax > b.pointee.sndEnd { countRetransmission(b) }
        b.pointee.flags.insert(.finSent)
        emit(b, frame, count: 0, sequence: b.pointee.sndEnd, flags: echo(b, [.fin, .ack]))
        advanceSendNext(b, to: b.pointee.sndEnd + 1, count: 0)
        return true
    }
}
