import Runtime

/// The keyed 64-bit hash of keys. A handle over the secret's expansion; copies name the same secret.
///
/// Up to 16 bytes: Multilinear-HM (Lemire and Kaser, "Strongly universal string hashing is fast", 2014) of the key's two
/// words and a constant of its own for each length, modulo 2^128, of which the upper half is the hash. For keys that do
/// not depend on the secret it is 2-independent: two keys have equal hashes with probability 2^-64.
/// Up to 512 bytes: NH (Black, Halevi, Krawczyk, Krovetz, Rogaway, "UMAC", 1999) over pairs of words gives 128 bits; a
/// multilinear function (Dietzfelbinger 1996, Thorup 2015) of those and of the length gives 64. The probability of equal
/// hashes is at most 2^-63 at equal lengths (2^-64 from each step) and below 2^-54 otherwise.
/// Last, a fixed bijection breaks what is left of linearity. So no list of keys prepared without the secret floods a
/// table. Above 512 bytes: SipHash-1-3. docs/store.md compares the cost with SipHash for every key.
struct KeyHash: BitwiseCopyable {
    /// `Self.wordCount` words, constant after construction; numbers of 128 bits have their low word first:
    ///   0, 1   the secret
    ///   2, 3   what is added to a short key's first word      4, 5   to its second
    ///   6      the bijection's multiplier                     7      unused
    ///   8...   the constants of the lengths 0...16, two words each
    ///   `long...`      the multilinear constant, the multipliers of NH's low word and of its high word, two words
    ///                  each; the multiplier of the length; one word unused
    ///   `nh...`        NH's words, one for each 8 bytes of key
    private let words: UnsafeMutablePointer<UInt64>

    static let longest = 512
    private static let lengths = 8
    private static let long = lengths + 2 * 17
    private static let nh = long + 8
    static let wordCount = nh + longest / 8

    init(secret: (UInt64, UInt64)) {
        words = .allocate(capacity: Self.wordCount)
        words[0] = secret.0
        words[1] = secret.1
        for index in 2..<Self.wordCount {
            var counter = UInt64(index).littleEndian
            words[index] = withUnsafeBytes(of: &counter) {
                SipHash.hash13(ByteView($0.baseAddress!, 8), key: secret)
            }
        }
        words[6] = 0x9E37_79B9_7F4A_7C15
    }

    /// For tests that want collisions: there are at most 2^bits different hashes.
    init(secret: (UInt64, UInt64), distinctBits bits: Int) {
        self.init(secret: secret)
        words[6] = bits == 0 ? 0 : 1 << UInt64(64 - bits)
    }

    func deallocate() { words.deallocate() }

    @inline(__always)
    func hash(_ key: ByteView) -> UInt64 {
        let count = key.count
        if count > 16 { return hashLong(key) }
        let a: UInt64
        let b: UInt64
        if count >= 8 {
            a = key.base.loadUnaligned(as: UInt64.self)
            b = key.base.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
        } else if count >= 4 {
            a = UInt64(key.base.loadUnaligned(as: UInt32.self))
            b = UInt64(key.base.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self))
        } else if count > 0 {
            a = UInt64(key[0]) | UInt64(key[count &>> 1]) << 8
            b = UInt64(key[count &- 1])
        } else {
            (a, b) = (0, 0)
        }
        return hash(a, b, count: count)
    }

    /// The same for who has the words of a key of at most 16 bytes: its first and its last eight bytes, from eight on.
    @inline(__always)
    func hash(_ a: UInt64, _ b: UInt64, count: Int) -> UInt64 {
        let (a0, carryA) = a.addingReportingOverflow(words[2])
        let (b0, carryB) = b.addingReportingOverflow(words[4])
        let a1 = words[3] &+ Self.one(carryA)
        let b1 = words[5] &+ Self.one(carryB)
        let constant = words + (Self.lengths &+ 2 &* count)
        let product = a0.multipliedFullWidth(by: b0)
        let (_, carry) = product.low.addingReportingOverflow(constant[0])
        let cross = a0 &* b1 &+ a1 &* b0
        return mix(product.high &+ constant[1] &+ Self.one(carry) &+ cross)
    }

    @inline(__always) private static func one(_ carry: Bool) -> UInt64 { UInt64(unsafeBitCast(carry, to: UInt8.self)) }

    /// A bijection, after which the upper bits depend on all, and keys that are numbered are not neighbours.
    @inline(__always) private func mix(_ hash: UInt64) -> UInt64 { (hash ^ (hash &>> 32)) &* words[6] }

    /// Keys of 17 bytes and more. The last block overlaps the one before it.
    @inline(never)
    private func hashLong(_ key: ByteView) -> UInt64 {
        let count = key.count
        guard count <= Self.longest else { return SipHash.hash13(key, key: (words[0], words[1])) }
        var low: UInt64 = 0
        var high: UInt64 = 0
        var offset = 0
        var word = words + Self.nh
        while true {
            let a = key.base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            let b = key.base.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self)
            let product = (a &+ word[0]).multipliedFullWidth(by: b &+ word[1])
            let (sum, carry) = low.addingReportingOverflow(product.low)
            low = sum
            high = high &+ product.high &+ Self.one(carry)
            word += 2
            if offset &+ 16 >= count { break }
            offset = min(offset &+ 16, count &- 16)
        }
        return finish(low: low, high: high, count)
    }

    /// The upper half of constant + low * m1 + high * m2 modulo 2^128, plus the length's product.
    @inline(__always)
    private func finish(low: UInt64, high: UInt64, _ count: Int) -> UInt64 {
        let words = words + Self.long
        let first = low.multipliedFullWidth(by: words[2])
        let second = high.multipliedFullWidth(by: words[4])
        let (sum1, carry1) = words[0].addingReportingOverflow(first.low)
        let (_, carry2) = sum1.addingReportingOverflow(second.low)
        var hash = words[1] &+ first.high &+ second.high
        hash = hash &+ Self.one(carry1) &+ Self.one(carry2)
        hash = hash &+ low &* words[3] &+ high &* words[5]
        hash = hash &+ UInt64(truncatingIfNeeded: count) &* words[6]
        return mix(hash)
    }
}
