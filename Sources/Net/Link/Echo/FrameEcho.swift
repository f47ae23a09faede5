import Runtime

/// Turns each UDP datagram for one address into its own answer, in the frame it came in, and answers ARP for that address.
/// There is no stack: nothing is kept from one frame to the next. What it costs to do this with every frame is what a link
/// costs at least, so a server over the same link can be compared with it.
public struct FrameEcho: BitwiseCopyable {
    /// Ethernet, IPv4 and UDP headers: the shortest frame of a datagram.
    public static let headerLength = Ethernet.headerLength + IPv4Header.minimumLength + udpHeaderLength
    private static let udpHeaderLength = 8

    public struct Statistics: BitwiseCopyable, Sendable {
        /// Datagrams that were sent back.
        public var datagrams: UInt64 = 0
        public var arpReplies: UInt64 = 0
        /// Frames of any other kind, fragments, and those whose lengths contradict each other.
        public var ignored: UInt64 = 0
    }

    private let hardwareAddress: MACAddress
    private let address: IPv4Address
    /// As six bytes and four bytes lie on the wire.
    private let hardwareRaw: UInt64
    private let addressRaw: UInt32
    /// Bytes of an answer's whole frame; 0: as many as the request had.
    private let replyLength: Int
    public private(set) var statistics = Statistics()

    /// - Parameter replyLength: bytes of each answer from the Ethernet header to the last of the datagram, or nil for the
    ///   request's length. At least `headerLength`, and no more than the link's MTU and the frames of its pool allow. A
    ///   datagram is cut to it, or filled up with zero bytes.
    public init(hardwareAddress: MACAddress, address: IPv4Address, replyLength: Int? = nil) {
        precondition(replyLength ?? Self.headerLength >= Self.headerLength, "a reply needs room for its headers")
        self.hardwareAddress = hardwareAddress
        self.address = address
        hardwareRaw = Ethernet.raw(hardwareAddress)
        addressRaw = address.bits.bigEndian
        self.replyLength = replyLength ?? 0
    }

    /// Takes frames from `received` as long as there is room in `answers` and puts those with an answer there; the others
    /// go back to `pool`. O(frames), and O(bytes) for what is cut off or filled up.
    public mutating func answer(_ received: FrameQueue, into answers: FrameQueue, of pool: FramePool) {
        while answers.room > 0, let frame = received.pop() {
            let offset = Int(frame.offset)
            let length = answer(
                pool.address(frame.frame) + offset, Int(frame.length), room: pool.frameSize &- offset)
            if length > 0 {
                answers.append(FrameDescriptor(frame: frame.frame, offset: offset, length: length))
            } else {
                statistics.ignored &+= 1
                pool.release(frame.frame)
            }
        }
    }

    /// Makes an answer of the `length` bytes at `p`, behind which `room` bytes may be written from `p` on. Returns the
    /// answer's length, 0 for a frame without one.
    private mutating func answer(_ p: UnsafeMutableRawPointer, _ length: Int, room: Int) -> Int {
        let view = UnsafeRawPointer(p)
        // Nobody sends from a group address; an answer to one would reach many.
        guard length >= Self.headerLength, view.byte(6) & 1 == 0 else { return 0 }
        switch view.big16(12) {
        case EtherType.ipv4: return answerDatagram(p, length, room: room)
        case EtherType.arp: return answerARP(p, length)
        default: return 0
        }
    }

    /// A header with a wrong checksum goes back with a wrong one, since everything here keeps sums as they are: whoever
    /// sent it drops it. The same holds for the datagram.
    private mutating func answerDatagram(_ p: UnsafeMutableRawPointer, _ length: Int, room: Int) -> Int {
        let ip = p + Ethernet.headerLength
        let header = UnsafeRawPointer(ip)
        let headerLength = Int(header.byte(0) & 0xF) &* 4
        let total = Int(header.big16(2))
        guard header.byte(0) >> 4 == 4, headerLength >= IPv4Header.minimumLength,
            total >= headerLength &+ Self.udpHeaderLength, total &+ Ethernet.headerLength <= length,
            header.byte(9) == IPProtocol.udp, header.raw32(16) == addressRaw,
            // No fragment: MF clear, offset 0.
            header.big16(6) & 0x3FFF == 0
        else { return 0 }
        let udp = ip + headerLength
        guard Int(UnsafeRawPointer(udp).big16(4)) == total &- headerLength else { return 0 }

        let senderRaw = UnsafeRawPointer(p).raw64(6) & Ethernet.addressMask
        Ethernet.write(p, destinationRaw: senderRaw, sourceRaw: hardwareRaw, type: EtherType.ipv4)
        // Both sums have the addresses in them, the datagram's also the ports: swapped they are the same.
        ip.putRaw32(header.raw32(12), 16)
        ip.putRaw32(addressRaw, 12)
        let ports = UnsafeRawPointer(udp).raw32(0)
        udp.putRaw32(ports &>> 16 | ports &<< 16, 0)
        statistics.datagrams &+= 1
        guard replyLength != 0 else { return length }
        let least = headerLength &+ Self.udpHeaderLength
        let wanted = max(least, min(replyLength, room) &- Ethernet.headerLength)
        if wanted != total { resize(ip, headerLength, from: total, to: wanted) }
        return wanted &+ Ethernet.headerLength
    }

    /// Cuts the datagram or fills it up with zeros, and lets the two checksums follow by what changed (RFC 1624, eqn. 3).
    private func resize(_ ip: UnsafeMutableRawPointer, _ headerLength: Int, from total: Int, to wanted: Int) {
        let udp = ip + headerLength
        let (oldLength, newLength) = (total &- headerLength, wanted &- headerLength)
        let oldTotal = UnsafeRawPointer(ip).raw16(2)
        let oldField = UnsafeRawPointer(udp).raw16(4)
        ip.putBig16(UInt16(truncatingIfNeeded: wanted), 2)
        udp.putBig16(UInt16(truncatingIfNeeded: newLength), 4)
        let headerSum =
            UInt64(~UnsafeRawPointer(ip).raw16(10)) &+ UInt64(~oldTotal) &+ UInt64(UnsafeRawPointer(ip).raw16(2))
        ip.putRaw16(InternetChecksum.finish(headerSum), 10)

        let checksum = UnsafeRawPointer(udp).raw16(6)
        // The length is in the sum twice: as the header's field and in the pseudo-header.
        var sum = UInt64(~checksum) &+ 2 &* (UInt64(~oldField) &+ UInt64(UnsafeRawPointer(udp).raw16(4)))
        if newLength > oldLength {
            (udp + oldLength).initializeMemory(as: UInt8.self, repeating: 0, count: newLength &- oldLength)
        } else {
            let cut = InternetChecksum.fold(InternetChecksum.sum(udp + newLength, oldLength &- newLength))
            // Words of what is cut begin at odd places of the datagram when its new length is odd.
            sum &+= UInt64(~(newLength & 1 == 0 ? cut : cut.byteSwapped))
        }
        // 0 says that there is no checksum; a sum of 0 is sent as its other form (RFC 768).
        guard checksum != 0 else { return }
        let result = InternetChecksum.finish(sum)
        udp.putRaw16(result == 0 ? 0xFFFF : result, 6)
    }

    private mutating func answerARP(_ p: UnsafeMutableRawPointer, _ length: Int) -> Int {
        let body = p + Ethernet.headerLength
        guard let asked = ARPPacket(at: body, count: length &- Ethernet.headerLength), asked.operation == .request,
            asked.targetAddress == address
        else { return 0 }
        let reply = ARPPacket(
            .reply, senderHardware: hardwareAddress, senderAddress: address, targetHardware: asked.senderHardware,
            targetAddress: asked.senderAddress)
        reply.write(body)
        Ethernet.write(
            p, destinationRaw: Ethernet.raw(asked.senderHardware), sourceRaw: hardwareRaw, type: EtherType.arp)
        statistics.arpReplies &+= 1
        return length
    }
}
