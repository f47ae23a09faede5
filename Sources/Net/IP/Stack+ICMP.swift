import Runtime

extension Stack {
    /// Answers echo requests in the frame they came in (RFC 1122 3.2.2.6). Everything else is counted and dropped.
    @inline(never) func inputICMP(_ d: FrameDescriptor, _ header: IPv4Header, _ p: UnsafeMutableRawPointer) {
        statistics.icmpReceived &+= 1
        guard header.payloadCount >= ICMP.headerLength else {
            statistics.icmpMalformed &+= 1
            pool.release(d.frame)
            return
        }
        guard InternetChecksum.fold(InternetChecksum.sum(p, header.payloadCount)) == 0xFFFF else {
            statistics.icmpBadChecksum &+= 1
            pool.release(d.frame)
            return
        }
        let raw = UnsafeRawPointer(p)
        guard raw.byte(0) == ICMP.echoRequest, raw.byte(1) == 0 else {
            statistics.icmpIgnored &+= 1
            pool.release(d.frame)
            return
        }
        // The answer goes where the question came from on the link, so that it needs no resolution.
        let askerRaw = UnsafeRawPointer(pool.address(d.frame) + Int(d.offset)).raw64(6) & Ethernet.addressMask
        p.put8(ICMP.echoReply, 0)
        // Options of the request are not repeated: headers are written anew right before the ICMP message.
        p.putRaw16(0, 2)
        p.putRaw16(InternetChecksum.finish(InternetChecksum.sum(p, header.payloadCount)), 2)
        let ip = p - IPv4Header.minimumLength
        IPv4Header.write(
            ip, protocol: IPProtocol.icmp, sourceRaw: addressRaw, destinationRaw: header.sourceRaw,
            payload: header.payloadCount)
        let ethernet = ip - Ethernet.headerLength
        Ethernet.write(ethernet, destinationRaw: askerRaw, sourceRaw: hardwareSelfRaw, type: EtherType.ipv4)
        statistics.icmpEchoReplies &+= 1
        let overhead = Ethernet.headerLength + IPv4Header.minimumLength
        pushTransmit(
            FrameDescriptor(
                frame: d.frame, offset: ethernet - pool.address(d.frame), length: overhead &+ header.payloadCount))
    }
}
