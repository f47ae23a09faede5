import Runtime

/// ICMP queries. Errors that come in are in Stack+ICMPErrors.swift, those that go out in Stack+ICMPReports.swift.
extension Stack {
    /// `p` is the message behind the IPv4 header. Takes over the frame.
    @inline(never) func inputICMP(
        _ d: FrameDescriptor, _ header: IPv4Header, _ p: UnsafeMutableRawPointer, stray: StrayMode
    ) {
        guard isSoundICMP(p, header.payloadCount) else {
            pool.release(d.frame)
            return
        }
        switch UnsafeRawPointer(p).byte(0) {
        case ICMP.echoRequest where UnsafeRawPointer(p).byte(1) == 0: answerEcho(d, header, p)
        case ICMP.unreachable, ICMP.sourceQuench, ICMP.timeExceeded, ICMP.parameterProblem:
            inputICMPError(d, p, header.payloadCount, stray: stray)
        default:
            // Redirects too (RFC 1122 3.2.2.2): there is one gateway, and nobody on the path may choose another.
            statistics.icmpIgnored &+= 1
            pool.release(d.frame)
        }
    }

    /// Counts the message, and why it is not sound.
    func isSoundICMP(_ p: UnsafeRawPointer, _ count: Int) -> Bool {
        statistics.icmpReceived &+= 1
        guard count >= ICMP.headerLength else {
            statistics.icmpMalformed &+= 1
            return false
        }
        guard InternetChecksum.fold(InternetChecksum.sum(p, count)) == 0xFFFF else {
            statistics.icmpBadChecksum &+= 1
            return false
        }
        return true
    }

    /// An echo request becomes its reply in the frame it came in (RFC 1122 3.2.2.6).
    private func answerEcho(_ d: FrameDescriptor, _ header: IPv4Header, _ p: UnsafeMutableRawPointer) {
        // The answer goes where the question came from on the link, so that it needs no resolution.
        let askerRaw = UnsafeRawPointer(pool.address(d.frame) + Int(d.offset)).raw64(6) & Ethernet.addressMask
        turnIntoReply(p, header.payloadCount)
        // Options of the request are not repeated: headers are written anew right before the ICMP message.
        let ip = p - IPv4Header.minimumLength
        IPv4Header.write(
            ip, protocol: IPProtocol.icmp, sourceRaw: addressRaw, destinationRaw: header.sourceRaw,
            payload: header.payloadCount)
        let ethernet = ip - Ethernet.headerLength
        Ethernet.write(ethernet, destinationRaw: askerRaw, sourceRaw: hardwareSelfRaw, type: EtherType.ipv4)
        let overhead = Ethernet.headerLength + IPv4Header.minimumLength
        pushTransmit(
            FrameDescriptor(
                frame: d.frame, offset: ethernet - pool.address(d.frame), length: overhead &+ header.payloadCount))
    }

    /// Type and checksum of the reply to the echo request at `p`.
    func turnIntoReply(_ p: UnsafeMutableRawPointer, _ count: Int) {
        statistics.icmpEchoReplies &+= 1
        p.put8(ICMP.echoReply, 0)
        p.putRaw16(0, 2)
        p.putRaw16(InternetChecksum.finish(InternetChecksum.sum(p, count)), 2)
    }
}
