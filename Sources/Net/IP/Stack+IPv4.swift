import Runtime

extension Stack {
    /// `p` is the datagram behind the Ethernet header. Takes over the frame.
    @inline(__always) func inputIPv4(_ d: FrameDescriptor, _ p: UnsafeMutableRawPointer, count: Int, stray: StrayMode) {
        var header = IPv4Header()
        let verdict = header.parse(p, count)
        guard verdict == .valid, header.destinationRaw == addressRaw, isUnicastSource(header.sourceRaw) else {
            if verdict == .fragment, header.destinationRaw == addressRaw, isUnicastSource(header.sourceRaw) {
                inputFragment(d, header, p)
            } else {
                dropIPv4(d, verdict, header)
            }
            return
        }
        statistics.ipv4Received &+= 1
        let payload = p + header.headerLength
        if header.protocolNumber == IPProtocol.tcp {
            inputTCP(d, header, payload, stray: stray)
        } else if header.protocolNumber == IPProtocol.icmp {
            inputICMP(d, header, payload, stray: stray)
        } else {
            inputUnknownProtocol(d, header, p)
        }
    }

    /// Sources that no host may have (RFC 1122 3.2.1.3): this network, loopback, multicast and above; and our own.
    @inline(__always) func isUnicastSource(_ sourceRaw: UInt32) -> Bool {
        // The first octet is the low byte as it lies in memory.
        let first = sourceRaw & 0xFF
        return first &- 1 < 223 && first != 127 && sourceRaw != addressRaw
    }

    @inline(never) private func dropIPv4(_ d: FrameDescriptor, _ verdict: IPv4Header.Verdict, _ header: IPv4Header) {
        switch verdict {
        case .malformed: statistics.ipv4Malformed &+= 1
        case .badChecksum: statistics.ipv4BadChecksum &+= 1
        case .fragment, .valid:
            if header.destinationRaw != addressRaw {
                statistics.ipv4NotForUs &+= 1
            } else {
                statistics.ipv4BadSource &+= 1
            }
        }
        pool.release(d.frame)
    }
}
