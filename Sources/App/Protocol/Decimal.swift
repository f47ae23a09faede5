/// Decimal text of integers, written two digits at a time.
enum Decimal {
    /// "-9223372036854775808"
    static let maximumDigits = 20

    /// "00", "01", ... "99"
    private static let pairs: StaticString = """
        0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
        5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899
        """

    /// Writes `value` at `place`, where there is room for 20 bytes. Returns the end.
    @inline(__always)
    static func write(_ value: Int64, to place: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        guard value < 0 else { return write(UInt64(bitPattern: value), to: place) }
        place.storeBytes(of: UInt8(ascii: "-"), as: UInt8.self)
        return write(value.magnitude, to: place + 1)
    }

    static func write(_ value: UInt64, to place: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        let end = place + digitCount(value)
        var rest = value
        var position = end
        while rest >= 100 {
            let pair = Int(truncatingIfNeeded: rest % 100)
            rest /= 100
            position -= 2
            storePair(pair, at: position)
        }
        if rest >= 10 {
            storePair(Int(truncatingIfNeeded: rest), at: position - 2)
        } else {
            (position - 1).storeBytes(of: UInt8(truncatingIfNeeded: rest) &+ 48, as: UInt8.self)
        }
        return end
    }

    /// The two digits of a number below 100, the tens in the lower byte.
    @inline(__always)
    static func pair(_ number: Int) -> UInt16 {
        UInt16(littleEndian: (UnsafeRawPointer(pairs.utf8Start) + number &* 2).loadUnaligned(as: UInt16.self))
    }

    @inline(__always)
    static func storePair(_ pair: Int, at place: UnsafeMutableRawPointer) {
        let digits = UnsafeRawPointer(pairs.utf8Start) + pair &* 2
        place.storeBytes(of: digits.loadUnaligned(as: UInt16.self), as: UInt16.self)
    }

    /// 1...20
    static func digitCount(_ value: UInt64) -> Int {
        if value < 10 { return 1 }
        if value < 100 { return 2 }
        if value < 1000 { return 3 }
        if value < 10_000 { return 4 }
        var count = 4
        var rest = value / 10_000
        while rest >= 10_000 {
            count &+= 4
            rest /= 10_000
        }
        return count &+ (rest < 10 ? 1 : rest < 100 ? 2 : rest < 1000 ? 3 : 4)
    }
}
