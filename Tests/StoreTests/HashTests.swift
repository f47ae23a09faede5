import Runtime
import Testing

@testable import Store

@Suite struct HashTests {
    /// From the reference implementation (key zero; bytes 0, 1, 2, ...).
    static let vectors: [(count: Int, hash: UInt64)] = [
        (0, 0xd1fb_a762_150c_532c), (1, 0x68a9_1412_8e01_e473), (7, 0x2f09_8ab0_c751_325a),
        (8, 0xead4_11e6_7ebe_2eea), (9, 0x7592_7f9d_9512_4362), (15, 0xf30e_b725_bb91_c9ea),
        (16, 0x8972_1884_33a5_c5b7), (17, 0x4883_c49a_2c00_9c1d), (63, 0x385d_3e39_e5f3_7359),
        (600, 0x4382_d4f1_7441_45c1),
    ]

    @Test(arguments: vectors) func sipHashVectors(count: Int, hash: UInt64) {
        let input = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        #expect(bytes(input) { SipHash.hash13($0, key: (0, 0)) } == hash)
    }

    /// Every length around the borders of the cases, every single-bit change: all hashes differ.
    @Test func differentKeysDiffer() {
        let hash = KeyHash(secret: (3, 4))
        defer { hash.deallocate() }
        var seen: Set<UInt64> = []
        var keys = 0
        for count in Array(0...40) + [63, 64, 65, 510, 511, 512, 513, 514, 600] {
            var key = [UInt8](repeating: 0, count: count)
            seen.insert(bytes(key) { hash.hash($0) })
            keys += 1
            for bit in 0..<count * 8 {
                key[bit / 8] ^= 1 << UInt8(bit % 8)
                seen.insert(bytes(key) { hash.hash($0) })
                keys += 1
                key[bit / 8] = 0
            }
        }
        #expect(seen.count == keys)
    }

    @Test func secretDecides() {
        let one = KeyHash(secret: (1, 2))
        let two = KeyHash(secret: (1, 3))
        let same = KeyHash(secret: (1, 2))
        defer { for hash in [one, two, same] { hash.deallocate() } }
        for key in ["", "a", "key:000000000001", "a key of more than sixteen bytes"] {
            #expect(bytes(key) { one.hash($0) } == bytes(key) { same.hash($0) })
            #expect(bytes(key) { one.hash($0) } != bytes(key) { two.hash($0) })
        }
    }

    /// Numbered keys, the commonest kind: top bits (home buckets) and tags are as even as random numbers.
    /// Chi-squared over 4096 cells has mean 4095 and deviation 90; six deviations allowed.
    @Test(arguments: (1...12).map { UInt64($0) }) func numberedKeysSpread(seed: UInt64) {
        let hash = KeyHash(secret: (seed, seed &* 77))
        defer { hash.deallocate() }
        for prefix in ["key:", "user:profile:session:", ""] {
            var top = [Int](repeating: 0, count: 4096)
            var low = top
            let keys = 4096 * 20
            for number in 0..<keys {
                let digits = String(number)
                let key = prefix + String(repeating: "0", count: 12 - digits.count) + digits
                let value = bytes(key) { hash.hash($0) }
                top[Int(value >> 52)] += 1
                low[Int(Table.tag(value))] += 1
            }
            for cells in [top, low] {
                let chi = cells.reduce(0.0) { $0 + Double(($1 - 20) * ($1 - 20)) / 20 }
                #expect(chi < 4095 + 6 * 90, "prefix \(prefix) \(cells == top)")
            }
        }
    }
}
