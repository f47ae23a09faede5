import Runtime

enum EtherType {
    static let ipv4: UInt16 = 0x0800
    static let arp: UInt16 = 0x0806
}

/// The Ethernet II header: destination, source, type; 14 bytes, no FCS, no VLAN tag.
enum Ethernet {
    static let headerLength = 14
    /// The low six bytes of an eight-byte load, as they lie in memory on a little-endian machine.
    static let addressMask: UInt64 = 0x0000_FFFF_FFFF_FFFF

    /// The address as an eight-byte load of its six bytes gives it after masking.
    @inline(__always) static func raw(_ address: MACAddress) -> UInt64 { (address.bits << 16).byteSwapped }

    @inline(__always) static func write(
        _ p: UnsafeMutableRawPointer, destinationRaw: UInt64, sourceRaw: UInt64, type: UInt16
    ) {
        p.putRaw64(destinationRaw | sourceRaw << 48, 0)
        p.putRaw32(UInt32(truncatingIfNeeded: sourceRaw >> 16), 8)
        p.putBig16(type, 12)
    }
}
