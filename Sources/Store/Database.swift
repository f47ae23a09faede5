import Runtime

/// One numbered database of a shard. A handle: copies name the same one. `now` is Unix milliseconds everywhere.
@frozen
public struct Database: BitwiseCopyable {
    @usableFromInline let state: UnsafeMutableRawPointer

    @inlinable init(_ state: UnsafeMutableRawPointer) { self.state = state }

    /// Keys, including those that expired and were neither touched nor reached by the wheel yet.
    public var count: Int { fatalError("not yet") }
    /// Keys that have an expiry.
    public var expiresCount: Int { fatalError("not yet") }

    /// nil when the key is absent or expired; an expired key is removed.
    public func find(_ key: ByteView, now: Int64) -> Entry? { fatalError("not yet") }

    /// Inserts or overwrites; an old expiry is dropped. `expireAt` is Unix milliseconds or -1. A deadline that has
    /// passed already is stored as it is: the key is gone at the next look.
    @discardableResult
    public func set(_ key: ByteView, _ value: ByteView, expireAt: Int64 = -1, now: Int64) -> Entry {
        fatalError("not yet")
    }

    /// Inserts or overwrites; a living key keeps its expiry.
    @discardableResult
    public func setKeepingExpiry(_ key: ByteView, _ value: ByteView, now: Int64) -> Entry { fatalError("not yet") }

    /// False when the key is absent or expired already.
    @discardableResult
    public func remove(_ key: ByteView, now: Int64) -> Bool { fatalError("not yet") }

    /// Makes the value `count` bytes long, creating the key if absent; new bytes are zero, the expiry stays.
    /// Returns the entry and its value's first byte.
    public func resize(_ key: ByteView, to count: Int, now: Int64) -> (Entry, UnsafeMutableRawPointer) {
        fatalError("not yet")
    }

    /// Like `set`, but takes the buffer over as the value instead of copying it (a short value is copied all the same).
    @discardableResult
    public func adopt(_ key: ByteView, buffer: OwnedBuffer, expireAt: Int64 = -1, now: Int64) -> Entry {
        fatalError("not yet")
    }

    /// Sets or changes the expiry (Unix milliseconds). The entry may move: use the one returned.
    @discardableResult
    public func setExpiry(_ entry: Entry, at: Int64) -> Entry { fatalError("not yet") }

    /// Makes the key permanent. False when it had no expiry. The entry may move: use the one returned by `find`.
    @discardableResult
    public func clearExpiry(_ entry: Entry) -> Bool { fatalError("not yet") }

    /// Forgets every key at once; the memory is given back in steps by `Keyspace.incrementalWork`.
    public func removeAll() { fatalError("not yet") }
}
