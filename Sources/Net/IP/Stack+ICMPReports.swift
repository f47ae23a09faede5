import Runtime

/// ICMP errors that we send (RFC 1122 3.2.2): few, and never about errors, broadcasts, or fragments but the first.
extension Stack {
    /// A datagram of a protocol that we do not speak. `p` is its IPv4 header in the frame. Takes over the frame.
    @inline(never) func inputUnknownProtocol(_ d: FrameDescriptor, _ header: IPv4Header, _ p: UnsafeRawPointer) {
        statistics.ipv4UnknownProtocol &+= 1
        let asker = UnsafeRawPointer(pool.address(d.frame) + Int(d.offset)).raw64(6) & Ethernet.addressMask
        // Nobody has a UDP port here (RFC 1122 4.1.3.1).
        let code = header.protocolNumber == IPProtocol.udp ? ICMP.portUnreachable : ICMP.protocolUnreachable
        reportError(
            ICMP.unreachable, code, about: p, count: header.headerLength &+ header.payloadCount, toRaw: asker)
        pool.release(d.frame)
    }

    /// Sends an ICMP error that quotes the datagram at `p`, `count` bytes from its IPv4 header on, to its source, whose
    /// hardware address is given. Whoever sends errors to many may be used to flood one: all together are bounded.
    func reportError(_ type: UInt8, _ code: UInt8, about p: UnsafeRawPointer, count: Int, toRaw hardwareRaw: UInt64) {
        let destinationRaw = p.raw32(12)
        guard isSingleHost(destinationRaw), errorBudget.take(now), let frame = controlFrame() else {
            statistics.icmpErrorsSuppressed &+= 1
            return
        }
        statistics.icmpErrorsSent &+= 1
        // All of the datagram that fits a message of 576 bytes (RFC 1812 4.3.2.3).
        let quoted = min(count, 576 - IPv4Header.minimumLength - ICMP.headerLength)
        let length = ICMP.headerLength &+ quoted
        let message = pool.address(frame) + Self.payloadOffset
        message.put8(type, 0)
        message.put8(code, 1)
        message.putRaw16(0, 2)
        message.putRaw32(0, 4)
        (message + ICMP.headerLength).copyMemory(from: p, byteCount: quoted)
        message.putRaw16(InternetChecksum.finish(InternetChecksum.sum(message, length)), 2)
        let ip = message - IPv4Header.minimumLength
        IPv4Header.write(
            ip, protocol: IPProtocol.icmp, sourceRaw: addressRaw, destinationRaw: destinationRaw, payload: length)
        Ethernet.write(
            ip - Ethernet.headerLength, destinationRaw: hardwareRaw, sourceRaw: hardwareSelfRaw, type: EtherType.ipv4)
        let headers = Ethernet.headerLength + IPv4Header.minimumLength
        pushTransmit(FrameDescriptor(frame: frame, offset: Self.payloadOffset - headers, length: headers &+ length))
    }

    /// Not the network's own address, nor its broadcast address. (Multicast and the like are refused on arrival.)
    private func isSingleHost(_ raw: UInt32) -> Bool {
        let bits = UInt32(bigEndian: raw)
        guard configuration.prefixLength < 31, (bits ^ configuration.address.bits) & subnetMask == 0 else {
            return true
        }
        let host = bits & ~subnetMask
        return host != 0 && host != ~subnetMask
    }
}
