import Runtime

/// An ARP packet for IPv4 over Ethernet (RFC 826).
struct ARPPacket {
    static let length = 28
    enum Operation: UInt16 {
        case request = 1
        case reply = 2
    }

    var operation: Operation
    var senderHardware: MACAddress
    var senderAddress: IPv4Address
    var targetHardware: MACAddress
    var targetAddress: IPv4Address

    init(
        _ operation: Operation, senderHardware: MACAddress, senderAddress: IPv4Address, targetHardware: MACAddress,
        targetAddress: IPv4Address
    ) {
        self.operation = operation
        self.senderHardware = senderHardware
        self.senderAddress = senderAddress
        self.targetHardware = targetHardware
        self.targetAddress = targetAddress
    }

    /// nil when truncated, not Ethernet/IPv4, or neither request nor reply, or sent from a group address.
    init?(at p: UnsafeRawPointer, count: Int) {
        guard count >= Self.length, p.big16(0) == 1, p.big16(2) == EtherType.ipv4, p.byte(4) == 6, p.byte(5) == 4,
            let operation = Operation(rawValue: p.big16(6)), p.byte(8) & 1 == 0
        else { return nil }
        self.operation = operation
        senderHardware = MACAddress(at: p + 8)
        senderAddress = IPv4Address(bits: p.big32(14))
        targetHardware = MACAddress(at: p + 18)
        targetAddress = IPv4Address(bits: p.big32(24))
    }

    func write(_ p: UnsafeMutableRawPointer) {
        p.putBig16(1, 0)
        p.putBig16(EtherType.ipv4, 2)
        p.put8(6, 4)
        p.put8(4, 5)
        p.putBig16(operation.rawValue, 6)
        senderHardware.store(at: p + 8)
        p.putBig32(senderAddress.bits, 14)
        targetHardware.store(at: p + 18)
        p.putBig32(targetAddress.bits, 24)
    }
}
