import Runtime

/// The other end of `FrameEcho`: makes UDP datagrams in place, each with a number, and recognises the answers. No stack, no
/// fragments, no checksum of the datagram (RFC 768: 0).
public struct DatagramProbe: BitwiseCopyable {
    /// The shortest frame: headers, and the number behind them.
    public static let minimumFrame = FrameEcho.headerLength + 8
    private static let port: UInt16 = 40_000

    private let hardwareAddress: MACAddress
    private let address: IPv4Address
    private let target: IPv4Address
    private let length: Int
    /// The peer's hardware address, once it is known.
    public private(set) var targetHardware: MACAddress?

    /// - Parameter length: bytes of each frame from the Ethernet header on: `minimumFrame` or more.
    public init(hardwareAddress: MACAddress, address: IPv4Address, target: IPv4Address, length: Int) {
        precondition(
            length >= Self.minimumFrame && length <= 65_535, "a datagram has room for its headers and its number")
        self.hardwareAddress = hardwareAddress
        self.address = address
        self.target = target
        self.length = length
    }

    /// Writes an ARP request for the target at `p`; returns its length.
    public func writeQuestion(_ p: UnsafeMutableRawPointer) -> Int {
        Ethernet.write(
            p, destinationRaw: Ethernet.raw(.broadcast), sourceRaw: Ethernet.raw(hardwareAddress), type: EtherType.arp)
        let packet = ARPPacket(
            .request, senderHardware: hardwareAddress, senderAddress: address, targetHardware: MACAddress(bits: 0),
            targetAddress: target)
        packet.write(p + Ethernet.headerLength)
        return Ethernet.headerLength + ARPPacket.length
    }

    /// Writes the datagram with this number at `p`, all but what is behind the number; returns the frame's length. The target's
    /// hardware address is known.
    @inline(__always)
    public func writeDatagram(_ p: UnsafeMutableRawPointer, number: UInt64) -> Int {
        Ethernet.write(
            p, destinationRaw: Ethernet.raw(targetHardware!), sourceRaw: Ethernet.raw(hardwareAddress),
            type: EtherType.ipv4)
        let ip = p + Ethernet.headerLength
        let payload = length &- Ethernet.headerLength &- IPv4Header.minimumLength
        IPv4Header.write(
            ip, protocol: IPProtocol.udp, sourceRaw: address.bits.bigEndian, destinationRaw: target.bits.bigEndian,
            payload: payload)
        let udp = ip + IPv4Header.minimumLength
        udp.putBig16(Self.port, 0)
        udp.putBig16(Self.port, 2)
        udp.putBig16(UInt16(truncatingIfNeeded: payload), 4)
        udp.putRaw16(0, 6)
        udp.putRaw64(number, 8)
        return length
    }

    public enum Finding: Equatable {
        /// The answer to the datagram with this number.
        case answer(UInt64)
        /// `targetHardware` is known now.
        case targetFound
        /// Somebody asks for our hardware address: the frame is the answer now, with this length.
        case question(Int)
        case nothing
    }

    /// What a received frame is.
    @inline(__always)
    public mutating func look(_ p: UnsafeMutableRawPointer, _ count: Int) -> Finding {
        let view = UnsafeRawPointer(p)
        guard count >= FrameEcho.headerLength else { return .nothing }
        guard view.big16(12) == EtherType.ipv4 else { return lookAtARP(p, count) }
        // A header without options, ours as destination, UDP from the port that we ask.
        guard count >= Self.minimumFrame, view.byte(14) == 0x45, view.byte(23) == IPProtocol.udp,
            view.raw32(26) == target.bits.bigEndian, view.raw32(30) == address.bits.bigEndian,
            view.big16(34) == Self.port, view.big16(36) == Self.port
        else { return .nothing }
        return .answer(view.raw64(42))
    }

    @inline(never) private mutating func lookAtARP(_ p: UnsafeMutableRawPointer, _ count: Int) -> Finding {
        guard UnsafeRawPointer(p).big16(12) == EtherType.arp,
            let packet = ARPPacket(at: p + Ethernet.headerLength, count: count - Ethernet.headerLength),
            packet.targetAddress == address
        else { return .nothing }
        if packet.operation == .reply {
            guard packet.senderAddress == target else { return .nothing }
            targetHardware = packet.senderHardware
            return .targetFound
        }
        let answer = ARPPacket(
            .reply, senderHardware: hardwareAddress, senderAddress: address, targetHardware: packet.senderHardware,
            targetAddress: packet.senderAddress)
        answer.write(p + Ethernet.headerLength)
        Ethernet.write(
            p, destinationRaw: Ethernet.raw(packet.senderHardware), sourceRaw: Ethernet.raw(hardwareAddress),
            type: EtherType.arp)
        return .question(count)
    }
}
