import Runtime

/// What kind of value a key holds.
public enum ValueType: UInt8, Sendable {
    case string = 0
}

/// One key with its value. Valid until the next mutating call on its database (a `find` of an expired key is one).
///
/// Memory, one allocation (docs/store.md):
///
///     header 8 | key | [timer 8] | value
///
/// The header, from the lowest bit: key length 16 (0xFFFF: the true length is in 8 bytes before the key), length of an
/// embedded value 16, flags 8 (`hasTimerSlot`, `isSeparate`, in the upper half the type), 24 unused. `timer` points to
/// the expiry record, or is nil in a key made permanent. A value longer than `embeddedLimit` has its own allocation,
/// and pointer, length and capacity stand in its place.
public struct Entry: BitwiseCopyable {
    @usableFromInline let base: UnsafeMutableRawPointer

    @usableFromInline init(_ base: UnsafeMutableRawPointer) { self.base = base }

    @usableFromInline static let hasTimerSlot: UInt64 = 1 << 32
    @usableFromInline static let isSeparate: UInt64 = 1 << 33
    @usableFromInline static let longKey = 0xFFFF
    /// Longest value that shares the key's allocation.
    static let embeddedLimit = 1024
    static let separateSize = 24

    @inlinable var header: UInt64 { base.load(as: UInt64.self) }

    public var type: ValueType { .string }

    @inlinable public var key: ByteView {
        let short = Int(header & 0xFFFF)
        if short != Self.longKey { return ByteView(base + 8, short) }
        return ByteView(base + 16, base.load(fromByteOffset: 8, as: Int.self))
    }

    /// Where the part after the key begins: the timer slot, or the value.
    @inlinable var afterKey: UnsafeMutableRawPointer {
        let short = Int(header & 0xFFFF)
        if short != Self.longKey { return base + (8 &+ short) }
        return base + (16 &+ base.load(fromByteOffset: 8, as: Int.self))
    }

    /// The embedded value, or the three words of a separate one.
    @inlinable var valueField: UnsafeMutableRawPointer {
        afterKey + Int(truncatingIfNeeded: (header &>> 29) & 8)
    }

    /// The bytes of a string.
    @inlinable @inline(__always) public var value: ByteView {
        // Nearly always: a short key, no timer slot, embedded.
        let short = Int(header & 0xFFFF)
        if short != Self.longKey, header & (Self.hasTimerSlot | Self.isSeparate) == 0 {
            return ByteView(base + (8 &+ short), Int(truncatingIfNeeded: (header &>> 16) & 0xFFFF))
        }
        let field = valueField
        if header & Self.isSeparate == 0 {
            return ByteView(field, Int(truncatingIfNeeded: (header &>> 16) & 0xFFFF))
        }
        return ByteView(
            field.loadUnaligned(as: UnsafeMutableRawPointer.self), field.loadUnaligned(fromByteOffset: 8, as: Int.self))
    }

    /// First byte of the value, for changes in place: at most `value.count` bytes.
    @inlinable public var mutableValue: UnsafeMutableRawPointer { UnsafeMutableRawPointer(mutating: value.base) }

    /// Unix milliseconds, or -1 for a key without expiry.
    public var expireAt: Int64 { timer?.pointee.deadline ?? -1 }
}

extension Entry {
    var timer: UnsafeMutablePointer<ExpiryRecord>? {
        guard header & Self.hasTimerSlot != 0 else { return nil }
        return afterKey.loadUnaligned(as: UnsafeMutablePointer<ExpiryRecord>?.self)
    }

    /// The entry has a slot.
    func setTimer(_ record: UnsafeMutablePointer<ExpiryRecord>?) {
        afterKey.storeBytes(of: record, as: UnsafeMutablePointer<ExpiryRecord>?.self)
    }

    var isSeparate: Bool { header & Self.isSeparate != 0 }
    var embeddedCount: Int { Int(truncatingIfNeeded: (header &>> 16) & 0xFFFF) }
    /// Bytes of a separate value's allocation.
    var separateCapacity: Int { valueField.loadUnaligned(fromByteOffset: 16, as: Int.self) }

    func setEmbeddedCount(_ count: Int) {
        base.storeBytes(of: header & ~0xFFFF_0000 | UInt64(truncatingIfNeeded: count) &<< 16, as: UInt64.self)
    }

    func setSeparate(_ memory: UnsafeMutableRawPointer, count: Int, capacity: Int) {
        let field = valueField
        field.storeBytes(of: memory, as: UnsafeMutableRawPointer.self)
        field.storeBytes(of: count, toByteOffset: 8, as: Int.self)
        field.storeBytes(of: capacity, toByteOffset: 16, as: Int.self)
    }

    /// Bytes from the entry's start to its end, before rounding to an allocation size.
    var size: Int { valueField - base + (isSeparate ? Self.separateSize : embeddedCount) }

    /// Whether this is the entry of `key`, if their lengths are equal.
    @inline(__always)
    func hasWords(of key: ShortKey) -> Bool {
        base.load(fromByteOffset: 8, as: UInt64.self) == key.first
            && base.loadUnaligned(fromByteOffset: key.count, as: UInt64.self) == key.last
    }

    /// Where the value of an entry without a timer slot begins, whose key is not long.
    @inline(__always)
    func shortKeyValue(keyCount: Int) -> UnsafeMutableRawPointer { base + (8 &+ keyCount) }

    @inline(__always)
    func hasKey(_ key: ByteView) -> Bool {
        let count = key.count
        let short = Int(header & 0xFFFF)
        guard short == count, count >= 8, short != Self.longKey else { return hasUncommonKey(key) }
        let mine = base + 8
        var offset = 0
        let last = count &- 8
        while offset < last {
            if mine.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                != key.base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            {
                return false
            }
            offset &+= 8
        }
        return mine.loadUnaligned(fromByteOffset: last, as: UInt64.self)
            == key.base.loadUnaligned(fromByteOffset: last, as: UInt64.self)
    }

    /// Keys below 8 bytes and above 65,534.
    @inline(never)
    private func hasUncommonKey(_ key: ByteView) -> Bool { self.key.equals(key) }
}

/// A key of 8 to 16 bytes, as most are, in two words: its first and its last eight bytes, which say all of it together with
/// its length.
struct ShortKey: BitwiseCopyable {
    let first: UInt64
    let last: UInt64
    let count: Int

    @inline(__always)
    init?(_ key: ByteView) {
        guard UInt(bitPattern: key.count &- 8) <= 8 else { return nil }
        first = key.base.loadUnaligned(as: UInt64.self)
        last = key.base.loadUnaligned(fromByteOffset: key.count &- 8, as: UInt64.self)
        count = key.count
    }
}
