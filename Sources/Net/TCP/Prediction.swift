import Runtime

/// The short way from a frame to its connection: Van Jacobson's header prediction over all three headers at once. Nearly
/// every frame is an unfragmented datagram without IPv4 options for us, with the next text or ACK of an established
/// connection. For it all other checks and steps (inputFrame, inputIPv4, inputTCP, segmentArrives) would do nothing.
extension Stack {
    /// Offsets in a frame whose headers have their usual sizes.
    private static let ip = Ethernet.headerLength
    private static let tcp = Ethernet.headerLength + IPv4Header.minimumLength
    @usableFromInline static let headers = tcp + TCPSegment.minimumHeader

    /// Takes over the frame, unless it is anything but the expected: then nothing has changed. A call for each frame: with
    /// the burst's loop around it, the registers would not suffice.
    @usableFromInline @inline(never) func inputExpected(_ d: FrameDescriptor) -> ExpectedInput {
        let p = UnsafeRawPointer(pool.address(d.frame)) + Int(d.offset)
        let length = Int(d.length)
        guard length > Self.requestHeaders, p.raw16(Self.requestFlagsOffset) == Self.requestFlags,
            let total = expectedDatagram(p, within: length &- Self.ip), total > Self.requestHeaders - Self.ip,
            isSumRight(p, total)
        else { return inputOther(d) }
        let b = expectedBlock(p)
        let count = total &- (Self.requestHeaders - Self.ip)
        guard isRequest(b, p, count: count) else { return inputOther(d, b, count: count) }
        // No call on the way from here on, or before: no register has to be saved.
        guard b.pointee.flags.contains(.answered), p.raw16(Self.tcp + 14) == b.pointee.sndWndField else {
            return inputRequestAnew(d, b, count: count)
        }
        takeRequest(b, p, count: count)
        return ExpectedInput(block: b, text: p + Self.requestHeaders, count: count)
    }

    /// A sound segment with PSH that is no request to be served on the spot.
    @inline(never) private func inputOther(_ d: FrameDescriptor, _ b: Block, count: Int) -> ExpectedInput {
        guard b.pointee.state == .established, b.pointee.optionsLength == TCPOptions.timestampsLength else {
            return .unexpected
        }
        let p = UnsafeRawPointer(pool.address(d.frame)) + Int(d.offset)
        let taken = inputPredicted(b, d.frame, p, options: TCPOptions.timestampsLength, count: count)
        return taken ? .done : .unexpected
    }

    /// ACKs, and text with more behind it.
    @inline(never) private func inputOther(_ d: FrameDescriptor) -> ExpectedInput {
        let p = UnsafeRawPointer(pool.address(d.frame)) + Int(d.offset)
        guard let (b, count) = expectedSegment(d, p, options: TCPOptions.timestampsLength)
        else { return inputWithoutOptions(d) }
        let taken = inputPredicted(b, d.frame, p, options: TCPOptions.timestampsLength, count: count)
        return taken ? .done : .unexpected
    }

    /// The block of the connection that the segment in the frame at `p` is for, or a closed one; it may also be closed for
    /// one that the table is moving (`ConnectionTable.findPresent`).
    @inline(__always) private func expectedBlock(_ p: UnsafeRawPointer) -> Block {
        let key = ConnectionTable.key(remoteRaw: p.raw32(Self.ip + 12), portsRaw: p.raw32(Self.tcp))
        let last = lastExpected
        return last.pointee.key == key ? last : findExpected(key)
    }

    @inline(never) private func findExpected(_ key: UInt64) -> Block {
        let b = table.findPresent(key)
        // The table's own closed block goes with its slots.
        if b.pointee.state != .closed { lastExpected = b }
        return b
    }

    /// Of a peer that does without timestamps.
    @inline(never) private func inputWithoutOptions(_ d: FrameDescriptor) -> ExpectedInput {
        let p = UnsafeRawPointer(pool.address(d.frame)) + Int(d.offset)
        guard let (b, count) = expectedSegment(d, p, options: 0) else { return .unexpected }
        return inputPredicted(b, d.frame, p, options: 0, count: count) ? .done : .unexpected
    }

    /// The established connection of a sound segment at `p` with so many bytes of options, a constant, and the bytes of
    /// its text.
    @inline(__always) private func expectedSegment(
        _ d: FrameDescriptor, _ p: UnsafeRawPointer, options: Int
    ) -> (Block, Int)? {
        let length = Int(d.length)
        guard length >= Self.headers + options, let total = expectedDatagram(p, within: length &- Self.ip)
        else { return nil }
        // Header length without reserved bits, ACK, and PSH or not; nothing else.
        let offsetAndFlags = UInt16(truncatingIfNeeded: (TCPSegment.minimumHeader + options) &<< 2) | 0x1000
        let count = total &- (IPv4Header.minimumLength + TCPSegment.minimumHeader + options)
        guard p.raw16(Self.tcp + 12) & 0xF7FF == offsetAndFlags, count >= 0, isSumRight(p, total) else { return nil }
        // A block has a valid source address: it was checked when the block was made.
        let b = expectedBlock(p)
        guard b.pointee.state == .established, options == Int(b.pointee.optionsLength) else { return nil }
        return (b, count)
    }

    /// The datagram's length if the frame is for us and has a sound IPv4 header without options before TCP.
    @inline(__always) private func expectedDatagram(_ p: UnsafeRawPointer, within limit: Int) -> Int? {
        guard p.raw64(0) &<< 16 == hardwareSelfRaw &<< 16, p.raw16(12) == EtherType.ipv4.bigEndian,
            p.raw32(Self.ip + 16) == addressRaw
        else { return nil }
        // Version 4, five words of header; any type of service, but neither CE nor ECT(1) (RFC 3168): of their bits the
        // lower one. Neither MF nor an offset. Protocol TCP.
        let word0 = p.raw64(Self.ip)
        let word1 = p.raw64(Self.ip + 8)
        guard word0 & 0xFF3F_0000_0000_01FF == 0x45, p.byte(Self.ip + 9) == IPProtocol.tcp else { return nil }
        let sum = InternetChecksum.add(word0, word1, UInt64(addressRaw))
        let total = Int(UInt16(truncatingIfNeeded: word0 &>> 16).byteSwapped)
        return InternetChecksum.isRight(sum) && total <= limit ? total : nil
    }

    @inline(__always) private func isSumRight(_ p: UnsafeRawPointer, _ total: Int) -> Bool {
        let count = total &- IPv4Header.minimumLength
        // The pseudo-header's addresses lie side by side.
        let numbers = UInt64(UInt16(IPProtocol.tcp).bigEndian) &+ UInt64(UInt16(truncatingIfNeeded: count).bigEndian)
        let pseudo = InternetChecksum.add(p.raw64(Self.ip + 12), numbers)
        return InternetChecksum.isRight(InternetChecksum.sumSegment(p + Self.tcp, count, pseudo))
    }

    /// The next request of a peer that has got the reply to the last one: text in order, with timestamps, and all that was
    /// sent is acknowledged. With `answered`, or when `isAnswerable`, it was one frame and nothing unread is left: then
    /// `takeRequest` is all that `inputPredicted` would do, and the text is left to the caller (Answer.swift).
    @inline(__always) private func isRequest(_ b: Block, _ p: UnsafeRawPointer, count: Int) -> Bool {
        let sequence = SequenceNumber(p.big32(Self.tcp + 4))
        return sequence == b.pointee.rcvNxt
            && UInt32(truncatingIfNeeded: count) <= b.pointee.rcvEdge.raw &- sequence.raw
            && SequenceNumber(p.big32(Self.tcp + 8)) == b.pointee.sndMax
            && p.raw32(Self.headers) == TCPOptions.alignedTimestampsRaw
            && Int32(bitPattern: p.big32(Self.headers + 4) &- b.pointee.tsRecent) >= 0
    }

    @inline(__always) private func takeRequest(_ b: Block, _ p: UnsafeRawPointer, count: Int) {
        let sequence = b.pointee.rcvNxt
        let ack = b.pointee.sndMax
        if sequence == b.pointee.lastAckSent { b.pointee.tsRecent = p.big32(Self.headers + 4) }
        statistics.framesReceived &+= 1
        statistics.ipv4Received &+= 1
        statistics.tcpSegmentsReceived &+= 1
        statistics.tcpBytesReceived &+= UInt64(count)
        b.pointee.rcvNxt = sequence + count
        b.pointee.lastReceived = now
        b.pointee.sndWl1 = sequence
        b.pointee.sndWl2 = ack
        acknowledgeReply(b, ack)
    }

    /// A request for whose connection more has to be looked up than `answered`, or with another window.
    @inline(never) private func inputRequestAnew(_ d: FrameDescriptor, _ b: Block, count: Int) -> ExpectedInput {
        guard b.pointee.flags.contains(.answered) || isAnswerable(b) else { return inputOther(d, b, count: count) }
        let p = UnsafeRawPointer(pool.address(d.frame)) + Int(d.offset)
        takeWindow(b, p.raw16(Self.tcp + 14))
        takeRequest(b, p, count: count)
        return ExpectedInput(block: b, text: p + Self.requestHeaders, count: count)
    }

    /// What `answered` says, looked up. The ACK is that of sndMax, which the caller has checked.
    @inline(__always) private func isAnswerable(_ b: Block) -> Bool {
        b.pointee.state == .established && b.pointee.optionsLength == TCPOptions.timestampsLength
            && b.pointee.oooHead == .none && b.pointee.flags.isDisjoint(with: .unanswered)
            && isReplyAcknowledged(b, b.pointee.sndMax) && isFirstUnread(b)
    }

    /// Nothing is unsent that could wait for the window.
    @inline(__always) private func takeWindow(_ b: Block, _ field: UInt16) {
        b.pointee.sndWndField = field
        let window = UInt32(field.bigEndian) &<< UInt32(b.pointee.sndScale)
        b.pointee.sndWnd = window
        if window > b.pointee.sndWndMax { b.pointee.sndWndMax = window }
    }

    /// The segment at its connection: the next in order, inside the window, acknowledging what was sent, and nothing is
    /// kept behind a gap. False: it is not so, and nothing has changed.
    @inline(never) private func inputPredicted(
        _ b: Block, _ frame: FrameID, _ p: UnsafeRawPointer, options: Int, count: Int
    ) -> Bool {
        let sequence = SequenceNumber(p.big32(Self.tcp + 4))
        let ack = SequenceNumber(p.big32(Self.tcp + 8))
        let acked = ack - b.pointee.sndUna
        guard sequence == b.pointee.rcvNxt, count <= b.pointee.rcvWindow, b.pointee.oooHead == .none,
            acked >= 0, ack <= b.pointee.sndMax,
            b.pointee.flags.isDisjoint(with: .unpredicted)
        else { return false }
        if options != 0 {
            // RFC 7323 5.3: a timestamp must be there and must not be older than TS.Recent.
            let value = p.big32(Self.headers + 4)
            guard p.raw32(Self.headers) == TCPOptions.alignedTimestampsRaw,
                Int32(bitPattern: value &- b.pointee.tsRecent) >= 0
            else { return false }
            if sequence == b.pointee.lastAckSent { b.pointee.tsRecent = value }
        }
        statistics.framesReceived &+= 1
        statistics.ipv4Received &+= 1
        statistics.tcpSegmentsReceived &+= 1
        b.pointee.flags.remove(.answered)
        b.pointee.lastReceived = now
        b.pointee.sndWl1 = sequence
        b.pointee.sndWl2 = ack
        let window = UInt32(p.big16(Self.tcp + 14)) &<< UInt32(b.pointee.sndScale)
        let sameWindow = window == b.pointee.sndWnd
        if !sameWindow { updateSendWindow(b, window) }
        if acked > 0 {
            _ = acknowledge(b, ack, timestampEcho: options == 0 ? 0 : p.big32(Self.headers + 8))
        } else if count == 0, sameWindow {
            duplicateAck(b)
        }
        if count > 0 {
            statistics.tcpBytesReceived &+= UInt64(count)
            b.pointee.rcvNxt += count
            let start = (p + Self.headers + options) - UnsafeRawPointer(pool.address(frame))
            appendReceived(b, frame, start: start, count: count)
            signal(b, .readable)
            touch(b)
        } else {
            pool.release(frame)
        }
        return true
    }
}
