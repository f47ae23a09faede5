import Glibc
import Runtime
import Testing

@testable import Store

@Suite struct ValueTests {
    private static let limit = Entry.embeddedLimit

    private func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) } }

    @Test func emptyKeyAndEmptyValue() {
        let fixture = Fixture()
        #expect(fixture.get("") == nil)
        fixture.set("", "")
        #expect(fixture.get("") == "")
        #expect(fixture.database.count == 1)
        fixture.set("", "v")
        #expect(fixture.get("") == "v")
        #expect(fixture.remove(""))
        #expect(!fixture.remove(""))
    }

    /// Every way from one length to another, with and without an expiry, on short and very long keys.
    @Test(arguments: [0, 3, 8, 16, 17, 65_534, 65_535, 70_000]) func transitions(keyCount: Int) {
        let fixture = Fixture()
        let key = pattern(keyCount)
        let counts = [0, 1, 64, 65, Self.limit / 2, Self.limit, Self.limit + 1, 2 * Self.limit, 100_000]
        for from in counts {
            for to in counts {
                for expireAt in [-1, fixture.now + 1000] {
                    let (first, second) = (pattern(from), pattern(to).reversed().map { $0 })
                    bytes(key) { key in
                        bytes(first) { _ = fixture.database.set(key, $0, expireAt: expireAt, now: fixture.now) }
                        let entry = bytes(second) { fixture.database.setKeepingExpiry(key, $0, now: fixture.now) }
                        #expect(entry.value.array == second)
                        #expect(entry.expireAt == expireAt)
                        #expect(entry.key.count == keyCount)
                        #expect(entry.isSeparate == (to > Self.limit))
                        let (resized, memory) = fixture.database.resize(key, to: from, now: fixture.now)
                        let expected = second.prefix(from) + [UInt8](repeating: 0, count: max(0, from - to))
                        #expect(resized.value.array == Array(expected))
                        #expect(UnsafeRawPointer(memory) == resized.value.base)
                        #expect(resized.expireAt == expireAt)
                    }
                    let wrong = fixture.keyspace.checkInvariants()
                    #expect(wrong == nil, "\(from) to \(to)")
                }
            }
        }
        bytes(key) { _ = fixture.database.remove($0, now: fixture.now) }
        #expect(fixture.keyspace.usedMemory == Table.smallest * 8)
    }

    @Test func sixtyFourMebibytes() {
        let fixture = Fixture()
        let count = 64 << 20
        var buffer = OwnedBuffer(capacity: count)!
        memset(buffer.base, 0x41, count)
        buffer.count = count
        bytes("big") { key in
            let entry = fixture.database.adopt(key, buffer: buffer, now: fixture.now)
            #expect(entry.value.base == UnsafeRawPointer(buffer.base))
            let (grown, memory) = fixture.database.resize(key, to: count + 5, now: fixture.now)
            memcpy(memory + count, "hello", 5)
            #expect(grown.value.count == count + 5)
            #expect(grown.value[0] == 0x41 && grown.value[count - 1] == 0x41 && grown.value[count] == 0x68)
            let copy = bytes("copy") { fixture.database.set($0, grown.value, now: fixture.now) }
            #expect(copy.value.equals(fixture.database.find(key, now: fixture.now)!.value))
        }
        #expect(fixture.keyspace.usedMemory > 2 * count)
        #expect(fixture.keyspace.checkInvariants() == nil)
        fixture.database.removeAll()
        fixture.finishWork()
        #expect(fixture.keyspace.usedMemory == Table.smallest * 8)
    }

    /// APPEND in small pieces: the value's address changes a logarithmic number of times.
    @Test func growsGeometrically() {
        let fixture = Fixture()
        var addresses: Set<UnsafeRawPointer> = []
        var count = 0
        while count < 4 << 20 {
            count += 100
            let (entry, memory) = bytes("k") { fixture.database.resize($0, to: count, now: fixture.now) }
            memset(memory + (count - 100), Int32(count / 100 & 0xFF), 100)
            if entry.isSeparate { addresses.insert(entry.value.base) }
        }
        #expect(addresses.count < 30)
        let value = bytes("k") { fixture.database.find($0, now: fixture.now)!.value }
        #expect((0..<count / 100).allSatisfy { value[$0 * 100 + 99] == UInt8(truncatingIfNeeded: $0 + 1) })
        // And gives its room back when it shrinks.
        _ = bytes("k") { fixture.database.resize($0, to: 2000, now: fixture.now) }
        #expect(fixture.keyspace.usedMemory < 10_000)
        #expect(fixture.keyspace.checkInvariants() == nil)
    }

    /// SET of a value of the same size writes over the old one.
    @Test func overwritesInPlace() {
        let fixture = Fixture()
        let before = fixture.set("key:000000000001", String(repeating: "a", count: 64))
        let after = fixture.set("key:000000000001", String(repeating: "b", count: 60))
        #expect(before.base == after.base)
        #expect(fixture.get("key:000000000001") == String(repeating: "b", count: 60))
    }

    /// Arguments that lie in the database itself.
    @Test(arguments: [10, 64, 2000]) func aliasedArguments(count: Int) {
        let fixture = Fixture()
        let value = String(repeating: "x", count: count)
        let entry = fixture.set("k", value)
        // Its own value, shorter by a part, from the middle.
        let part = ByteView(entry.value.base + 3, count - 3)
        _ = bytes("k") { fixture.database.set($0, part, now: fixture.now) }
        #expect(fixture.get("k") == String(value.dropFirst(3)))
        let present = bytes("k") { fixture.database.find($0, now: fixture.now)! }
        _ = fixture.database.set(present.key, present.key, now: fixture.now)
        #expect(fixture.get("k") == "k")
        #expect(fixture.keyspace.checkInvariants() == nil)
    }

    @Test func valuesAreChangedInPlace() {
        let fixture = Fixture()
        let entry = fixture.set("k", "abc")
        entry.mutableValue.storeBytes(of: 0x7A, toByteOffset: 1, as: UInt8.self)
        #expect(fixture.get("k") == "azc")
        #expect(entry.type == .string)
        #expect(entry.key.string == "k")
    }

    @Test func unusedBufferIsFreed() {
        let buffer = OwnedBuffer(capacity: 0)!
        #expect(buffer.capacity >= 1 && buffer.view.count == 0)
        buffer.deallocate()
    }

    /// The promise of docs/store.md: 16-byte key, 64-byte value, a million keys. redis-server takes 168 bytes,
    /// valkey-server 144.
    @Test func bytesPerKey() {
        let fixture = Fixture()
        let value = [UInt8](repeating: 0x76, count: 64)
        let keys = 1_000_000
        var key = Array("key:000000000000".utf8)
        for number in 0..<keys {
            withUnsafeBytes(of: UInt64(number)) { for index in 0..<8 { key[8 + index] = $0[index] } }
            bytes(key) { key in _ = bytes(value) { fixture.database.set(key, $0, now: 0) } }
        }
        fixture.finishWork()
        let each = Double(fixture.keyspace.usedMemory) / Double(keys)
        #expect(each < 115, "\(each) bytes")
    }
}
