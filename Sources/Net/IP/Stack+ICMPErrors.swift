import Runtime

/// ICMP errors about what we sent, as far as they can be believed (RFC 5927): one that does not quote octets in flight of a
/// connection of ours is nobody's business, and no connection that is established ends by one.
extension Stack {
    /// `p` is the error message. Takes over the frame.
    @inline(never) func inputICMPError(
        _ d: FrameDescriptor, _ p: UnsafeMutableRawPointer, _ count: Int, stray: StrayMode
    ) {
        let message = UnsafeRawPointer(p)
        let quoted = message + ICMP.headerLength
        guard let tcp = quotedTCP(quoted, count &- ICMP.headerLength) else {
            statistics.icmpErrorsUnrelated &+= 1
            pool.release(d.frame)
            return
        }
        // We sent it: the remote address is the destination, and the ports lie the other way round.
        let ports = tcp.raw32(0)
        let key = ConnectionTable.key(remoteRaw: quoted.raw32(16), portsRaw: ports &>> 16 | ports &<< 16)
        guard let b = table.find(key) else {
            // The error's addresses choose its queue, not the quoted flow.
            if configuration.strayHandling, stray != .final { return strayICMP(d) }
            statistics.icmpErrorsUnrelated &+= 1
            pool.release(d.frame)
            return
        }
        let sequence = SequenceNumber(tcp.big32(4))
        if b.pointee.sndUna <= sequence, sequence < b.pointee.sndMax, b.pointee.state != .timeWait {
            applyICMPError(b, message, quotedLength: Int(quoted.big16(2)))
        } else {
            statistics.icmpErrorsImplausible &+= 1
        }
        pool.release(d.frame)
    }

    /// The first eight bytes of the TCP header in a quoted datagram of ours; nil if it is something else.
    private func quotedTCP(_ p: UnsafeRawPointer, _ count: Int) -> UnsafeRawPointer? {
        guard count >= IPv4Header.minimumLength + 8, p.byte(0) &>> 4 == 4 else { return nil }
        let length = Int(p.byte(0) & 0xF) &* 4
        guard length >= IPv4Header.minimumLength, count >= length &+ 8, p.raw32(12) == addressRaw,
            p.byte(9) == IPProtocol.tcp, p.big16(6) & 0x1FFF == 0
        else { return nil }
        return p + length
    }

    private func applyICMPError(_ b: Block, _ message: UnsafeRawPointer, quotedLength: Int) {
        switch (message.byte(0), message.byte(1)) {
        case (ICMP.unreachable, ICMP.fragmentationNeeded):
            lowerPath(b, told: Int(message.big16(6)), quoted: quotedLength)
        case (ICMP.unreachable, ICMP.protocolUnreachable), (ICMP.unreachable, ICMP.portUnreachable):
            // RFC 1122 4.2.3.9 would abort; RFC 5927 5.2: only while nothing is established.
            if b.pointee.state == .synSent {
                statistics.icmpHardErrors &+= 1
                destroy(b)
            } else {
                statistics.icmpSoftErrors &+= 1
            }
        case (ICMP.sourceQuench, _):
            // RFC 6633 4.
            statistics.icmpSourceQuenches &+= 1
        default:
            statistics.icmpSoftErrors &+= 1
        }
    }
}
