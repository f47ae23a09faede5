import Runtime

/// Redis Cluster's 16384 hash slots, and which shard owns each.
/// https://redis.io/docs/reference/cluster-spec ("Key distribution model", "Hash tags")
struct SlotTable: BitwiseCopyable, @unchecked Sendable {
    static let slotCount = 16384

    /// With 1 no key is hashed.
    let shardCount: Int
    /// Owner of each slot, below `shardCount`. Never freed, never changed.
    private let owners: UnsafePointer<UInt16>
    /// CRC16 of each single byte.
    private let crcTable: UnsafePointer<UInt16>

    /// Even ranges: shard 0 owns the first slots.
    init(shardCount: Int) {
        precondition(shardCount >= 1 && shardCount <= Self.slotCount, "shard count out of range")
        self.shardCount = shardCount
        let owners = UnsafeMutablePointer<UInt16>.allocate(capacity: Self.slotCount)
        for slot in 0..<Self.slotCount { owners[slot] = UInt16(slot * shardCount / Self.slotCount) }
        self.owners = UnsafePointer(owners)
        let table = UnsafeMutablePointer<UInt16>.allocate(capacity: 256)
        for byte in 0..<256 {
            var crc = UInt16(byte) << 8
            for _ in 0..<8 { crc = crc & 0x8000 != 0 ? crc << 1 ^ 0x1021 : crc << 1 }
            table[byte] = crc
        }
        crcTable = UnsafePointer(table)
    }

    /// The shard that owns `key`.
    @inline(__always)
    func owner(of key: ByteView) -> Int {
        shardCount == 1 ? 0 : Int(owners[slot(of: key)])
    }

    func owner(ofSlot slot: Int) -> Int { Int(owners[slot]) }

    /// CRC16 of the hash tag, or of the whole key when there is none: what lies between the first `{` and the first `}`
    /// behind it, if that is not empty.
    func slot(of key: ByteView) -> Int {
        var index = 0
        while index < key.count && key[index] != UInt8(ascii: "{") { index &+= 1 }
        if index < key.count {
            let start = index &+ 1
            var end = start
            while end < key.count && key[end] != UInt8(ascii: "}") { end &+= 1 }
            if end < key.count && end > start {
                return Int(crc16(ByteView(key.base + start, end &- start))) & (Self.slotCount &- 1)
            }
        }
        return Int(crc16(key)) & (Self.slotCount &- 1)
    }

    /// CRC-16/XMODEM: polynomial 0x1021, initial value 0.
    func crc16(_ bytes: ByteView) -> UInt16 {
        var crc: UInt16 = 0
        for index in 0..<bytes.count {
            crc = crc << 8 ^ crcTable[Int(UInt8(truncatingIfNeeded: crc >> 8) ^ bytes[index])]
        }
        return crc
    }
}
