import Runtime

/// The short way from a frame to its connection: Van Jacobson's header prediction over all three headers at once. Nearly
/// every frame is an unfragmented datagram without IPv4 options for us, with the next text or ACK of an established
/// connection. For it all other checks and steps (inputFrame, inputIPv4, inputTCP, segmentArrives) would do nothing.
extension Stack {
    /// Offsets in a frame whose headers have their usual sizes.
    private static let ip = Ethernet.headerLength
    private static let tcp = Ethernet.headerLength + IPv4Header.minimumLength
    private static let headers = tcp + TCPSegment.minimumHeader

    /// Takes over the frame, unless it is anything but the expected: then nothing has changed and the answer is false.
    /// A call for each frame: with the burst's loop around it, the registers would not suffice.
    @usableFromInline @inline(never) func inputExpected(_ d: FrameDescriptor) -> Bool {
        let p = UnsafeRawPointer(pool.address(d.frame)) + Int(d.offset)
        guard let (b, count) = expectedSegment(d, p, options: TCPOptions.timestampsLength)
        else { return inputWithoutOptions(d) }
        let start = Int(d.offset) &+ Self.headers &+ TCPOptions.timestampsLength
        return inputRequest(b, p, d.frame, start: start, count: count)
            || inputPredicted(b, d.frame, p, options: TCPOptions.timestampsLength, count: count)
    }

    /// Of a peer that does without timestamps.
    @inline(never) private func inputWithoutOptions(_ d: FrameDescriptor) -> Bool {
        let p = UnsafeRawPointer(pool.address(d.frame)) + Int(d.offset)
        guard let (b, count) = expectedSegment(d, p, options: 0) else { return false }
        return inputPredicted(b, d.frame, p, options: 0, count: count)
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
        let key = ConnectionTable.key(remoteRaw: p.raw32(Self.ip + 12), portsRaw: p.raw32(Self.tcp))
        let b = table.findPresent(key)
        guard b.pointee.state == .established, options == Int(b.pointee.optionsLength) else { return nil }
        return (b, count)
    }

    /// The datagram's length if the frame is for us and has a sound IPv4 header without options before TCP.
    @inline(__always) private func expectedDatagram(_ p: UnsafeRawPointer, within limit: Int) -> Int? {
        // Type IPv4, version 4, five words of header; any type of service, but neither CE nor ECT(1) (RFC 3168): of their
        // bits the lower one.
        guard p.raw64(0) &<< 16 == hardwareSelfRaw &<< 16, p.raw32(12) & 0x01FF_FFFF == 0x0045_0008,
            p.raw32(Self.ip + 16) == addressRaw
        else { return nil }
        // Neither MF nor an offset; protocol TCP.
        let word0 = p.raw64(Self.ip)
        let word1 = p.raw64(Self.ip + 8)
        guard word0 & 0xFF3F_0000_0000_0000 == 0, word1 & 0xFF00 == UInt64(IPProtocol.tcp) << 8 else { return nil }
        let sum = InternetChecksum.add(InternetChecksum.add(word0, word1), UInt64(addressRaw))
        let total = Int(UInt16(truncatingIfNeeded: word0 &>> 16).byteSwapped)
        return InternetChecksum.isRight(sum) && total <= limit ? total : nil
    }

    @inline(__always) private func isSumRight(_ p: UnsafeRawPointer, _ total: Int) -> Bool {
        let count = total &- IPv4Header.minimumLength
        let pseudo = InternetChecksum.pseudoHeader(
            p.raw32(Self.ip + 12), addressRaw, protocol: IPProtocol.tcp, length: count)
        return InternetChecksum.isRight(InternetChecksum.sumSegment(p + Self.tcp, count, pseudo))
    }

    /// The next request of a peer that has got the reply to the last one: text in order, with timestamps, all that was sent
    /// is acknowledged, it was one frame, and nothing unread is left. This is `inputPredicted` without anything that could take longer, so
    /// that no register has to be saved for a call. False: it is not so, and nothing has changed.
    @_transparent private func inputRequest(
        _ b: Block, _ p: UnsafeRawPointer, _ frame: FrameID, start: Int, count: Int
    ) -> Bool {
        let sequence = SequenceNumber(p.big32(Self.tcp + 4))
        let ack = SequenceNumber(p.big32(Self.tcp + 8))
        let value = p.big32(Self.headers + 4)
        let flags = b.pointee.flags
        guard count > 0, sequence == b.pointee.rcvNxt, count <= b.pointee.rcvWindow, b.pointee.oooHead == .none,
            flags.isDisjoint(with: .unpredicted.union(.scored)),
            isReplyAcknowledged(b, ack), isFirstUnread(b),
            p.raw32(Self.headers) == TCPOptions.alignedTimestampsRaw,
            Int32(bitPattern: value &- b.pointee.tsRecent) >= 0
        else { return false }
        if sequence == b.pointee.lastAckSent { b.pointee.tsRecent = value }
        statistics.framesReceived &+= 1
        statistics.ipv4Received &+= 1
        statistics.tcpSegmentsReceived &+= 1
        statistics.tcpBytesReceived &+= UInt64(count)
        b.pointee.rcvNxt = sequence + count
        b.pointee.lastReceived = now
        b.pointee.sndWl1 = sequence
        b.pointee.sndWl2 = ack
        // Nothing is unsent that could wait for the window.
        let window = UInt32(p.big16(Self.tcp + 14)) &<< UInt32(b.pointee.sndScale)
        b.pointee.sndWnd = window
        if window > b.pointee.sndWndMax { b.pointee.sndWndMax = window }
        acknowledgeReply(b, ack)
        appendFirst(b, frame, start: start, count: count)
        // `signal` and `touch` with one store of the flags.
        b.pointee.events.formUnion(.readable)
        b.pointee.flags = flags.union([.inReady, .inTouched])
        if !flags.contains(.inReady) { appendReady(b) }
        if !flags.contains(.inTouched) { appendTouched(b) }
        return true
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
