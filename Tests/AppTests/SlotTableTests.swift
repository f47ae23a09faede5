import Runtime
import Testing

@testable import App

@Suite struct SlotTableTests {
    private let table = SlotTable(shardCount: 2)

    /// The cluster specification's check value of CRC16.
    @Test func checkValue() { #expect(table.crc16(.leaked("123456789")) == 0x31c3) }

    /// With the processor's multiplication and without it, and with the definition of CRC16, bit by bit.
    @Test func bothWaysAgree() {
        let slow = SlotTable(shardCount: 2, multiplies: false)
        var entropy = Entropy(seed: 7)
        for round in 0..<20_000 {
            let count = round < 40 ? round % 20 : Int(entropy.next() % 40)
            // Now and then with braces.
            let key = (0..<count).map { _ -> UInt8 in
                let byte = UInt8(truncatingIfNeeded: entropy.next())
                return round % 3 == 0 && byte < 40 ? (byte < 20 ? UInt8(ascii: "{") : UInt8(ascii: "}")) : byte
            }
            key.withUnsafeBytes {
                let view = ByteView($0.baseAddress ?? UnsafeRawPointer(bitPattern: 8)!, count)
                #expect(table.slot(of: view) == slow.slot(of: view))
                guard !key.contains(UInt8(ascii: "{")) else { return }
                var crc: UInt16 = 0
                for byte in key {
                    crc ^= UInt16(byte) << 8
                    for _ in 0..<8 { crc = crc & 0x8000 != 0 ? crc << 1 ^ 0x1021 : crc << 1 }
                }
                #expect(table.slot(of: view) == Int(crc) % 16384)
            }
        }
    }

    /// What CLUSTER KEYSLOT of redis-server 7.0.15 answers.
    @Test(arguments: [
        ("", 0), ("foo", 12182), ("bar", 5061), ("hello", 866), ("somekey", 11058),
    ]) func knownSlots(key: String, slot: Int) {
        #expect(table.slot(of: .leaked(key)) == slot)
    }

    /// The examples of the cluster specification.
    @Test func hashTags() {
        func slot(_ key: String) -> Int { table.slot(of: .leaked(key)) }
        #expect(slot("{user1000}.following") == slot("{user1000}.followers"))
        #expect(slot("{user1000}.following") == slot("user1000"))
        #expect(slot("foo{{bar}}zap") == slot("{bar"))
        #expect(slot("foo{bar}{zap}") == slot("bar"))
        #expect(slot("foo{") == Int(table.crc16(.leaked("foo{"))) % 16384)
        #expect(slot("foo}{bar") == Int(table.crc16(.leaked("foo}{bar"))) % 16384)
        // An empty tag counts for nothing: the whole key is hashed.
        #expect(slot("foo{}{bar}") == Int(table.crc16(.leaked("foo{}{bar}"))) % 16384)
    }

    @Test(arguments: [1, 2, 3, 7, 64, 16384]) func everyShardOwnsItsPart(shardCount: Int) {
        let table = SlotTable(shardCount: shardCount)
        var owned = [Int](repeating: 0, count: shardCount)
        var last = 0
        for slot in 0..<SlotTable.slotCount {
            let owner = table.owner(ofSlot: slot)
            #expect(owner >= last && owner < shardCount)
            last = owner
            owned[owner] += 1
        }
        #expect(owned.max()! - owned.min()! <= 1)
    }

    @Test func oneShardOwnsEverything() {
        #expect(SlotTable(shardCount: 1).owner(of: .leaked("foo")) == 0)
        #expect(table.owner(of: .leaked("foo")) == 1)
        #expect(table.owner(of: .leaked("bar")) == 0)
    }
}
