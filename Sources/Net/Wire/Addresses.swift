/// An Ethernet address. The six bytes are the low 48 bits, first byte on the wire highest.
@frozen
public struct MACAddress: Hashable, BitwiseCopyable, Sendable, CustomStringConvertible {
    public let bits: UInt64
    @inlinable public init(bits: UInt64) { self.bits = bits & 0xFFFF_FFFF_FFFF }
    public static let broadcast = MACAddress(bits: 0xFFFF_FFFF_FFFF)

    /// From six raw bytes in wire order.
    @inlinable public init(at p: UnsafeRawPointer) {
        let high = UInt64(UInt16(bigEndian: p.loadUnaligned(as: UInt16.self)))
        let low = UInt64(UInt32(bigEndian: p.loadUnaligned(fromByteOffset: 2, as: UInt32.self)))
        bits = high << 32 | low
    }

    @inlinable public func store(at p: UnsafeMutableRawPointer) {
        p.storeBytes(of: UInt16(truncatingIfNeeded: bits >> 32).bigEndian, as: UInt16.self)
        p.storeBytes(of: UInt32(truncatingIfNeeded: bits).bigEndian, toByteOffset: 2, as: UInt32.self)
    }

    public var description: String {
        (0..<6).reversed().map { i in
            let byte = UInt8(truncatingIfNeeded: bits >> (UInt64(i) * 8))
            return (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined(separator: ":")
    }
}

/// An IPv4 address in host byte order.
@frozen
public struct IPv4Address: Hashable, BitwiseCopyable, Sendable, CustomStringConvertible {
    public let bits: UInt32
    @inlinable public init(bits: UInt32) { self.bits = bits }
    public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) {
        bits = UInt32(a) << 24 | UInt32(b) << 16 | UInt32(c) << 8 | UInt32(d)
    }

    /// Dotted decimal, four parts, nothing else; nil otherwise.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            guard part.count <= 3, part.allSatisfy({ $0.isASCII && $0.isNumber }), let byte = UInt8(part) else {
                return nil
            }
            bits = bits << 8 | UInt32(byte)
        }
        self.bits = bits
    }

    public var description: String {
        "\(bits >> 24).\(bits >> 16 & 255).\(bits >> 8 & 255).\(bits & 255)"
    }
}
