import Runtime

/// An Ethernet switch in memory, for tests, simulation and instruction counts: links attached to it exchange frames by
/// hardware address, in virtual time, with faults drawn from seeded entropy. Links with the same hardware address are
/// the queues of one device: flows are spread over them by a hash of addresses and ports, as RSS does.
public final class MemoryWire {
    /// What happens to frames on the wire. Probabilities are per frame, 0...1.
    public struct Faults: Sendable {
        public var loss = 0.0
        public var duplication = 0.0
        /// One random bit of the frame is flipped.
        public var corruption = 0.0
        /// The frame is held back by a random time of up to `reorderSpan`.
        public var reordering = 0.0
        public var reorderSpan: Nanoseconds = .milliseconds(2)
        /// The frame arrives on any queue of its device, whatever the hash says of its flow.
        public var scatter = 0.0
        /// From this frame on every flow arrives on the queue next to the one it used.
        public var moves = 0.0
        /// Time from `transmit` to `receive`; 0 delivers within `transmit` itself.
        public var delay: Nanoseconds = 0
        public init() {}

        var isDirect: Bool {
            loss == 0 && duplication == 0 && corruption == 0 && reordering == 0 && delay == 0
        }
    }
    /// May be changed at any time; frames already on the wire are not touched.
    public var faults: Faults
    /// `transmit` only posts frames, as to a device's ring: they go on the wire at the next `advance`, and return to
    /// their pool at the `reclaim` after that. Otherwise they are on the wire, and back, when `transmit` returns.
    public var isDeferred = false {
        didSet { for link in links { link.isDeferred = isDeferred } }
    }
    /// Sees, and may change, each frame that goes on the wire: for tests that tamper with it.
    public var tamper: ((inout [UInt8]) -> Void)?
    private var entropy: Entropy
    private var now: Nanoseconds
    private var links: [MemoryLink] = []
    /// Frames on the wire: a binary heap, earliest (then first sent) at index 0.
    private var inFlight: [Packet] = []
    private var nextSerial: UInt64 = 0
    /// How many queues further flows arrive than their hash says.
    private var shift = 0

    private struct Packet {
        let due: Nanoseconds
        /// Order among equals.
        let serial: UInt64
        let source: ObjectIdentifier
        let bytes: [UInt8]
        func isBefore(_ other: Packet) -> Bool { (due, serial) < (other.due, other.serial) }
    }

    public init(entropy: Entropy, faults: Faults = Faults(), now: Nanoseconds) {
        self.faults = faults
        self.entropy = entropy
        self.now = now
    }

    /// A new link, whose received frames are taken from `pool` (which stays the caller's). The wire keeps it until
    /// `close`.
    public func attach(hardwareAddress: MACAddress, pool: FramePool, mtu: Int = 1500) -> MemoryLink {
        let link = MemoryLink(wire: self, hardwareAddress: hardwareAddress, pool: pool, mtu: mtu)
        link.isDeferred = isDeferred
        links.append(link)
        return link
    }

    /// Delivers the frames that are due and makes `now` the time of later transmissions.
    public func advance(now: Nanoseconds) {
        if now > self.now { self.now = now }
        if isDeferred { for link in links { link.send(over: self) } }
        while let first = inFlight.first, first.due <= self.now {
            removeFirst()
            first.bytes.withUnsafeBytes { deliver($0, from: first.source) }
        }
    }

    /// Every flow arrives on the queue next to the one it used, from now on.
    public func moveFlows() { shift += 1 }

    /// When the next frame on the wire is due; nil when the wire is empty.
    public var nextDeadline: Nanoseconds? { inFlight.first?.due }

    func detach(_ link: MemoryLink) { links.removeAll { $0 === link } }

    // MARK: on the wire

    func carry(_ bytes: UnsafeRawBufferPointer, from link: MemoryLink) {
        if faults.isDirect && inFlight.isEmpty && tamper == nil {
            deliver(bytes, from: ObjectIdentifier(link))
            return
        }
        if entropy.chance(faults.loss) { return }
        let copies = entropy.chance(faults.duplication) ? 2 : 1
        for _ in 0..<copies {
            var due = now &+ faults.delay
            if entropy.chance(faults.reordering) { due &+= Int64(entropy.next(below: Int(faults.reorderSpan) + 1)) }
            var copy = [UInt8](bytes)
            tamper?(&copy)
            if entropy.chance(faults.corruption), !copy.isEmpty {
                copy[entropy.next(below: copy.count)] ^= 1 << UInt8(entropy.next(below: 8))
            }
            insert(Packet(due: due, serial: nextSerial, source: ObjectIdentifier(link), bytes: copy))
            nextSerial += 1
        }
    }

    /// To the link with the destination's hardware address, or to all others when it is a group address or unknown.
    private func deliver(_ bytes: UnsafeRawBufferPointer, from source: ObjectIdentifier) {
        guard bytes.count >= Ethernet.headerLength, let base = bytes.baseAddress else { return }
        let destination = base.raw64(0) & Ethernet.addressMask
        if links.count == 2 {
            // A cable.
            links[ObjectIdentifier(links[0]) == source ? 1 : 0].accept(bytes)
            return
        }
        let flow = Self.flowHash(bytes)
        var known = false
        for link in links where link.hardwareRaw == destination && link.isFirstQueue {
            known = true
            queue(of: link, flow: flow).accept(bytes)
        }
        if known { return }
        let senderRaw = links.first { ObjectIdentifier($0) == source }?.hardwareRaw
        for link in links where link.isFirstQueue && link.hardwareRaw != senderRaw { link.accept(bytes) }
    }

    /// Links of one device in the order of attachment: the flow's hash chooses.
    private func queue(of first: MemoryLink, flow: UInt64) -> MemoryLink {
        if flow == 0 && faults.scatter == 0 { return first }
        let queues = links.filter { $0.hardwareRaw == first.hardwareRaw }
        if faults.scatter > 0, entropy.chance(faults.scatter) { return queues[entropy.next(below: queues.count)] }
        guard flow != 0 else { return first }
        if faults.moves > 0, entropy.chance(faults.moves) { shift += 1 }
        return queues[(Int(flow % UInt64(queues.count)) + shift) % queues.count]
    }

    func isFirst(_ link: MemoryLink) -> Bool {
        links.first { $0.hardwareRaw == link.hardwareRaw } === link
    }

    /// A hash of addresses and ports of TCP segments; 0 for everything else.
    private static func flowHash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        guard bytes.count >= 54, let p = bytes.baseAddress, p.big16(12) == EtherType.ipv4,
            p.byte(23) == IPProtocol.tcp
        else { return 0 }
        let addresses = p.raw64(26)
        let header = Int(p.byte(14) & 0xF) &* 4
        guard bytes.count >= 14 + header + 4 else { return 0 }
        let ports = UInt64(p.raw32(14 + header))
        return ((addresses ^ ports &* 0x9E37_79B9_7F4A_7C15) &* 0xD6E8_FEB8_6659_FD93) >> 32 | 1 << 63
    }

    // MARK: heap

    private func insert(_ packet: Packet) {
        inFlight.append(packet)
        var index = inFlight.count - 1
        while index > 0, inFlight[index].isBefore(inFlight[(index - 1) / 2]) {
            inFlight.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private func removeFirst() {
        inFlight.swapAt(0, inFlight.count - 1)
        inFlight.removeLast()
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < inFlight.count {
                if inFlight[child].isBefore(inFlight[least]) { least = child }
            }
            if least == index { return }
            inFlight.swapAt(index, least)
            index = least
        }
    }
}
