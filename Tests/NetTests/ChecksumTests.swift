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
}
