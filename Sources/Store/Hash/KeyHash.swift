import Runtime

/// The keyed 64-bit hash of keys. A handle over the secret's expansion; copies name the same secret.
///
/// Up to 512 bytes: NH (Black, Halevi, Krawczyk, Krovetz, Rogaway, "UMAC", 1999) over pairs of words gives 128 bits;
/// a multilinear function (Dietzfelbinger 1996, Thorup 2015) of those and of the length gives 64; a fixed bijection
/// breaks what is left of linearity. For two keys that do not depend on the secret, the probability of equal hashes is
/// at most 2^-63 at equal lengths (2^-64 from each step) and below 2^-54 otherwise, and the hash is 2-independent up to
/// that, so no list of keys prepared without the secret floods a table. Above 512 bytes: SipHash-1-3.
/// docs/store.md compares the cost with SipHash for every key.
struct KeyHash: BitwiseCopyable {
    /// `Self.wordCount` words, constant after construction:
    ///   0, 1   the secret           2, 3   the multilinear constant (low, high)
    ///   4, 5   multiplier of NH's low word      6, 7   of its high word (low, high)
    ///   8      multiplier of the length         9      unused
    ///   10...  NH's words, one for each 8 bytes of key
    private let words: UnsafeMutablePointer<UInt64>

    static let longest = 512
    static let wordCount = 10 + longest / 8

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
    }

    /// For tests that want collisions: the low word's multiplier alone is left, and it passes only the lowest `bits`
    /// bits of NH's low word, so there are at most 2^bits different hashes.
    init(secret: (UInt64, UInt64), distinctBits bits: Int) {
        self.init(secret: secret)
        for index in 4...8 { words[index] = 0 }
        words[5] = bits == 0 ? 0 : 1 << UInt64(64 - bits)
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
        let product = (a &+ words[10]).multipliedFullWidth(by: b &+ words[11])
        return finish(low: product.low, high: product.high, count)
    }

    /// The same function for keys of 17 bytes and more. The last block overlaps the one before it.
    @inline(never)
    private func hashLong(_ key: ByteView) -> UInt64 {
        let count = key.count
        guard count <= Self.longest else { return SipHash.hash13(key, key: (words[0], words[1])) }
        var low: UInt64 = 0
        var high: UInt64 = 0
        var offset = 0
        var word = words + 10
        while true {
            let a = key.base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            let b = key.base.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self)
            let product = (a &+ word[0]).multipliedFullWidth(by: b &+ word[1])
            let (sum, carry) = low.addingReportingOverflow(product.low)
            low = sum
            high = high &+ product.high &+ (carry ? 1 : 0)
            word += 2
            if offset &+ 16 >= count { break }
            offset = min(offset &+ 16, count &- 16)
        }
        return finish(low: low, high: high, count)
    }

    /// The upper half of constant + low * m1 + high * m2 modulo 2^128, plus the length's product.
    @inline(__always)
    private func finish(low: UInt64, high: UInt64, _ count: Int) -> UInt64 {
        let first = low.multipliedFullWidth(by: words[4])
        let second = high.multipliedFullWidth(by: words[6])
        let (sum1, carry1) = words[2].addingReportingOverflow(first.low)
        let (_, carry2) = sum1.addingReportingOverflow(second.low)
        var hash = words[3] &+ first.high &+ second.high
        hash = hash &+ (carry1 ? 1 : 0) &+ (carry2 ? 1 : 0)
        hash = hash &+ low &* words[5] &+ high &* words[7]
        hash = hash &+ UInt64(truncatingIfNeeded: count) &* words[8]
        hash = (hash ^ (hash &>> 32)) &* 0x9E37_79B9_7F4A_7C15
        return hash ^ (hash &>> 29)
    }
}
