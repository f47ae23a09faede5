import Runtime

/// What kind of value a key holds.
public enum ValueType: UInt8, Sendable {
    case string = 0
}

/// One key with its value. Valid until the next mutating call on its database (a `find` of an expired key is one).
@frozen
public struct Entry: BitwiseCopyable {
    @usableFromInline let base: UnsafeMutableRawPointer

    @inlinable init(_ base: UnsafeMutableRawPointer) { self.base = base }

    public var type: ValueType { .string }
    public var key: ByteView { fatalError("not yet") }
    public var value: ByteView { fatalError("not yet") }
    /// First byte of the value, for changes in place: at most `value.count` bytes.
    public var mutableValue: UnsafeMutableRawPointer { fatalError("not yet") }
    /// Unix milliseconds, or -1 for a key without expiry.
    public var expireAt: Int64 { fatalError("not yet") }
}
