import Runtime

@testable import Net

/// A frame that the stack sent: whatever came in, what goes out is well formed, and each byte of text is the one of its
/// place in the stream.
struct SeenFrame {
    enum Kind {
        /// An ARP request for this address.
        case request(IPv4Address)
        case segment
        case other
    }
    private(set) var kind = Kind.other
    // Of a segment:
    private(set) var destination: UInt32 = 0
    private(set) var sourcePort: UInt16 = 0
    private(set) var destinationPort: UInt16 = 0
    private(set) var sequence = SequenceNumber(0)
    private(set) var acknowledgement = SequenceNumber(0)
    private(set) var flags = TCPFlags(rawValue: 0)
    private(set) var window: UInt16 = 0
    private(set) var textCount = 0
    private(set) var timestamp: UInt32?
    private(set) var windowScale: UInt8?

    var end: SequenceNumber {
        sequence + textCount + (flags.contains(.syn) ? 1 : 0) + (flags.contains(.fin) ? 1 : 0)
    }

    init(_ p: UnsafeRawPointer, _ count: Int, mtu: Int) {
        if count < 14 || count > mtu + 14 { fail("a frame of \(count) bytes leaves") }
        if MACAddress(at: p + 6) != World.localMAC { fail("a frame from a foreign hardware address leaves") }
        switch p.big16(12) {
        case EtherType.arp:
            guard let packet = ARPPacket(at: p + 14, count: count - 14) else { fail("a bad ARP packet leaves") }
            if packet.operation == .request { kind = .request(packet.targetAddress) }
        case EtherType.ipv4: readDatagram(p + 14, count - 14)
        default: fail("a frame of type \(p.big16(12)) leaves")
        }
    }

    private mutating func readDatagram(_ p: UnsafeRawPointer, _ count: Int) {
        var header = IPv4Header()
        let verdict = header.parse(p, count)
        guard verdict == .valid, Int(p.big16(2)) == count else { fail("a \(verdict) datagram leaves") }
        if header.source != World.local { fail("a datagram from \(header.source) leaves") }
        destination = header.destination.bits
        let payload = p + header.headerLength
        let length = header.payloadCount
        if header.protocolNumber == IPProtocol.icmp {
            guard length >= 8, InternetChecksum.fold(InternetChecksum.sum(payload, length)) == 0xFFFF else {
                fail("a bad ICMP message leaves")
            }
            return
        }
        guard header.protocolNumber == IPProtocol.tcp else { fail("protocol \(header.protocolNumber) leaves") }
        let pseudo = InternetChecksum.pseudoHeader(
            header.sourceRaw, header.destinationRaw, protocol: IPProtocol.tcp, length: length)
        let headerLength = length >= 20 ? Int(payload.byte(12) >> 4) * 4 : 0
        guard headerLength >= 20, headerLength <= length,
            InternetChecksum.fold(InternetChecksum.sum(payload, length, pseudo)) == 0xFFFF
        else { fail("a bad segment leaves") }
        readSegment(payload, headerLength, length)
    }

    private mutating func readSegment(_ p: UnsafeRawPointer, _ headerLength: Int, _ length: Int) {
        kind = .segment
        sourcePort = p.big16(0)
        destinationPort = p.big16(2)
        sequence = SequenceNumber(p.big32(4))
        acknowledgement = SequenceNumber(p.big32(8))
        flags = TCPFlags(rawValue: p.byte(13))
        window = p.big16(14)
        textCount = length - headerLength
        var covered = 20
        TCPOptions.forEach(p, from: 20, to: headerLength) { kind, offset, length in
            covered = offset + length
            switch (kind, length) {
            case (TCPOptions.timestamps, 10): timestamp = p.big32(offset + 2)
            case (TCPOptions.windowScale, 3): windowScale = p.byte(offset + 2)
            case (TCPOptions.sack, _): checkSack(p + offset, length)
            default: break
            }
        }
        if headerLength - covered > 3 { fail("options end at \(covered) of \(headerLength)") }
        if textCount > 0, !flags.intersection([.syn, .rst]).isEmpty { fail("text with flags \(flags.rawValue)") }
        let text = p + headerLength
        // Some of the bytes: whatever goes wrong does it to more than a few.
        for index in stride(from: 0, to: textCount, by: 11)
        where text.byte(index) != textByte((sequence + index).raw, fromStack: true) {
            fail("a wrong byte leaves: \(index) of \(textCount) at \(sequence.raw)")
        }
    }

    /// RFC 2018: whole blocks. RFC 2883 allows the first to lie below SEG.ACK.
    private func checkSack(_ p: UnsafeRawPointer, _ length: Int) {
        guard length >= 10, (length - 2) % 8 == 0 else { fail("a SACK option of \(length) bytes") }
        for block in 0..<(length - 2) / 8 {
            let left = SequenceNumber(p.big32(2 + block * 8))
            let right = SequenceNumber(p.big32(6 + block * 8))
            if left >= right { fail("SACK block \(block) is empty") }
            if block > 0, left <= acknowledgement { fail("SACK block \(block) begins at or below the ACK") }
        }
    }
}
