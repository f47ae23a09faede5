import Runtime

/// All databases of one shard, with the timing wheel of their expiries. A handle: copies name the same keyspace.
/// Used by one thread at a time.
@frozen
public struct Keyspace: BitwiseCopyable, @unchecked Sendable {
    @usableFromInline let state: UnsafeMutableRawPointer

    /// - Parameters:
    ///   - hashKey: 128 secret random bits, new in each process.
    ///   - monotonic: nanoseconds of the clock that later calls speak of.
    ///   - unix: Unix milliseconds at that same instant.
    public init(databases: Int, hashKey: (UInt64, UInt64), monotonic: Nanoseconds, unix: Int64) {
        fatalError("not yet")
    }

    public func deallocate() { fatalError("not yet") }

    public var databaseCount: Int { fatalError("not yet") }
    /// `index` is checked.
    public func database(_ index: Int) -> Database { fatalError("not yet") }

    /// Bytes of tables, entries, values and expiry records, allocator overhead included.
    public var usedMemory: Int { fatalError("not yet") }
    /// Keys that expired, found on access or by the wheel, since the start.
    public var expiredKeys: UInt64 { fatalError("not yet") }

    /// Removes keys whose deadline has passed, at most `budget` of them. Call it once a turn: it also tells the
    /// keyspace how the two clocks relate now. Returns how many keys were removed.
    @discardableResult
    public func expireDue(unixMilliseconds: Int64, monotonic: Nanoseconds, budget: Int) -> Int { fatalError("not yet") }

    /// Moves buckets of growing tables and frees what `removeAll` left, about `budget` buckets. True while work is left.
    @discardableResult
    public func incrementalWork(budget: Int) -> Bool { fatalError("not yet") }

    /// When `expireDue` has something to do next (monotonic), or nil.
    public var nextDeadline: Nanoseconds? { fatalError("not yet") }
}
