import CLinux
import Runtime

/// Redis Cluster's 16384 hash slots, and which shard owns each: even ranges in order. That is computed; a table of all slots
/// would fill the first cache.
/// https://redis.io/docs/reference/cluster-spec ("Key distribution model", "Hash tags")
struct SlotTable: BitwiseCopyable, @unchecked Sendable {
    static let slotCount = 1 << slotBits
    private static let slotBits = 14

    /// With 1 no key is hashed.
    let shardCount: Int
    /// `apus_crc16` may be called.
    private let multiplies: Bool
    /// Eight tables of 256: table k has the CRC16 of each single byte with k zero bytes behind it, so that eight bytes
    /// are looked up independently of each other. Never freed, never changed.
    private let crcTables: UnsafePointer<UInt16>

    /// - Parameter multiplies: false: as on a processor without carry-less multiplication.
    init(shardCount: Int, multiplies: Bool = true) {
        precondition(shardCount >= 1 && shardCount <= Self.slotCount, "shard count out of range")
        self.shardCount = shardCount
        self.multiplies = multiplies && apus_has_carryless_multiplication()
        let tables = UnsafeMutablePointer<UInt16>.allocate(capacity: 8 * 256)
        for byte in 0..<256 {
            var crc = UInt16(byte) << 8
            for table in 0..<8 {
                for _ in 0..<8 { crc = crc & 0x8000 != 0 ? crc << 1 ^ 0x1021 : crc << 1 }
                tables[table * 256 + byte] = crc
            }
        }
        crcTables = UnsafePointer(tables)
    }

    /// The shard that owns `key`.
    @inline(__always)
    func owner(of key: ByteView) -> Int {
        shardCount == 1 ? 0 : owner(ofSlot: slot(of: key))
    }

    @inline(__always)
    func owner(ofSlot slot: Int) -> Int { (slot &* shardCount) &>> Self.slotBits }

    /// The slot of a key of 8 to 16 bytes without `{`, as most are, in a few instructions; of any other by `anySlot`.
    @inline(__always)
    func slot(of key: ByteView) -> Int {
        guard multiplies, UInt(bitPattern: key.count &- 8) <= 8 else { return anySlot(of: key) }
        let first = key.base.loadUnaligned(as: UInt64.self)
        let last = key.base.loadUnaligned(fromByteOffset: key.count &- 8, as: UInt64.self)
        guard (Self.zeroBytes(first ^ Self.openings) | Self.zeroBytes(last ^ Self.openings)) == 0 else {
            return anySlot(of: key)
        }
        // What of the first eight bytes is not in the last eight; of eight bytes nothing, by two shifts of at most 32.
        let shift = UInt64(truncatingIfNeeded: 16 &- key.count) &* 4
        let crc = apus_crc16((first.bigEndian &>> shift) &>> shift, last.bigEndian)
        return Int(crc) & (Self.slotCount &- 1)
    }

    private static let openings = UInt64(UInt8(ascii: "{")) &* 0x0101_0101_0101_0101

    /// Not 0 when a byte of `word` is 0.
    @inline(__always)
    private static func zeroBytes(_ word: UInt64) -> UInt64 {
        (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080
    }

    /// CRC16 of the hash tag, or of the whole key when there is none: what lies between the first `{` and the first `}`
    /// behind it, if that is not empty.
    @inline(never)
    func anySlot(of key: ByteView) -> Int {
        let open = firstIndex(of: UInt8(ascii: "{"), in: key)
        return Int(crc16(open == key.count ? key : tagged(key, open))) & (Self.slotCount &- 1)
    }

    /// What of a key with `{` at `open` is hashed.
    @inline(never)
    private func tagged(_ key: ByteView, _ open: Int) -> ByteView {
        let rest = ByteView(key.base + open + 1, key.count &- open &- 1)
        let length = firstIndex(of: UInt8(ascii: "}"), in: rest)
        return length == 0 || length == rest.count ? key : ByteView(rest.base, length)
    }

    /// `bytes.count` when there is none.
    @inline(__always)
    private func firstIndex(of byte: UInt8, in bytes: ByteView) -> Int {
        var index = 0
        let pattern = UInt64(byte) &* 0x0101_0101_0101_0101
        while index &+ 8 <= bytes.count {
            // A byte of `word` is zero where it is found; the lowest found one is exact, those above may be wrong.
            let word = (bytes.base + index).loadUnaligned(as: UInt64.self).littleEndian ^ pattern
            let zeros = Self.zeroBytes(word)
            if zeros != 0 { return index &+ zeros.trailingZeroBitCount / 8 }
            index &+= 8
        }
        while index < bytes.count && bytes[index] != byte { index &+= 1 }
        return index
    }

    /// CRC-16/XMODEM: polynomial 0x1021, initial value 0.
    func crc16(_ bytes: ByteView) -> UInt16 {
        var crc: UInt16 = 0
        var index = 0
        let tables = crcTables
        while index &+ 8 <= bytes.count {
            // First byte highest, so that the running CRC lies over the first two.
            let word = (bytes.base + index).loadUnaligned(as: UInt64.self).bigEndian ^ UInt64(crc) << 48
            let upper =
                tables[1792 &+ Int(word >> 56)] ^ tables[1536 &+ Int(word >> 48 & 0xff)]
                ^ tables[1280 &+ Int(word >> 40 & 0xff)] ^ tables[1024 &+ Int(word >> 32 & 0xff)]
            let lower =
                tables[768 &+ Int(word >> 24 & 0xff)] ^ tables[512 &+ Int(word >> 16 & 0xff)]
                ^ tables[256 &+ Int(word >> 8 & 0xff)] ^ tables[Int(word & 0xff)]
            crc = upper ^ lower
            index &+= 8
        }
        while index < bytes.count {
            crc = crc << 8 ^ tables[Int(UInt8(truncatingIfNeeded: crc >> 8) ^ bytes[index])]
            index &+= 1
        }
        return crc
    }
}
