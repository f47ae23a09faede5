import Runtime

/// Building segments: headers are written right before the payload, so that a frame of the send queue is a whole packet.
extension Stack {
    /// Writes the TCP checksum and, before the segment, the IPv4 header. The checksum field must be zero.
    /// - Parameter count: bytes of TCP header and text.
    @inline(__always) func finishSegment(_ tcp: UnsafeMutableRawPointer, count: Int, destinationRaw: UInt32) {
        let pseudo = InternetChecksum.pseudoHeader(
            addressRaw, destinationRaw, protocol: IPProtocol.tcp, length: count)
        tcp.putRaw16(InternetChecksum.finish(InternetChecksum.sum(tcp, count, pseudo)), 16)
        IPv4Header.write(
            tcp - IPv4Header.minimumLength, protocol: IPProtocol.tcp, sourceRaw: addressRaw,
            destinationRaw: destinationRaw, payload: count)
    }

    @inline(__always) func remoteRaw(_ b: Block) -> UInt32 { UInt32(truncatingIfNeeded: b.pointee.key >> 32) }

    /// Ports, sequence numbers, flags and a zero checksum and urgent pointer.
    @inline(__always) func writeTCP(
        _ tcp: UnsafeMutableRawPointer, _ b: Block, sequence: SequenceNumber, flags: TCPFlags, headerLength: Int,
        window: UInt16
    ) {
        writeTCP(
            tcp, portsRaw: UInt32(truncatingIfNeeded: b.pointee.key), sequence: sequence,
            acknowledgement: flags.contains(.ack) ? b.pointee.rcvNxt.raw : 0, flags: flags, headerLength: headerLength,
            window: window)
    }

    /// - Parameter portsRaw: as received: the remote port first.
    @inline(__always) func writeTCP(
        _ tcp: UnsafeMutableRawPointer, portsRaw: UInt32, sequence: SequenceNumber, acknowledgement: UInt32,
        flags: TCPFlags, headerLength: Int, window: UInt16
    ) {
        tcp.putRaw32(portsRaw >> 16 | portsRaw << 16, 0)
        tcp.putBig32(sequence.raw, 4)
        tcp.putBig32(acknowledgement, 8)
        tcp.putBig16(UInt16(truncatingIfNeeded: headerLength &<< 10) | UInt16(flags.rawValue), 12)
        tcp.putBig16(window, 14)
        tcp.putRaw32(0, 16)
    }

    @inline(__always) func writeTimestamps(_ p: UnsafeMutableRawPointer, _ b: Block) {
        p.putRaw32(TCPOptions.alignedTimestampsRaw, 0)
        p.putBig32(nowMilliseconds &+ b.pointee.tsOffset, 4)
        p.putBig32(b.pointee.tsRecent, 8)
    }

    /// Headers for the `count` bytes at `payloadOffset`, and the frame goes to the transmit queue; the caller gives one
    /// reference with it. `flags` include ACK, so that nothing is owed afterwards. The header is made in words of eight
    /// bytes, which are summed before they are stored: reading back what was just stored in smaller pieces is slow.
    @inline(__always) func emit(_ b: Block, _ frame: FrameID, count: Int, sequence: SequenceNumber, flags: TCPFlags) {
        emit(
            b, frame, count: count, sequence: sequence, flags: flags, options: Int(b.pointee.optionsLength), room: false
        )
    }

    /// The same for a reply on the spot, where everything is as it was for the last one: the headers' words, the next hop,
    /// no ACK owed; nothing is unread, there are timestamps, and the transmit queue has room.
    @inline(__always) func emitAnswer(_ b: Block, _ frame: FrameID, count: Int, sequence: SequenceNumber) {
        writeHeaders(
            b, frame, count: count, sequence: sequence, flags: [.ack, .psh], options: TCPOptions.timestampsLength,
            window: advertiseWindow(b, unread: 0))
        b.pointee.lastAckSent = b.pointee.rcvNxt
        statistics.tcpBytesSent &+= UInt64(count)
        let offset = Self.payloadOffset - TCPSegment.minimumHeader - TCPOptions.timestampsLength
        let d = descriptor(
            frame, offset: offset, count: TCPSegment.minimumHeader + TCPOptions.timestampsLength &+ count)
        writeEthernet(b, d)
        statistics.framesSent &+= 1
        transmitQueue.append(d)
    }

    /// `options` is `optionsLength`, maybe as a constant. `room`: the transmit queue has room for two frames.
    @inline(__always) func emit(
        _ b: Block, _ frame: FrameID, count: Int, sequence: SequenceNumber, flags: TCPFlags, options: Int, room: Bool
    ) {
        let window = advertiseWindow(b, unread: Int(b.pointee.rcvBytes))
        let length = TCPSegment.minimumHeader &+ options &+ count
        if UInt32(truncatingIfNeeded: length) != b.pointee.headerCount { makeHeader(b, count: length) }
        writeHeaders(b, frame, count: count, sequence: sequence, flags: flags, options: options, window: window)
        acknowledgementLeft(b)
        depart(
            b, frame, offset: Self.payloadOffset &- TCPSegment.minimumHeader &- options,
            count: TCPSegment.minimumHeader &+ options &+ count, room: room)
    }

    /// TCP's and IPv4's; the block's words are those of this length.
    @inline(__always) private func writeHeaders(
        _ b: Block, _ frame: FrameID, count: Int, sequence: SequenceNumber, flags: TCPFlags, options: Int,
        window: UInt16
    ) {
        let payload = pool.address(frame) + Self.payloadOffset
        let tcp = payload - TCPSegment.minimumHeader - options
        let ports = UInt32(truncatingIfNeeded: b.pointee.key)
        // Ports, sequence number.
        let word0 = UInt64(ports &>> 16 | ports &<< 16) | UInt64(sequence.raw.bigEndian) &<< 32
        // Acknowledgement, header length, flags, window.
        let offset = UInt32(truncatingIfNeeded: (TCPSegment.minimumHeader &+ options) &<< 2)
        let third = offset | UInt32(flags.rawValue) &<< 8 | UInt32(window.bigEndian) &<< 16
        let word1 = UInt64(b.pointee.rcvNxt.raw.bigEndian) | UInt64(third) &<< 32
        var word3: UInt64 = 0
        tcp.putRaw64(word0, 0)
        tcp.putRaw64(word1, 8)
        if options != 0 {
            let value = nowMilliseconds &+ b.pointee.tsOffset
            word3 = UInt64(value.bigEndian) | UInt64(b.pointee.tsRecent.bigEndian) &<< 32
            tcp.putRaw32(TCPOptions.alignedTimestampsRaw, 20)
            tcp.putRaw64(word3, 24)
        }
        var sum = InternetChecksum.add(b.pointee.headerSum, word0, word1, word3)
        if count > 0 { sum = InternetChecksum.sumSegment(payload, count, sum) }
        // Checksum, no urgent pointer.
        tcp.putRaw32(UInt32(InternetChecksum.finish(sum)), 16)
        tcp.putRaw64(b.pointee.headerWord0, -20)
        tcp.putRaw64(b.pointee.headerWord1, -12)
        tcp.putRaw32(remoteRaw(b), -4)
    }

    /// The parts of the headers that only depend on the connection and the length: `count` bytes of TCP header and text.
    @inline(never) private func makeHeader(_ b: Block, count: Int) {
        let remote = remoteRaw(b)
        let header = IPv4Header.words(
            protocol: IPProtocol.tcp, sourceRaw: addressRaw, destinationRaw: remote, payload: count,
            typeOfService: typeOfService(b, count: count))
        b.pointee.headerCount = UInt32(truncatingIfNeeded: count)
        b.pointee.headerWord0 = header.0
        b.pointee.headerWord1 = header.1
        b.pointee.headerSum =
            InternetChecksum.pseudoHeader(addressRaw, remote, protocol: IPProtocol.tcp, length: count)
            &+ (b.pointee.optionsLength == 0 ? 0 : UInt64(TCPOptions.alignedTimestampsRaw))
    }

    /// Sums a TCP segment that was written with a zero checksum at `offset` of the frame, and off it goes.
    func finishAndLaunch(_ b: Block, _ frame: FrameID, offset: Int, count: Int) {
        let tcp = pool.address(frame) + offset
        let pseudo = InternetChecksum.pseudoHeader(addressRaw, remoteRaw(b), protocol: IPProtocol.tcp, length: count)
        tcp.putRaw16(InternetChecksum.finish(InternetChecksum.sum(tcp, count, pseudo)), 16)
        launch(b, frame, offset: offset, count: count, remote: remoteRaw(b))
    }

    /// IPv4 and Ethernet headers before a finished TCP segment at `offset` of the frame, and off it goes.
    @inline(__always) func launch(_ b: Block, _ frame: FrameID, offset: Int, count: Int, remote: UInt32) {
        let tcp = pool.address(frame) + offset
        IPv4Header.write(
            tcp - IPv4Header.minimumLength, protocol: IPProtocol.tcp, sourceRaw: addressRaw, destinationRaw: remote,
            payload: count)
        depart(b, frame, offset: offset, count: count, room: false)
    }

    /// The Ethernet header before a finished datagram with its TCP segment at `offset` of the frame, and off it goes.
    @inline(__always) private func depart(_ b: Block, _ frame: FrameID, offset: Int, count: Int, room: Bool) {
        let d = descriptor(frame, offset: offset, count: count)
        guard b.pointee.nextHopGeneration == neighbours.generation || findNextHop(b, d) else { return }
        writeEthernet(b, d)
        if room {
            statistics.framesSent &+= 1
            transmitQueue.append(d)
        } else {
            pushTransmit(d)
        }
    }

    /// Of the frame with `count` bytes of TCP header and text at `offset`.
    @inline(__always) private func descriptor(_ frame: FrameID, offset: Int, count: Int) -> FrameDescriptor {
        statistics.tcpSegmentsSent &+= 1
        let headers = IPv4Header.minimumLength + Ethernet.headerLength
        return FrameDescriptor(frame: frame, offset: offset &- headers, length: headers &+ count)
    }

    /// The next hop is known.
    @inline(__always) private func writeEthernet(_ b: Block, _ d: FrameDescriptor) {
        let ethernet = pool.address(d.frame) + Int(d.offset)
        // The first store writes two bytes too many, the second six right ones over them.
        ethernet.putRaw64(b.pointee.nextHopRaw, 0)
        ethernet.putRaw64(ethernetTail, 6)
    }

    /// False when the frame waits for its next hop (or was dropped).
    @inline(never) private func findNextHop(_ b: Block, _ d: FrameDescriptor) -> Bool {
        if b.pointee.state == .synReceived, b.pointee.flags.contains(.passive), b.pointee.nextHopRaw != 0 {
            // Nobody is asked for the address of a peer that may be forged.
            b.pointee.nextHopGeneration = neighbours.generation
            return true
        }
        let remote = IPv4Address(bits: remoteRaw(b).bigEndian)
        guard let raw = resolve(remote, orQueue: d) else { return false }
        b.pointee.nextHopRaw = raw
        b.pointee.nextHopGeneration = neighbours.generation
        return true
    }

    /// An ACK of everything received has left: none is owed.
    @inline(__always) private func acknowledgementLeft(_ b: Block) {
        b.pointee.lastAckSent = b.pointee.rcvNxt
        b.pointee.flags = b.pointee.flags.subtracting(.ackNow)
        b.pointee.delayedAckAt = .max
    }

    /// The window field, and the promise it makes. Rounded up, so that the right edge never moves left by rounding.
    @inline(__always) private func advertiseWindow(_ b: Block, unread: Int) -> UInt16 {
        let scale = UInt32(b.pointee.rcvScale)
        let next = b.pointee.rcvNxt.raw
        let window = receiveEdge(b, unread: unread).raw &- next
        // At most 65,535, because no window exceeds rcvLimit.
        let field = (window &+ (1 &<< scale) &- 1) &>> scale
        b.pointee.rcvEdge = SequenceNumber(next &+ field &<< scale)
        return UInt16(truncatingIfNeeded: field)
    }

    // MARK: segments without text

    /// A frame for a control segment, or nil: whoever asked relies on a timer, or on the peer asking again.
    func controlFrame() -> FrameID? {
        if let frame = pool.allocateReserved(leaving: controlReserve) { return frame }
        statistics.frameShortages &+= 1
        return nil
    }

    /// There was no frame for an ACK. That of text is tried again: without it the peer would have to time out.
    private func oweAck(_ b: Block) {
        guard b.pointee.rcvNxt != b.pointee.lastAckSent || b.pointee.flags.contains(.holdsAck),
            b.pointee.delayedAckAt == .max
        else { return }
        b.pointee.delayedAckAt = now &+ configuration.delayedAck
        armTimer(b, b.pointee.delayedAckAt)
    }

    /// An ACK by itself, now; with SACK blocks when there are gaps.
    @inline(never) func sendAck(_ b: Block) {
        guard let frame = controlFrame() else { return oweAck(b) }
        b.pointee.flags.remove(.holdsAck)
        guard hasSackBlocks(b) else {
            emit(b, frame, count: 0, sequence: b.pointee.sndMax, flags: echo(b, .ack))
            return
        }
        // 40 bytes of options at most: 12 of timestamps leave room for three blocks.
        let options = Int(b.pointee.optionsLength)
        let start = Self.payloadOffset - TCPSegment.minimumHeader - 40
        let tcp = pool.address(frame) + start
        let sack = writeSackBlocks(
            b, tcp + (TCPSegment.minimumHeader &+ options), limit: options == 0 ? 4 : 3)
        let headerLength = TCPSegment.minimumHeader &+ options &+ sack
        writeTCP(
            tcp, b, sequence: b.pointee.sndMax, flags: echo(b, .ack), headerLength: headerLength,
            window: advertiseWindow(b, unread: Int(b.pointee.rcvBytes)))
        if options != 0 { writeTimestamps(tcp + TCPSegment.minimumHeader, b) }
        acknowledgementLeft(b)
        finishAndLaunch(b, frame, offset: start, count: headerLength)
    }

    /// SYN, or SYN,ACK in SYN-RECEIVED; starts its retransmission timer.
    func sendSyn(_ b: Block) {
        let answers = b.pointee.state == .synReceived
        let timeout = b.pointee.estimator.timeout(floor: configuration.minimumRTO, backoff: b.pointee.backoff)
        b.pointee.retransmitAt = now &+ timeout
        armTimer(b, b.pointee.retransmitAt)
        b.pointee.sndMax = b.pointee.iss + 1
        guard let frame = controlFrame() else { return }
        let flags = b.pointee.flags
        var options = SynOptions()
        options.maximumSegmentSize = ownSegmentSize
        // A SYN offers everything; a SYN,ACK only what the SYN offered.
        if answers ? flags.contains(.timestamps) : configuration.timestamps {
            options.timestamp = nowMilliseconds &+ b.pointee.tsOffset
            options.timestampEcho = answers ? b.pointee.tsRecent : 0
        }
        if !answers || flags.contains(.windowScaling) { options.windowScale = offeredScale }
        options.sackPermitted = answers ? flags.contains(.sackPermitted) : true
        // The options are written where the payload would be, the header before them.
        let start = Self.payloadOffset - TCPSegment.minimumHeader
        let tcp = pool.address(frame) + start
        let headerLength = TCPSegment.minimumHeader &+ options.write(tcp + TCPSegment.minimumHeader)
        writeTCP(
            tcp, b, sequence: b.pointee.iss, flags: synFlags(b), headerLength: headerLength,
            window: synWindow)
        if answers { acknowledgementLeft(b) }
        finishAndLaunch(b, frame, offset: start, count: headerLength)
    }

    /// The smallest shift with which the largest receive window can be advertised (RFC 7323 2.3).
    var offeredScale: UInt8 {
        var scale: UInt8 = 0
        let largest = max(configuration.receiveWindow, configuration.receiveWindowMaximum)
        while largest >> Int(scale) > 65_535 { scale += 1 }
        return scale
    }

    /// RST of a connection that we give up, at the sequence number that the peer expects.
    func sendReset(_ b: Block) {
        guard let frame = controlFrame() else { return }
        statistics.tcpResetsSent &+= 1
        emit(b, frame, count: 0, sequence: b.pointee.sndMax, flags: [.rst, .ack])
    }

    /// RST that answers an unacceptable ACK (RFC 9293 3.5.2, group 2): <SEQ=SEG.ACK><CTL=RST>.
    func sendResetAnswering(_ b: Block, _ segment: TCPSegment) {
        guard let frame = controlFrame() else { return }
        statistics.tcpResetsSent &+= 1
        let start = Self.payloadOffset - TCPSegment.minimumHeader
        writeTCP(
            pool.address(frame) + start, b, sequence: segment.acknowledgement, flags: .rst,
            headerLength: TCPSegment.minimumHeader, window: 0)
        finishAndLaunch(b, frame, offset: start, count: TCPSegment.minimumHeader)
    }
}
