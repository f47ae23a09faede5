import Runtime

/// What a bystander sees of the TCP connections in one direction: how much is sent, and how much of it again. It looks at
/// frames before anything happens to them, so a sender's retransmissions are counted alike whosever stack it is.
struct FlowWatch {
    /// Segments with text, and their octets.
    private(set) var segments: UInt64 = 0
    private(set) var octets: UInt64 = 0
    /// Segments that began below the highest octet seen, and their octets below it.
    private(set) var resentSegments: UInt64 = 0
    private(set) var resentOctets: UInt64 = 0

    /// The octet after the highest one seen, by ports.
    private var highest: [UInt32: SequenceNumber] = [:]
    /// Beyond so many flows they are forgotten: this is for measurements with a few.
    private static let flowLimit = 65_536

    mutating func see(_ segment: SeenSegment) {
        if segment.flags.contains(.syn) {
            if highest.count >= Self.flowLimit { highest.removeAll(keepingCapacity: true) }
            highest[segment.ports] = segment.sequence + 1
            return
        }
        guard segment.count > 0 else { return }
        segments &+= 1
        octets &+= UInt64(segment.count)
        let end = segment.sequence + segment.count
        guard let known = highest[segment.ports] else {
            highest[segment.ports] = end
            return
        }
        if segment.sequence < known {
            resentSegments &+= 1
            resentOctets &+= UInt64(min(known - segment.sequence, segment.count))
        }
        if known < end { highest[segment.ports] = end }
    }
}

/// The parts of a TCP segment that a bystander looks at. Nothing is validated but the bounds.
struct SeenSegment {
    let ports: UInt32
    let sequence: SequenceNumber
    let acknowledgement: SequenceNumber
    let flags: TCPFlags
    let window: UInt16
    /// Octets of text.
    let count: Int
    /// The TCP options, within the frame.
    let options: UnsafeRawBufferPointer

    /// nil for everything but whole TCP segments over IPv4, fragments left out.
    init?(frame: UnsafeRawPointer, length: Int) {
        guard length >= 54, frame.big16(12) == EtherType.ipv4, frame.byte(23) == IPProtocol.tcp,
            frame.big16(20) & 0x3FFF == 0
        else { return nil }
        let header = Int(frame.byte(14) & 0xF) &* 4
        let total = Int(frame.big16(16))
        let tcp = frame + 14 + header
        guard header >= 20, total >= header + 20, 14 + total <= length else { return nil }
        let offset = Int(tcp.byte(12) >> 4) &* 4
        guard offset >= 20, header + offset <= total else { return nil }
        ports = tcp.raw32(0)
        sequence = SequenceNumber(tcp.big32(4))
        acknowledgement = SequenceNumber(tcp.big32(8))
        flags = TCPFlags(rawValue: tcp.byte(13))
        window = tcp.big16(14)
        count = total - header - offset
        options = UnsafeRawBufferPointer(start: tcp + 20, count: offset - 20)
    }
}
