import Runtime

/// Requests that are taken on the spot as in Answer.swift, but answered later, because somebody else must run them first. In
/// between, nothing of them is in the stack: the frame is back in its pool, and the ACK is put off until the reply carries it.
extension Stack {
    /// All of the request's text was read; its reply will come by `answerKept`, `commit`, or never.
    @inlinable @inline(__always) public func keep(_ request: PredictedRequest) {
        keep(request.connection.block, request.descriptor.frame)
    }

    @usableFromInline @inline(never) func keep(_ b: Block, _ frame: FrameID) {
        pool.release(frame)
        b.pointee.flags.remove(.answered)
        // What was in flight is acknowledged, and `answer` has not started the timer again.
        b.pointee.retransmitAt = .max
        guard b.pointee.rcvNxt - b.pointee.lastAckSent < Int(b.pointee.mss), !isWindowUpdateDue(b) else {
            return touch(b)
        }
        guard b.pointee.delayedAckAt == .max else { return }
        b.pointee.delayedAckAt = now &+ configuration.delayedAck
        armTimer(b, b.pointee.delayedAckAt)
    }

    /// `commit` for a reply behind which no other is to be expected: with nothing else to be sent it leaves at once.
    @inlinable @inline(__always)
    public func answerKept(_ c: TCPConnection, _ cursor: UnsafeMutableRawPointer, now: Nanoseconds) {
        begin(now)
        answerKept(c.block, cursor)
    }

    @usableFromInline @inline(never) func answerKept(_ b: Block, _ cursor: UnsafeMutableRawPointer) {
        let frame = b.pointee.openFrame
        guard frame != .none, b.pointee.state == .established, b.pointee.sndChunks.head == nil,
            b.pointee.flags.isDisjoint(with: .unanswered.union([.inTouched, .ackNow])),
            b.pointee.optionsLength == TCPOptions.timestampsLength
        else { return commitOther(b, cursor) }
        let count = cursor - (pool.address(frame) + Self.payloadOffset)
        guard isAnswerSegment(b, count) else { return commitOther(b, cursor) }
        let timeout = now &+ shortRTO
        let length = TCPSegment.minimumHeader + TCPOptions.timestampsLength &+ count
        // As in `answer`.
        guard isQuiet(b), b.pointee.headerCount == UInt32(truncatingIfNeeded: length),
            b.pointee.nextHopGeneration == neighbours.generation,
            b.pointee.estimator.isWithin(microseconds: shortRTOMicroseconds),
            b.pointee.timer.isScheduled, b.pointee.timer.deadline <= timeout
        else { return answerKeptAnew(b, frame, count) }
        emitAnswer(b, frame, count: count, sequence: appendAnswer(b, frame, count))
        b.pointee.delayedAckAt = .max
        b.pointee.retransmitAt = timeout
        b.pointee.flags.insert(.answered)
    }

    @inline(never) private func answerKeptAnew(_ b: Block, _ frame: FrameID, _ count: Int) {
        emitAnswerAnew(b, frame, count)
        if isQuiet(b) { b.pointee.flags.insert(.answered) }
    }

    /// The rest of what `answered` says: not much may have come since the request.
    @inline(__always) private func isQuiet(_ b: Block) -> Bool {
        b.pointee.rcvHead == .none && b.pointee.rcvChunks.head == nil && b.pointee.oooHead == .none
            && b.pointee.writableMark == 0 && b.pointee.backoff == 0
            && Int(b.pointee.cwnd) > 2 &* Int(b.pointee.mss)
            && b.pointee.sndWnd == UInt32(b.pointee.sndWndField.bigEndian) &<< UInt32(b.pointee.sndScale)
    }
}
