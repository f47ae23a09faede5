/// A TCP sequence number: a point on a circle of 2^32 (RFC 9293 3.4). Comparison asks which of two points is ahead by
/// less than half a turn; it is not transitive over the whole circle, therefore this is no `Comparable`.
public struct SequenceNumber: BitwiseCopyable, Equatable, Sendable {
    public var raw: UInt32
    @inline(__always) public init(_ raw: UInt32) { self.raw = raw }

    @inline(__always) public static func + (a: SequenceNumber, n: Int) -> SequenceNumber {
        SequenceNumber(a.raw &+ UInt32(truncatingIfNeeded: n))
    }
    @inline(__always) public static func - (a: SequenceNumber, n: Int) -> SequenceNumber {
        SequenceNumber(a.raw &- UInt32(truncatingIfNeeded: n))
    }
    /// How far `a` is ahead of `b`, -2^31..<2^31.
    @inline(__always) public static func - (a: SequenceNumber, b: SequenceNumber) -> Int {
        Int(Int32(bitPattern: a.raw &- b.raw))
    }
    @inline(__always) public static func += (a: inout SequenceNumber, n: Int) { a = a + n }

    @inline(__always) public static func < (a: SequenceNumber, b: SequenceNumber) -> Bool {
        Int32(bitPattern: a.raw &- b.raw) < 0
    }
    @inline(__always) public static func > (a: SequenceNumber, b: SequenceNumber) -> Bool { b < a }
    @inline(__always) public static func <= (a: SequenceNumber, b: SequenceNumber) -> Bool {
        Int32(bitPattern: a.raw &- b.raw) <= 0
    }
    @inline(__always) public static func >= (a: SequenceNumber, b: SequenceNumber) -> Bool { b <= a }

    /// The later of the two.
    @inline(__always) static func later(_ a: SequenceNumber, _ b: SequenceNumber) -> SequenceNumber { a < b ? b : a }
}
