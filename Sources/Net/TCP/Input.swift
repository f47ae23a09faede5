import Runtime

/// SEGMENT ARRIVES (RFC 9293 3.10.7). This file: from the datagram to the connection, and segments without a connection.
/// The numbered steps are in InputSteps.swift, the short way that nearly every segment takes instead in Prediction.swift.
extension Stack {
    /// `p` is the segment behind the IPv4 header. Takes over the frame.
    @inline(__always) func inputTCP(
        _ d: FrameDescriptor, _ header: IPv4Header, _ p: UnsafeMutableRawPointer, stray: StrayMode
    ) {
        let raw = UnsafeRawPointer(p)
        let count = header.payloadCount
        guard count >= TCPSegment.minimumHeader else { return dropTCP(d, malformed: true) }
        let headerLength = Int(raw.byte(12) >> 4) &* 4
        guard headerLength >= TCPSegment.minimumHeader, headerLength <= count else {
            return dropTCP(d, malformed: true)
        }
        let pseudo = InternetChecksum.pseudoHeader(
            header.sourceRaw, header.destinationRaw, protocol: IPProtocol.tcp, length: count)
        guard InternetChecksum.fold(InternetChecksum.sum(raw, count, pseudo)) == 0xFFFF else {
            return dropTCP(d, malformed: false)
        }
        statistics.tcpSegmentsReceived &+= 1
        var segment = TCPSegment(
            base: raw, headerLength: headerLength, sequence: SequenceNumber(raw.big32(4)),
            acknowledgement: SequenceNumber(raw.big32(8)), flags: TCPFlags(rawValue: raw.byte(13)),
            window: raw.big16(14), count: count &- headerLength, textStart: headerLength, hasTimestamp: false,
            timestampValue: 0, timestampEcho: 0, isMarked: header.typeOfService & ECN.mask == ECN.congested)
        if headerLength == TCPSegment.minimumHeader + TCPOptions.timestampsLength,
            raw.raw32(20) == TCPOptions.alignedTimestampsRaw
        {
            segment.hasTimestamp = true
            segment.timestampValue = raw.big32(24)
            segment.timestampEcho = raw.big32(28)
        } else if headerLength > TCPSegment.minimumHeader {
            segment.findTimestamps()
        }
        let key = ConnectionTable.key(remoteRaw: header.sourceRaw, portsRaw: raw.raw32(0))
        guard let b = table.find(key) else {
            return inputWithoutConnection(d, segment, key: key, sourceRaw: header.sourceRaw, stray: stray)
        }
        if stray != .final, mayBelongElsewhere(b, segment) { return strayTCP(d) }
        if !segmentArrives(b, &segment, d.frame) { pool.release(d.frame) }
    }

    @inline(never) private func dropTCP(_ d: FrameDescriptor, malformed: Bool) {
        if malformed {
            statistics.tcpMalformed &+= 1
        } else {
            statistics.tcpBadChecksum &+= 1
        }
        pool.release(d.frame)
    }

    /// In-order text goes to the user; text for a user who let go is dropped.
    @inline(__always) func deliver(_ b: Block, _ frame: FrameID, start: Int, count: Int) {
        if b.pointee.flags.contains(.released) {
            pool.release(frame)
        } else {
            appendReceived(b, frame, start: start, count: count)
            signal(b, .readable)
        }
    }

    // MARK: no connection

    /// RFC 9293 3.10.7.1 and 3.10.7.2: CLOSED and LISTEN.
    @inline(never) private func inputWithoutConnection(
        _ d: FrameDescriptor, _ segment: TCPSegment, key: UInt64, sourceRaw: UInt32, stray: StrayMode
    ) {
        guard isHost(sourceRaw), isForUsAlone(d) else {
            statistics.ipv4BadSource &+= 1
            return pool.release(d.frame)
        }
        let opens = segment.flags.intersection([.syn, .ack, .rst, .fin]) == .syn
        if opens, ports.contains(segment.base.big16(2)) {
            return inputSyn(d, segment, key: key)
        }
        if now < cookiesUntil, inputCookie(d, segment, key: key) { return }
        if !opens, ended.covers(key, segment, now: now) {
            statistics.tcpLate &+= 1
            return pool.release(d.frame)
        }
        // A SYN's queue decides the shard of its flow; all else may belong to a flow that was moved here.
        if !opens, configuration.strayHandling, stray != .final { return strayTCP(d) }
        if opens {
            statistics.tcpRefused &+= 1
        } else {
            statistics.tcpUnknown &+= 1
            if mayAnswerCookie(segment) {
                statistics.tcpSynCookiesFailed &+= 1
                // Text that has overtaken the ACK of a cookie: the peer repeats it, and a RST would end what just begins.
                if segment.length > 0 { return pool.release(d.frame) }
            }
        }
        // Nobody means SYN with FIN seriously: to a listener it is a probe.
        let isProbe =
            segment.flags.intersection([.syn, .ack, .fin]) == [.syn, .fin] && ports.contains(segment.base.big16(2))
        if segment.flags.contains(.rst) || isProbe {
            pool.release(d.frame)
        } else {
            refuse(d, segment, sourceRaw: sourceRaw)
        }
    }

    /// Whether the address may be another host's: neither special nor ours, nor the subnet's own or its broadcast address.
    func isHost(_ raw: UInt32) -> Bool {
        guard isUnicastSource(raw) else { return false }
        let bits = raw.bigEndian
        let host = bits & ~subnetMask
        return (bits ^ configuration.address.bits) & subnetMask != 0 || ~subnetMask <= 1
            || host != 0 && host != ~subnetMask
    }

    /// False for a frame that went to all stations of the link (RFC 1122 3.3.6).
    private func isForUsAlone(_ d: FrameDescriptor) -> Bool {
        UnsafeRawPointer(pool.address(d.frame) + Int(d.offset)).raw64(0) & Ethernet.addressMask == hardwareSelfRaw
    }

    /// Turns the frame into the RST that answers it (RFC 9293 3.5.2, group 1).
    private func refuse(_ d: FrameDescriptor, _ segment: TCPSegment, sourceRaw: UInt32) {
        let frameBase = pool.address(d.frame)
        let askerRaw = UnsafeRawPointer(frameBase + Int(d.offset)).raw64(6) & Ethernet.addressMask
        let answersAck = segment.flags.contains(.ack)
        let ethernet = frameBase + Int(d.offset)
        let tcp = ethernet + Ethernet.headerLength + IPv4Header.minimumLength
        writeTCP(
            tcp, portsRaw: segment.base.raw32(0),
            sequence: answersAck ? segment.acknowledgement : SequenceNumber(0),
            acknowledgement: answersAck ? 0 : segment.end.raw, flags: answersAck ? .rst : [.rst, .ack],
            headerLength: TCPSegment.minimumHeader, window: 0)
        finishSegment(tcp, count: TCPSegment.minimumHeader, destinationRaw: sourceRaw)
        Ethernet.write(ethernet, destinationRaw: askerRaw, sourceRaw: hardwareSelfRaw, type: EtherType.ipv4)
        statistics.tcpResetsSent &+= 1
        pushTransmit(
            FrameDescriptor(
                frame: d.frame, offset: Int(d.offset),
                length: Ethernet.headerLength &+ IPv4Header.minimumLength &+ TCPSegment.minimumHeader))
    }
}
