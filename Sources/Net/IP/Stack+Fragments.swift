import Runtime

/// Fragments that come in, and what becomes of whole datagrams: TCP segments go their usual way, in several pieces if they
/// are larger than a frame; echo requests are answered, in fragments if need be; the rest is counted.
extension Stack {
    /// A node of the wheel with this context is the fragments' one.
    static let fragmentContext: UInt64 = 3

    /// `p` is the fragment's IPv4 header. Takes over the frame.
    @inline(never) func inputFragment(_ d: FrameDescriptor, _ header: IPv4Header, _ p: UnsafeRawPointer) {
        statistics.ipv4Fragments &+= 1
        let hardwareRaw = UnsafeRawPointer(pool.address(d.frame) + Int(d.offset)).raw64(6) & Ethernet.addressMask
        if isPossible(header) {
            keepFragment(header, p, hardwareRaw: hardwareRaw)
        } else {
            statistics.ipv4FragmentsMalformed &+= 1
        }
        pool.release(d.frame)
    }

    /// Lengths that RFC 791 allows, and no fragment that hides the ports and flags of a TCP header from filters
    /// (RFC 1858 3, RFC 3128).
    private func isPossible(_ header: IPv4Header) -> Bool {
        let offset = header.fragmentOffset
        let count = header.payloadCount
        guard count > 0, !header.moreFragments || count & 7 == 0,
            offset &+ count &+ IPv4Header.minimumLength <= 65_535
        else { return false }
        guard header.protocolNumber == IPProtocol.tcp else { return true }
        return offset != 8 && (offset != 0 || count >= TCPSegment.minimumHeader)
    }

    private func keepFragment(_ header: IPv4Header, _ p: UnsafeRawPointer, hardwareRaw: UInt64) {
        var slot = fragments.find(header)
        while let victim = fragments.victim(for: header, bytes: header.payloadCount, isNew: slot == nil) {
            statistics.ipv4ReassemblyEvictions &+= 1
            fragments.remove(victim)
            if victim == slot { slot = nil }
        }
        let index = slot ?? fragments.make(header, now: now)
        if slot == nil { armFragments() }
        switch fragments.insert(index, header, p, hardwareRaw: hardwareRaw) {
        case .waiting: break
        case .duplicate: statistics.ipv4FragmentDuplicates &+= 1
        case .overlap: statistics.ipv4FragmentOverlaps &+= 1
        case .refused: statistics.ipv4FragmentsRefused &+= 1
        case .tooMany: statistics.ipv4FragmentsTooMany &+= 1
        case .whole(let index): deliverDatagram(index)
        }
    }

    // MARK: time

    private func armFragments() {
        if !fragmentTimer.pointee.isScheduled, let expiry = fragments.nextExpiry {
            wheel.schedule(fragmentTimer, at: expiry)
        }
    }

    /// Datagrams whose time is over go; their source hears of it if the first fragment came (RFC 1122 3.3.2).
    func fragmentTimerFired() {
        while let index = fragments.expired(now) {
            let datagram = fragments[index]
            if !datagram.isRefused { statistics.ipv4ReassemblyTimeouts &+= 1 }
            if let (p, count) = fragments.first(index), mayReport(datagram.protocolNumber, p, count) {
                reportError(
                    ICMP.timeExceeded, ICMP.reassemblyTimeExceeded, about: p, count: count,
                    toRaw: datagram.hardwareRaw)
            }
            fragments.remove(index)
        }
        armFragments()
    }

    /// No error about an error (RFC 1122 3.2.2).
    private func mayReport(_ protocolNumber: UInt8, _ p: UnsafeRawPointer, _ count: Int) -> Bool {
        let headerLength = Int(p.byte(0) & 0xF) &* 4
        return protocolNumber != IPProtocol.icmp || ICMP.isQuery(p.byte(headerLength))
    }

    // MARK: whole datagrams

    private func deliverDatagram(_ index: Int) {
        let datagram = fragments[index]
        guard let typeOfService = fragments.typeOfService(index) else {
            statistics.ipv4ReassemblyMarks &+= 1
            fragments.remove(index)
            return
        }
        statistics.ipv4Reassembled &+= 1
        let payload = UnsafeMutableRawPointer.allocate(byteCount: datagram.total, alignment: 8)
        defer { payload.deallocate() }
        fragments.assemble(index, payload)
        fragments.remove(index)
        if fragments.count == 0 { wheel.cancel(fragmentTimer) }
        switch datagram.protocolNumber {
        case IPProtocol.tcp: deliverSegment(datagram, payload, typeOfService)
        case IPProtocol.icmp: deliverMessage(datagram, payload)
        default: statistics.ipv4UnknownProtocol &+= 1
        }
    }

    /// A TCP segment as frames: one, or several segments with consecutive text when a frame cannot hold it.
    private func deliverSegment(_ datagram: FragmentTable.Datagram, _ p: UnsafeMutableRawPointer, _ service: UInt8) {
        let raw = UnsafeRawPointer(p)
        let count = datagram.total
        let headerLength = count >= TCPSegment.minimumHeader ? Int(raw.byte(12) &>> 4) &* 4 : 0
        guard headerLength >= TCPSegment.minimumHeader, headerLength <= count else {
            statistics.tcpMalformed &+= 1
            return
        }
        let pseudo = InternetChecksum.pseudoHeader(
            datagram.sourceRaw, addressRaw, protocol: IPProtocol.tcp, length: count)
        guard InternetChecksum.fold(InternetChecksum.sum(raw, count, pseudo)) == 0xFFFF else {
            statistics.tcpBadChecksum &+= 1
            return
        }
        let room = configuration.mtu &- IPv4Header.minimumLength &- headerLength
        let text = count &- headerLength
        var done = 0
        repeat {
            let part = min(room, text &- done)
            guard
                deliverPart(
                    datagram, raw, headerLength: headerLength, text: done, count: part, of: text, service)
            else {
                // The rest is the peer's to send again.
                statistics.ipv4ReassemblyShortages &+= 1
                return
            }
            done &+= part
        } while done < text
    }

    /// The segment's header and a part of its text as a frame that came from the link. False: no frame was free.
    private func deliverPart(
        _ datagram: FragmentTable.Datagram, _ p: UnsafeRawPointer, headerLength: Int, text done: Int, count: Int,
        of all: Int, _ service: UInt8
    ) -> Bool {
        guard let frame = pool.allocate() else { return false }
        let ethernet = pool.address(frame) + (Self.payloadOffset - Ethernet.headerLength)
        let ip = ethernet + Ethernet.headerLength
        let tcp = ip + IPv4Header.minimumLength
        let length = headerLength &+ count
        Ethernet.write(
            ethernet, destinationRaw: hardwareSelfRaw, sourceRaw: datagram.hardwareRaw, type: EtherType.ipv4)
        IPv4Header.write(
            ip, protocol: IPProtocol.tcp, sourceRaw: datagram.sourceRaw, destinationRaw: addressRaw, payload: length,
            typeOfService: service)
        tcp.copyMemory(from: p, byteCount: headerLength)
        (tcp + headerLength).copyMemory(from: p + (headerLength &+ done), byteCount: count)
        var flags = TCPFlags(rawValue: p.byte(13))
        // SYN is before the text, FIN behind it.
        let synSpace = done > 0 && flags.contains(.syn) ? 1 : 0
        if done > 0 { flags.remove(.syn) }
        if done &+ count < all { flags.subtract([.fin, .psh]) }
        tcp.putBig32((SequenceNumber(p.big32(4)) + (done &+ synSpace)).raw, 4)
        tcp.put8(flags.rawValue, 13)
        tcp.putRaw16(0, 16)
        let pseudo = InternetChecksum.pseudoHeader(
            datagram.sourceRaw, addressRaw, protocol: IPProtocol.tcp, length: length)
        tcp.putRaw16(InternetChecksum.finish(InternetChecksum.sum(tcp, length, pseudo)), 16)
        inputFrame(
            FrameDescriptor(
                frame: frame, offset: Self.payloadOffset - Ethernet.headerLength,
                length: Ethernet.headerLength &+ IPv4Header.minimumLength &+ length), stray: .own)
        return true
    }

    // MARK: large messages

    private func deliverMessage(_ datagram: FragmentTable.Datagram, _ p: UnsafeMutableRawPointer) {
        guard isSoundICMP(p, datagram.total) else { return }
        guard UnsafeRawPointer(p).byte(0) == ICMP.echoRequest, UnsafeRawPointer(p).byte(1) == 0 else {
            // An error quotes too little to need fragments.
            statistics.icmpIgnored &+= 1
            return
        }
        turnIntoReply(p, datagram.total)
        sendInFragments(p, datagram.total, toRaw: datagram.sourceRaw, hardwareRaw: datagram.hardwareRaw)
    }

    /// All of the data belongs into the reply (RFC 1122 3.2.2.6), so that it may be larger than the link's datagrams:
    /// the only thing that we send in fragments, and with an identification (RFC 6864 4.1).
    private func sendInFragments(
        _ p: UnsafeRawPointer, _ count: Int, toRaw destinationRaw: UInt32, hardwareRaw: UInt64
    ) {
        fragmentIdentification &+= 1
        let room = (configuration.mtu &- IPv4Header.minimumLength) & ~7
        let headers = Ethernet.headerLength + IPv4Header.minimumLength
        var done = 0
        while done < count {
            guard let frame = controlFrame() else { return }
            let part = min(room, count &- done)
            let payload = pool.address(frame) + Self.payloadOffset
            payload.copyMemory(from: p + done, byteCount: part)
            let ip = payload - IPv4Header.minimumLength
            IPv4Header.write(
                ip, protocol: IPProtocol.icmp, sourceRaw: addressRaw, destinationRaw: destinationRaw, payload: part)
            if count > room {
                let more: UInt16 = done &+ part < count ? 0x2000 : 0
                ip.putBig16(fragmentIdentification, 4)
                ip.putBig16(more | UInt16(truncatingIfNeeded: done &>> 3), 6)
                ip.putRaw16(0, 10)
                ip.putRaw16(InternetChecksum.finish(InternetChecksum.sum(ip, IPv4Header.minimumLength)), 10)
            }
            Ethernet.write(
                ip - Ethernet.headerLength, destinationRaw: hardwareRaw, sourceRaw: hardwareSelfRaw,
                type: EtherType.ipv4)
            pushTransmit(
                FrameDescriptor(frame: frame, offset: Self.payloadOffset - headers, length: headers &+ part))
            done &+= part
        }
    }
}
