import Runtime

@testable import Net

/// A remote host with one connection: what it has sent, what it has seen. It does nothing by itself.
struct Peer {
    static let hardware = MACAddress(bits: 0x02_00_00_00_00_02)
    let address: IPv4Address
    private let number: Int
    var port: UInt16
    var localPort: UInt16 = World.listening
    /// The next sequence number of a peer that never errs, and the ACK it owes: behind everything seen in order.
    var next: SequenceNumber
    var seen = SequenceNumber(0)
    /// What the stack has acknowledged, its window's right edge, and what was acknowledged to it.
    private(set) var acked = SequenceNumber(0)
    private(set) var edge = SequenceNumber(0)
    var told = SequenceNumber(0)
    var window: UInt16 = 8_192
    /// Put timestamps on everything; off until the stack has shown one.
    private var stamps = false
    private(set) var timestampSeen: UInt32 = 0
    private var scale: UInt8 = 0
    /// The newest datagram of the stack, for ICMP errors that quote it.
    private(set) var quoteCount = 0
    private let quote: UnsafeMutableRawPointer
    nonisolated(unsafe) private static let quotes = UnsafeMutableRawPointer.allocate(byteCount: 4 * 64, alignment: 16)

    init(number: Int) {
        self.number = number
        // The last one lies behind the gateway.
        address = number == 3 ? IPv4Address(192, 168, 7, 7) : IPv4Address(10, 0, 0, UInt8(2 + number))
        port = UInt16(40_000 + number)
        next = SequenceNumber(UInt32(truncatingIfNeeded: number) &* 0x5555_0000 &+ 0xFFFF_F000)
        quote = Self.quotes + number * 64
    }

    var usesTimestamps: Bool { stamps }

    func isMeant(by frame: SeenFrame) -> Bool { frame.destination == address.bits && frame.destinationPort == port }

    mutating func see(_ frame: SeenFrame, _ p: UnsafeRawPointer, _ count: Int) {
        localPort = frame.sourcePort
        if frame.flags.contains(.syn) {
            seen = frame.end
            told = frame.end
            stamps = frame.timestamp != nil
            scale = frame.windowScale ?? 0
        } else if frame.sequence <= seen, frame.end > seen {
            seen = frame.end
        }
        if let timestamp = frame.timestamp { timestampSeen = timestamp }
        if frame.flags.contains(.ack) {
            acked = frame.acknowledgement
            let shift = frame.flags.contains(.syn) ? 0 : Int(scale)
            edge = acked + Int(frame.window) << shift
        }
        quoteCount = min(count - 14, 60)
        quote.copyMemory(from: p + 14, byteCount: quoteCount)
    }

    // MARK: segments

    /// A segment to be put together in the workshop.
    struct Segment {
        var flags: TCPFlags = .ack
        var sequence: SequenceNumber
        var acknowledgement: SequenceNumber
        var text = 0
        var window: UInt16
        var timestampDelta: Int32? = 0
        /// Further options, as they lie; a multiple of 4 is made of them.
        var options: [UInt8] = []
        var typeOfService: UInt8 = 0
        var reserved: UInt8 = 0
        var urgent: UInt16 = 0
    }

    /// What a peer that never errs says next.
    func segment(_ flags: TCPFlags = .ack, text: Int = 0) -> Segment {
        Segment(flags: flags, sequence: next, acknowledgement: seen, text: text, window: window)
    }

    /// Ethernet, IPv4 and TCP with right checksums in the workshop; returns the frame's length.
    func build(_ s: Segment, now: Nanoseconds, mtu: Int) -> Int {
        let p = World.workshop
        let tcp = p + 34
        var options = 20
        if stamps || s.flags.contains(.syn), let delta = s.timestampDelta, !s.flags.contains(.syn) {
            tcp.putRaw32(TCPOptions.alignedTimestampsRaw, 20)
            tcp.putBig32(UInt32(truncatingIfNeeded: now / 1_000_000) &+ UInt32(bitPattern: delta), 24)
            tcp.putBig32(timestampSeen, 28)
            options += 12
        }
        for byte in s.options.prefix(60 - options) {
            tcp.put8(byte, options)
            options += 1
        }
        while options % 4 != 0 {
            tcp.put8(TCPOptions.endOfList, options)
            options += 1
        }
        let text = min(s.text, mtu - 20 - options)
        tcp.putBig16(port, 0)
        tcp.putBig16(localPort, 2)
        tcp.putBig32(s.sequence.raw, 4)
        tcp.putBig32(s.acknowledgement.raw, 8)
        tcp.put8(UInt8(options / 4) << 4 | s.reserved, 12)
        tcp.put8(s.flags.rawValue, 13)
        tcp.putBig16(s.window, 14)
        tcp.putRaw16(0, 16)
        tcp.putBig16(s.urgent, 18)
        let first = s.sequence + (s.flags.contains(.syn) ? 1 : 0)
        for index in 0..<max(0, text) { tcp.put8(textByte((first + index).raw, fromStack: false), options + index) }
        writeHeaders(p, total: 20 + options + max(0, text), number: IPProtocol.tcp, typeOfService: s.typeOfService)
        sealSegment(p)
        return 34 + options + max(0, text)
    }

    /// Ethernet and IPv4 headers for a datagram of `total` bytes from this peer.
    func writeHeaders(_ p: UnsafeMutableRawPointer, total: Int, number: UInt8, typeOfService: UInt8 = 0) {
        Ethernet.write(
            p, destinationRaw: Ethernet.raw(World.localMAC), sourceRaw: Ethernet.raw(Self.hardware),
            type: EtherType.ipv4)
        IPv4Header.write(
            p + 14, protocol: number, sourceRaw: address.bits.bigEndian, destinationRaw: World.local.bits.bigEndian,
            payload: total - 20)
        if typeOfService != 0 {
            p.put8(typeOfService, 15)
            sealHeader(p)
        }
    }

    /// Copies what the stack sent last behind `p`; returns how many bytes.
    func copyQuote(to p: UnsafeMutableRawPointer) -> Int {
        p.copyMemory(from: quote, byteCount: quoteCount)
        return quoteCount
    }
}

/// Puts the IPv4 header's checksum right.
func sealHeader(_ p: UnsafeMutableRawPointer) {
    let length = Int(UnsafeRawPointer(p).byte(14) & 0xF) * 4
    p.putRaw16(0, 24)
    p.putRaw16(InternetChecksum.finish(InternetChecksum.sum(p + 14, max(20, length))), 24)
}

/// Puts the TCP checksum of the datagram at `p` (a frame) right, as far as there is one.
func sealSegment(_ p: UnsafeMutableRawPointer) {
    let raw = UnsafeRawPointer(p)
    let header = Int(raw.byte(14) & 0xF) * 4
    let length = Int(raw.big16(16)) - header
    guard header >= 20, length >= 20, length < 2_000 else { return }
    let pseudo = InternetChecksum.pseudoHeader(raw.raw32(26), raw.raw32(30), protocol: IPProtocol.tcp, length: length)
    (p + 14 + header).putRaw16(0, 16)
    (p + 14 + header).putRaw16(InternetChecksum.finish(InternetChecksum.sum(p + 14 + header, length, pseudo)), 16)
}

/// The same for ICMP.
func sealMessage(_ p: UnsafeMutableRawPointer) {
    let raw = UnsafeRawPointer(p)
    let header = Int(raw.byte(14) & 0xF) * 4
    let length = Int(raw.big16(16)) - header
    guard header >= 20, length >= 8, length < 2_000 else { return }
    (p + 14 + header).putRaw16(0, 2)
    (p + 14 + header).putRaw16(InternetChecksum.finish(InternetChecksum.sum(p + 14 + header, length)), 2)
}

/// Writes the text that belongs where the segment at `p` says it is; then its checksum is right.
func fillText(_ p: UnsafeMutableRawPointer) {
    let raw = UnsafeRawPointer(p)
    let header = Int(raw.byte(14) & 0xF) * 4
    let total = Int(raw.big16(16))
    guard raw.byte(23) == IPProtocol.tcp, header >= 20, total >= header + 20, total < 2_000 else { return }
    let tcp = raw + 14 + header
    let start = Int(tcp.byte(12) >> 4) * 4
    // Else the text would lie in the header.
    guard start >= 20 else { return sealSegment(p) }
    let first = tcp.big32(4) &+ (tcp.byte(13) & TCPFlags.syn.rawValue != 0 ? 1 : 0)
    for index in 0..<max(0, total - header - start) {
        p.put8(textByte(first &+ UInt32(index), fromStack: false), 14 + header + start + index)
    }
    sealSegment(p)
}
