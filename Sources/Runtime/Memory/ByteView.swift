import Glibc

/// Bytes that somebody else owns: a pointer and a count. Valid only as long as its owner says; never stored past that.
@frozen
public struct ByteView: BitwiseCopyable {
    public let base: UnsafeRawPointer
    /// Always >= 0. `base` is dereferenced only below it.
    public let count: Int

    @inlinable @inline(__always) public init(_ base: UnsafeRawPointer, _ count: Int) {
        self.base = base
        self.count = count
    }

    @inlinable @inline(__always) public subscript(_ index: Int) -> UInt8 {
        base.load(fromByteOffset: index, as: UInt8.self)
    }

    @inlinable public func equals(_ other: ByteView) -> Bool {
        count == other.count && memcmp(base, other.base, count) == 0
    }

    /// ASCII case-insensitive comparison with a literal that is written in lower case.
    @inlinable public func equalsIgnoringCase(_ lowercase: StaticString) -> Bool {
        guard count == lowercase.utf8CodeUnitCount else { return false }
        let other = lowercase.utf8Start
        for index in 0..<count {
            var byte = self[index]
            if byte >= 65 && byte <= 90 { byte |= 0x20 }
            if byte != other[index] { return false }
        }
        return true
    }

    /// A copy as text, for logs, errors and tests: invalid UTF-8 is repaired. Allocates.
    public var string: String { String(decoding: UnsafeRawBufferPointer(start: base, count: count), as: UTF8.self) }
    /// A copy. Allocates.
    public var array: [UInt8] { Array(UnsafeRawBufferPointer(start: base, count: count)) }
}
