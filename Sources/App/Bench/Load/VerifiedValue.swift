import Runtime

/// A value that tells for which key it was written and when: any of those that were ever written for a key is recognised, and
/// everything else is not. At least `stampedSize` bytes: 12 digits of the key's number, ":", 16 hexadecimal digits of the
/// stamp, ":", and bytes that follow from both, from the size and their position (any bytes, line ends too). In shorter ones bytes
/// follow from key, size and position alone.
enum VerifiedValue {
    private static let headerSize = 30
    /// With eight bytes behind the header, that nobody changes the stamp unnoticed.
    static let stampedSize = headerSize + 8

    /// - Parameter stamp: of the run in the upper half, of the write within the run in the lower.
    static func write(_ place: UnsafeMutableRawPointer, size: Int, key: Int, stamp: UInt64) {
        let head = size >= stampedSize ? headerSize : 0
        if head > 0 {
            KeyDigits.write(key, at: place)
            place.storeBytes(of: UInt8(ascii: ":"), toByteOffset: 12, as: UInt8.self)
            for index in 0..<16 {
                let digit = UInt8(truncatingIfNeeded: stamp &>> UInt64(60 &- 4 &* index)) & 15
                place.storeBytes(of: digit < 10 ? 48 &+ digit : 87 &+ digit, toByteOffset: 13 + index, as: UInt8.self)
            }
            place.storeBytes(of: UInt8(ascii: ":"), toByteOffset: 29, as: UInt8.self)
        }
        var filler = Filler(key: key, stamp: head > 0 ? stamp : 0, size: size)
        var position = head
        while position < size {
            var word = filler.next()
            for _ in 0..<min(8, size &- position) {
                place.storeBytes(of: UInt8(truncatingIfNeeded: word), toByteOffset: position, as: UInt8.self)
                word &>>= 8
                position &+= 1
            }
        }
    }

    enum Finding: Equatable {
        /// Written for this key, with this stamp (0: too short to have one).
        case valid(stamp: UInt64)
        /// Written for another key.
        case foreign(key: Int)
        /// Not one of ours, or damaged from this byte on.
        case damaged(at: Int)
    }

    static func check(_ value: ByteView, key: Int) -> Finding {
        var stamp: UInt64 = 0
        var head = 0
        if value.count >= stampedSize {
            guard let owner = KeyDigits.read(value.base) else { return .damaged(at: 0) }
            guard value[12] == UInt8(ascii: ":"), value[29] == UInt8(ascii: ":"), let read = hexadecimal(value) else {
                return .damaged(at: 12)
            }
            guard owner == key else { return .foreign(key: owner) }
            stamp = read
            head = headerSize
        }
        var filler = Filler(key: key, stamp: stamp, size: value.count)
        var position = head
        while position < value.count {
            var word = filler.next()
            for _ in 0..<min(8, value.count &- position) {
                guard value[position] == UInt8(truncatingIfNeeded: word) else { return .damaged(at: position) }
                word &>>= 8
                position &+= 1
            }
        }
        return .valid(stamp: stamp)
    }

    private static func hexadecimal(_ value: ByteView) -> UInt64? {
        var number: UInt64 = 0
        for index in 13..<29 {
            switch value[index] {
            case let digit where digit &- 48 < 10: number = number &<< 4 | UInt64(digit &- 48)
            case let letter where letter &- 97 < 6: number = number &<< 4 | UInt64(letter &- 87)
            default: return nil
            }
        }
        return number
    }

    /// Eight bytes after the other (SplitMix64).
    private struct Filler {
        private var state: UInt64

        init(key: Int, stamp: UInt64, size: Int) {
            state = UInt64(key) &* 0xD6E8_FEB8_6659_FD93 ^ stamp ^ UInt64(size) &* 0xA076_1D64_78BD_642F
        }

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }
}
