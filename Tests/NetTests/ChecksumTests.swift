import Testing

@testable import Net

/// The short forms of the checksum against the plain one.
struct ChecksumTests {
    @Test func segmentSumsAndTestsAgreeWithThePlainSum() {
        let bytes = (0..<400).map { UInt8(truncatingIfNeeded: $0 &* 151 &+ 7) }
        bytes.withUnsafeBytes { raw in
            let base = raw.baseAddress! + 16
            for count in 1...380 {
                let plain = InternetChecksum.sum(base, count, 1 << 40)
                let short = InternetChecksum.sumSegment(base, count, 1 << 40)
                #expect(InternetChecksum.fold(plain) == InternetChecksum.fold(short), "\(count) bytes")
            }
        }
        for step in UInt64(1)...2_000 {
            for sum in [step &* 0xFFFF, step &* 0xFFFF &+ 1, step &* 0x9E37_79B9_7F4A_7C15, ~(step &- 1)] {
                #expect(InternetChecksum.isRight(sum) == (InternetChecksum.fold(sum) == 0xFFFF), "\(sum)")
            }
        }
    }

    /// Carries at every place: bytes of ones, zeros and both, with every kind of initial sum, against RFC 1071's own way.
    @Test func carriesAreNeverLost() {
        for pattern: [UInt8] in [[0xFF], [0], [0xFF, 0], [1, 0, 0, 0, 0, 0, 0, 0xFF], [0xFF, 0xFF, 0xFF, 0xFE]] {
            let bytes = (0..<300).map { pattern[$0 % pattern.count] }
            bytes.withUnsafeBytes { raw in
                let base = raw.baseAddress! + 8
                for count in 1...280 {
                    for initial: UInt64 in [0, 1, 0xFFFF, .max, .max - 1, 1 << 63] {
                        let right = reference(base, count, initial)
                        #expect(InternetChecksum.fold(InternetChecksum.sum(base, count, initial)) == right)
                        #expect(InternetChecksum.fold(InternetChecksum.sumSegment(base, count, initial)) == right)
                    }
                }
            }
        }
        let words: [UInt64] = [0, 1, .max, .max - 1, 1 << 63, 0xFFFF, 0x0123_4567_89AB_CDEF]
        for a in words {
            for b in words {
                for c in words {
                    for d in words {
                        let plain = InternetChecksum.add(InternetChecksum.add(InternetChecksum.add(a, b), c), d)
                        let same =
                            InternetChecksum.fold(InternetChecksum.add(a, b, c, d)) == InternetChecksum.fold(plain)
                        #expect(same)
                    }
                }
            }
        }
    }

    /// The ones' complement sum by 16-bit words.
    private func reference(_ base: UnsafeRawPointer, _ count: Int, _ initial: UInt64) -> UInt16 {
        var sum = (0..<4).reduce(UInt64(0)) { $0 + initial >> (UInt64($1) * 16) & 0xFFFF }
        for index in 0..<count { sum += UInt64(base.load(fromByteOffset: index, as: UInt8.self)) << (index % 2 * 8) }
        while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
        return UInt16(sum)
    }
}
