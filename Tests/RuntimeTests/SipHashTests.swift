import Runtime
import Testing

/// SipHash-2-4 of the bytes 0, 1, 2, ... with the key 0, 1, ..., 15: the vectors of the paper's appendix and of the
/// reference implementation. Those of 1-3 stand with the store's hashes.
@Suite struct SipHashTests {
    static let vectors: [(count: Int, hash: UInt64)] = [
        (0, 0x726f_db47_dd0e_0e31), (8, 0x93f5_f579_9a93_2462), (15, 0xa129_ca61_49be_45e5),
    ]

    @Test(arguments: vectors) func twoFour(count: Int, hash: UInt64) {
        // One byte more than is hashed, so that the empty input has an address.
        let input = (0...count).map { UInt8($0) }
        let found = input.withUnsafeBytes {
            SipHash.hash24(
                ByteView($0.baseAddress!, count), key: (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908))
        }
        #expect(found == hash)
    }
}
