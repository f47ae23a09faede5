/// SipHash (Aumasson and Bernstein, 2012): a keyed pseudorandom function. With one compression and three finalisation
/// rounds (1-3, as Rust and Python use it) it serves hash tables, with two and four (2-4) secrets that others see.
public enum SipHash {
    public static func hash13(_ bytes: ByteView, key: (UInt64, UInt64)) -> UInt64 {
        hash(bytes, key: key, compressionRounds: 1, finalisationRounds: 3)
    }

    public static func hash24(_ bytes: ByteView, key: (UInt64, UInt64)) -> UInt64 {
        hash(bytes, key: key, compressionRounds: 2, finalisationRounds: 4)
    }

    @inline(__always)
    private static func hash(
        _ bytes: ByteView, key: (UInt64, UInt64), compressionRounds: Int, finalisationRounds: Int
    ) -> UInt64 {
        var v0 = key.0 ^ 0x736f_6d65_7073_6575
        var v1 = key.1 ^ 0x646f_7261_6e64_6f6d
        var v2 = key.0 ^ 0x6c79_6765_6e65_7261
        var v3 = key.1 ^ 0x7465_6462_7974_6573
        var offset = 0
        while offset &+ 8 <= bytes.count {
            let word = bytes.base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            v3 ^= word
            for _ in 0..<compressionRounds { round(&v0, &v1, &v2, &v3) }
            v0 ^= word
            offset &+= 8
        }
        var last = UInt64(truncatingIfNeeded: bytes.count) << 56
        var shift: UInt64 = 0
        while offset < bytes.count {
            last |= UInt64(bytes[offset]) << shift
            shift &+= 8
            offset &+= 1
        }
        v3 ^= last
        for _ in 0..<compressionRounds { round(&v0, &v1, &v2, &v3) }
        v0 ^= last
        v2 ^= 0xff
        for _ in 0..<finalisationRounds { round(&v0, &v1, &v2, &v3) }
        return v0 ^ v1 ^ v2 ^ v3
    }

    @inline(__always)
    private static func round(_ v0: inout UInt64, _ v1: inout UInt64, _ v2: inout UInt64, _ v3: inout UInt64) {
        v0 &+= v1
        v1 = rotate(v1, 13) ^ v0
        v0 = rotate(v0, 32)
        v2 &+= v3
        v3 = rotate(v3, 16) ^ v2
        v0 &+= v3
        v3 = rotate(v3, 21) ^ v0
        v2 &+= v1
        v1 = rotate(v1, 17) ^ v2
        v2 = rotate(v2, 32)
    }

    @inline(__always)
    private static func rotate(_ x: UInt64, _ k: UInt64) -> UInt64 { (x << k) | (x >> (64 &- k)) }
}
