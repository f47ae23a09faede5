/// The Internet checksum (RFC 1071): the ones' complement sum of 16-bit words. The sum does not care about byte order as
/// long as it is kept throughout, so words are added as they lie in memory, eight bytes at a time with end-around carry.
enum InternetChecksum {
    /// a + b with the carry added back in. Cannot overflow twice.
    @inline(__always) static func add(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let (sum, carry) = a.addingReportingOverflow(b)
        return sum &+ (carry ? 1 : 0)
    }

    /// Unfolded sum of `count` bytes at `base` and `initial`. An odd last byte counts as if a zero byte followed.
    /// O(count), some 2.5 instructions for 8 bytes.
    @inline(__always) static func sum(_ base: UnsafeRawPointer, _ count: Int, _ initial: UInt64 = 0) -> UInt64 {
        var total = initial
        var p = base
        var left = count
        while left >= 32 {
            total = add(total, p.raw64(0))
            total = add(total, p.raw64(8))
            total = add(total, p.raw64(16))
            total = add(total, p.raw64(24))
            p += 32
            left &-= 32
        }
        while left >= 8 {
            total = add(total, p.raw64(0))
            p += 8
            left &-= 8
        }
        if left & 4 != 0 {
            total = add(total, UInt64(p.raw32(0)))
            p += 4
        }
        if left & 2 != 0 {
            total = add(total, UInt64(p.raw16(0)))
            p += 2
        }
        if left & 1 != 0 { total = add(total, UInt64(p.byte(0))) }
        return total
    }

    /// The same for a segment's bytes: `count` > 0, and the eight bytes before `base + count` can be read whatever they
    /// are (headers lie there). The rest behind the last whole word is taken from one load, instead of by its bits.
    @inline(__always) static func sumSegment(_ base: UnsafeRawPointer, _ count: Int, _ initial: UInt64) -> UInt64 {
        var total = initial
        var p = base
        // Whole words, without the last 1...8 bytes.
        var words = (count &- 1) &>> 3
        while words >= 4 {
            total = add(total, p.raw64(0))
            total = add(total, p.raw64(8))
            total = add(total, p.raw64(16))
            total = add(total, p.raw64(24))
            p += 32
            words &-= 4
        }
        if words & 2 != 0 {
            total = add(total, p.raw64(0))
            total = add(total, p.raw64(8))
            p += 16
        }
        if words & 1 != 0 { total = add(total, p.raw64(0)) }
        // The shift drops what lies before the rest; it is -8 * count modulo 64.
        let rest = (base + (count &- 8)).raw64(0) &>> UInt64(truncatingIfNeeded: (0 &- count) &<< 3)
        return add(total, rest)
    }

    /// The sum folded to 16 bits, in memory order. 0xFFFF over data that includes a correct checksum field.
    /// A number plus itself with its halves swapped has the halves' ones' complement sum in its upper half.
    @inline(__always) static func fold(_ sum: UInt64) -> UInt16 {
        let half = UInt32(truncatingIfNeeded: (sum &+ (sum &<< 32 | sum &>> 32)) &>> 32)
        return UInt16(truncatingIfNeeded: (half &+ (half &<< 16 | half &>> 16)) &>> 16)
    }

    /// Whether data that includes a checksum field is right: the folded sum is 0xFFFF, that is, the sum (of a header never
    /// 0) is a multiple of 0xFFFF. Multiplying by the inverse of 0xFFFF modulo 2^64 gives a quotient of at most
    /// (2^64 - 1) / 0xFFFF exactly for multiples; this is cheaper than folding.
    @inline(__always) static func isRight(_ sum: UInt64) -> Bool {
        sum &* 0xFFFE_FFFE_FFFE_FFFF <= 0x0001_0001_0001_0001
    }

    /// What goes into the checksum field (memory order: store it raw) when the summed field was zero.
    @inline(__always) static func finish(_ sum: UInt64) -> UInt16 { ~fold(sum) }

    /// Sum of the IPv4 pseudo-header (RFC 9293 3.1): addresses in memory order, protocol and length of the segment.
    @inline(__always) static func pseudoHeader(
        _ sourceRaw: UInt32, _ destinationRaw: UInt32, protocol number: UInt8, length: Int
    ) -> UInt64 {
        UInt64(sourceRaw) &+ UInt64(destinationRaw) &+ UInt64(UInt16(number).bigEndian)
            &+ UInt64(UInt16(truncatingIfNeeded: length).bigEndian)
    }
}
