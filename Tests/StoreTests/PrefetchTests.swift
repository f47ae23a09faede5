import Runtime
import Testing

@testable import Store

/// Looking ahead changes nothing and reads nothing but the table, whatever state that is in.
@Suite struct PrefetchTests {
    @Test(arguments: [nil, 3]) func changesNothing(distinctBits: Int?) {
        let fixture = Fixture(distinctBits: distinctBits)
        var entropy = Entropy(seed: 5)
        let hashes = UnsafeMutablePointer<UInt64>.allocate(capacity: 8)
        defer { hashes.deallocate() }
        for number in 0..<(distinctBits == nil ? 20_000 : 600) {
            fixture.set("key:\(number)", "value \(number)")
            if entropy.next() % 4 == 0 { _ = fixture.remove("key:\(entropy.next() % UInt64(number + 1))") }
            guard number % 50 == 0 else { continue }
            // Present ones, absent ones, an empty one and long ones, two places apart.
            let keys = (0..<8).map { index -> [UInt8] in
                switch index {
                case 0: []
                case 1: Array(repeating: UInt8(truncatingIfNeeded: number), count: 700)
                default: Array("key:\(entropy.next() % UInt64(number * 2 + 1))".utf8)
                }
            }
            let all = Array(keys.joined())
            let before = fixture.database.count
            bytes(all) { whole in
                var place = whole.base
                let views = keys.flatMap { key -> [ByteView] in
                    defer { place += key.count }
                    return [ByteView(place, key.count), ByteView(place, 0)]
                }
                views.withUnsafeBufferPointer {
                    fixture.database.prefetch($0.baseAddress!, stride: 2, count: 8, hashes: hashes)
                }
            }
            for (index, key) in keys.enumerated() {
                #expect(hashes[index] == bytes(key) { fixture.database.state.pointee.keyHash.hash($0) })
            }
            #expect(fixture.database.count == before)
        }
        #expect(fixture.keyspace.checkInvariants() == nil)
    }

    @Test func onlyWithManyKeys() {
        let fixture = Fixture()
        for number in 0..<4095 { fixture.set("key:\(number)", "v") }
        #expect(!fixture.database.outgrowsCaches)
        fixture.set("one more", "v")
        #expect(fixture.database.outgrowsCaches)
    }
}
