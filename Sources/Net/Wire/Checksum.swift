/// The Internet checksum (RFC 1071): the ones' complement sum of 16-bit words. The sum does not care about byte order as
/// long as it is kept throughout, so words are added as they lie in memory, eight bytes at a time with end-around carry.
enum InternetChecksum {
    /// a + b with the carry added back in. Cannot overflow twice.
    @inline(__always) static func add(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let (sum, carry) = a.addingReportingOverflow(b)
        return sum &+ (carry ? 1 : 0)
    }

    /// Four words at `p` and `total`; the carry of each addition goes into the next one, which is one instruction a word.
    /// A sum of all ones never comes with a carry: for that both summands would be all ones and come with a carry, and
    /// there is none at the beginning. So adding the last carry cannot overflow.
    @inline(__always) private static func addFour(_ total: UInt64, _ p: UnsafeRawPointer) -> UInt64 {
        var (sum, carry) = first(total, p.raw64(0))
        (sum, carry) = add(sum, p.raw64(8), carry)
        (sum, carry) = add(sum, p.raw64(16), carry)
        (sum, carry) = add(sum, p.raw64(24), carry)
        return sum &+ carry
    }

    @inline(__always) private static func addEight(_ total: UInt64, _ p: UnsafeRawPointer) -> UInt64 {
        var (sum, carry) = first(total, p.raw64(0))
        (sum, carry) = add(sum, p.raw64(8), carry)
        (sum, carry) = add(sum, p.raw64(16), carry)
        (sum, carry) = add(sum, p.raw64(24), carry)
        (sum, carry) = add(sum, p.raw64(32), carry)
        (sum, carry) = add(sum, p.raw64(40), carry)
        (sum, carry) = add(sum, p.raw64(48), carry)
        (sum, carry) = add(sum, p.raw64(56), carry)
        return sum &+ carry
    }

    /// a + b, and the carry out as 0 or 1. Not by a condition: of that the compiler makes branches.
    @inline(__always) private static func first(_ a: UInt64, _ b: UInt64) -> (UInt64, UInt64) {
        let (sum, carry) = a.addingReportingOverflow(b)
        return (sum, UInt64(unsafeBitCast(carry, to: UInt8.self)))
    }

    /// a + b + carry, and the carry out.
    @inline(__always) private static func add(_ a: UInt64, _ b: UInt64, _ carry: UInt64) -> (UInt64, UInt64) {
        let (sum, one) = first(a, b)
        let (total, other) = first(sum, carry)
        // Never both.
        return (total, one | other)
    }

    /// a + b + c, likewise.
    @inline(__always) static func add(_ a: UInt64, _ b: UInt64, _ c: UInt64) -> UInt64 {
        let (sum, carry) = first(a, b)
        let (total, last) = add(sum, c, carry)
        return total &+ last
    }

    /// a + b + c + d, with the carries added back in; cannot overflow for the reason that `addFour` tells.
    @inline(__always) static func add(_ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64) -> UInt64 {
        var (sum, carry) = first(a, b)
        (sum, carry) = add(sum, c, carry)
        (sum, carry) = add(sum, d, carry)
        return sum &+ carry
    }

    /// Unfolded sum of `count` bytes at `base` and `initial`. An odd last byte counts as if a zero byte followed.
    /// O(count).
    @inline(__always) static func sum(_ base: UnsafeRawPointer, _ count: Int, _ initial: UInt64 = 0) -> UInt64 {
        var total = initial
        var p = base
        var left = count
        while left >= 32 {
            total = addFour(total, p)
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
        while words >= 16 {
            total = addEight(total, p)
            p += 64
            words &-= 8
        }
        if words & 8 != 0 {
            total = addEight(total, p)
            p += 64
        }
        if words & 4 != 0 {
            total = addFour(total, p)
            p += 32
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
