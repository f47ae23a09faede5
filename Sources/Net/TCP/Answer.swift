import Runtime

/// What became of a frame on the short way.
@usableFromInline struct ExpectedInput: BitwiseCopyable {
    /// The connection of a request whose text is the caller's to pass on; nil: there is none.
    @usableFromInline let block: Block?
    /// Where the text begins.
    @usableFromInline let text: UnsafeRawPointer?
    /// Bytes of it; with no block 0, or -1 when the frame was not taken over.
    @usableFromInline let count: Int

    @inline(__always) static var done: ExpectedInput { ExpectedInput(block: nil, text: nil, count: 0) }
    @inline(__always) static var unexpected: ExpectedInput { ExpectedInput(block: nil, text: nil, count: -1) }
}

/// The next request, in a segment with PSH, of a connection with nothing unread, nothing unsent and nothing in flight, still in the frame that it
/// came in. It is served on the spot: its text is read there, the reply is written into one frame, and `answer` sends it.
/// So it passes neither the queues of its connection nor the lists of the turn. Whoever gets one ends it with `answer` or
/// with `queue`, before anything else is asked of the stack.
@frozen public struct PredictedRequest: BitwiseCopyable {
    public let connection: TCPConnection
    /// In the frame that it came in, at least one byte.
    public let text: ByteView
    @usableFromInline let descriptor: FrameDescriptor

    @inlinable @inline(__always) init(_ block: Block, _ text: ByteView, _ descriptor: FrameDescriptor) {
        connection = TCPConnection(block)
        self.text = text
        self.descriptor = descriptor
    }

    /// The user's pointer; nil for a connection that the user has not seen yet.
    @inlinable @inline(__always) public var context: UnsafeMutableRawPointer? { connection.block.pointee.context }
}

extension Stack {
    /// Bytes of all headers of a request.
    @inlinable static var requestHeaders: Int { 66 }

    /// Takes over frames of the burst up to the first that brings a request to be served on the spot, or all of them. The
    /// burst begins with `beginBurst`.
    @inlinable @inline(__always) public func nextRequest(of burst: FrameQueue) -> PredictedRequest? {
        while let d = burst.pop() {
            let result = inputExpected(d)
            if let block = result.block {
                return PredictedRequest(block, ByteView(result.text.unsafelyUnwrapped, result.count), d)
            }
            if result.count < 0 { inputUnexpected(d) }
        }
        return nil
    }

    /// The text of a frame that looks like a request to be served on the spot, as far as its length and flags say; nothing is
    /// checked. For looking ahead in a burst.
    @inlinable @inline(__always) public func likelyRequest(_ d: FrameDescriptor) -> ByteView? {
        let p = UnsafeRawPointer(pool.address(d.frame)) + Int(d.offset)
        let count = Int(d.length) &- Self.requestHeaders
        guard count > 0,
            p.loadUnaligned(fromByteOffset: Self.requestFlagsOffset, as: UInt16.self) == Self.requestFlags
        else { return nil }
        return ByteView(p + Self.requestHeaders, count)
    }

    /// Of the word with header length and flags, and what a request has there: 32 bytes of header without reserved bits, PSH
    /// and ACK, nothing else.
    @inlinable static var requestFlagsOffset: Int { 46 }
    @inlinable static var requestFlags: UInt16 { 0x1880 }

    @inlinable @inline(__always) public func beginBurst(now: Nanoseconds) { begin(now) }

    /// One segment of memory for the reply; nil when there is no frame for it. Followed by `answer`, or by `queue` and
    /// `commit`.
    @inlinable @inline(__always) public func replySpan(of request: PredictedRequest) -> OutputSpan? {
        let b = request.connection.block
        guard let frame = pool.allocate() else { return nil }
        b.pointee.openFrame = frame
        let payload = pool.address(frame) + Self.payloadOffset
        return OutputSpan(cursor: payload, limit: payload + Int(b.pointee.mss))
    }

    /// The text behind its first `consumed` bytes, at least one, is read later: it goes the way of all text, and
    /// `nextEvent` will name the connection.
    @usableFromInline @inline(never) func queue(_ b: Block, _ d: FrameDescriptor, _ count: Int, consumed: Int) {
        b.pointee.retransmitAt = .max
        appendReceived(b, d.frame, start: Int(d.offset) &+ Self.requestHeaders &+ consumed, count: count &- consumed)
        signal(b, .readable)
        touch(b)
    }

    @inlinable public func queue(_ request: PredictedRequest, consumed: Int = 0) {
        queue(request.connection.block, request.descriptor, request.text.count, consumed: consumed)
    }

    /// All of the text was read, and the reply is what lies below `cursor`, in the span lent last. It leaves at once in one
    /// segment with the ACK; with others at `output` if it is longer than that.
    ///
    /// This is `answerAnew` for a connection whose last reply was like this one: it calls nothing, so that no register has to
    /// be saved.
    @inline(never) public func answer(_ request: PredictedRequest, _ cursor: UnsafeMutableRawPointer) {
        let b = request.connection.block
        let frame = b.pointee.openFrame
        let count = cursor - (pool.address(frame) + Self.payloadOffset)
        let length = TCPSegment.minimumHeader + TCPOptions.timestampsLength &+ count
        let timeout = now &+ shortRTO
        guard isAnswerSegment(b, count), b.pointee.flags.contains(.answered),
            b.pointee.headerCount == UInt32(truncatingIfNeeded: length),
            b.pointee.nextHopGeneration == neighbours.generation,
            // The retransmission timeout is the lower bound, and the node in the wheel fires before it.
            b.pointee.estimator.isWithin(microseconds: shortRTOMicroseconds),
            b.pointee.timer.isScheduled, b.pointee.timer.deadline <= timeout
        else { return answerAnew(request, cursor) }
        let start = appendAnswer(b, frame, count)
        emitAnswer(b, frame, count: count, sequence: start)
        b.pointee.retransmitAt = timeout
        pool.release(request.descriptor.frame)
    }

    @inline(never) private func answerAnew(_ request: PredictedRequest, _ cursor: UnsafeMutableRawPointer) {
        let b = request.connection.block
        let frame = b.pointee.openFrame
        let count = cursor - (pool.address(frame) + Self.payloadOffset)
        guard isAnswerSegment(b, count) else { return answerLater(request, cursor) }
        emitAnswerAnew(b, frame, count)
        pool.release(request.descriptor.frame)
        // What a request found, and what was done with it, is what `answered` says; but for this.
        if !b.pointee.flags.contains(.inTouched), Int(b.pointee.cwnd) > 2 &* Int(b.pointee.mss) {
            b.pointee.flags.insert(.answered)
        }
    }

    /// Whether the reply is one segment that may leave. Nothing else was committed meanwhile; whatever else would keep it
    /// back was excluded by `isAnswerable`.
    @inline(__always) func isAnswerSegment(_ b: Block, _ count: Int) -> Bool {
        UInt(bitPattern: count &- 1) < UInt(b.pointee.mss) && b.pointee.sndFrames == 0
            && UInt32(truncatingIfNeeded: count) <= b.pointee.sndWnd && transmitQueue.room > 1
    }

    /// The reply becomes the one frame in flight. Returns its first octet.
    @inline(__always) func appendAnswer(_ b: Block, _ frame: FrameID, _ count: Int) -> SequenceNumber {
        let start = b.pointee.sndEnd
        b.pointee.openFrame = .none
        fillInfo(b, frame, count: count)
        let info = pool.info(frame)
        info.pointee.flags = SendFlags.sent
        // The queue's, and that of the descriptor.
        info.pointee.references = 2
        info.pointee.stamp = now
        b.pointee.sndHead = frame
        b.pointee.sndTail = frame
        b.pointee.sndFrames = 1
        b.pointee.sndMax = start + count
        return start
    }

    /// `appendAnswer` and `emitAnswer` for a connection about which nothing is known from the last reply.
    @inline(__always) func emitAnswerAnew(_ b: Block, _ frame: FrameID, _ count: Int) {
        let start = appendAnswer(b, frame, count)
        emit(
            b, frame, count: count, sequence: start, flags: [.ack, .psh], options: TCPOptions.timestampsLength,
            room: true)
        statistics.tcpBytesSent &+= UInt64(count)
        startRetransmission(b)
    }

    @inline(never) private func answerLater(_ request: PredictedRequest, _ cursor: UnsafeMutableRawPointer) {
        let b = request.connection.block
        pool.release(request.descriptor.frame)
        if b.pointee.sndFrames == 0 { b.pointee.retransmitAt = .max }
        touch(b)
        commit(request.connection, cursor)
    }
}
