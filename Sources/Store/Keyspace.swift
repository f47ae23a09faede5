import Glibc
import Runtime

/// All databases of one shard, with the timing wheel of their expiries. A handle: copies name the same keyspace.
/// Used by one thread at a time.
public struct Keyspace: BitwiseCopyable, @unchecked Sendable {
    let state: UnsafeMutablePointer<KeyspaceState>

    /// - Parameters:
    ///   - hashKey: 128 secret random bits, new in each process.
    ///   - monotonic: nanoseconds of the clock that later calls speak of.
    ///   - unix: Unix milliseconds at that same instant.
    public init(databases: Int, hashKey: (UInt64, UInt64), monotonic: Nanoseconds, unix: Int64) {
        self.init(databases: databases, keyHash: KeyHash(secret: hashKey), monotonic: monotonic, unix: unix)
    }

    init(databases count: Int, keyHash: KeyHash, monotonic: Nanoseconds, unix: Int64) {
        precondition(count > 0, "a keyspace has at least one database")
        state = .allocate(capacity: 1)
        let databases = UnsafeMutablePointer<DatabaseState>.allocate(capacity: count)
        state.initialize(
            to: KeyspaceState(
                databases: databases, databaseCount: count, keyHash: keyHash, monotonic: monotonic,
                unixMilliseconds: unix))
        for index in 0..<count {
            (databases + index).initialize(to: DatabaseState(shared: state, keyHash: keyHash))
        }
    }

    /// Gives all memory back. O(keys).
    public func deallocate() {
        for index in 0..<databaseCount { database(index).removeAll() }
        while incrementalWork(budget: 1 << 20) {}
        for index in 0..<databaseCount { state.pointee.databases[index].table.free() }
        state.pointee.databases.deallocate()
        state.pointee.records.deallocate()
        state.pointee.keyHash.deallocate()
        state.pointee.recentWrites.deallocate()
        state.deinitialize(count: 1)
        state.deallocate()
    }

    public var databaseCount: Int { state.pointee.databaseCount }

    /// `index` is checked.
    public func database(_ index: Int) -> Database {
        precondition(index >= 0 && index < state.pointee.databaseCount, "no such database")
        return Database(state.pointee.databases + index)
    }

    /// Bytes of tables, entries, values and expiry records, allocator overhead included. Not zero when all databases
    /// are empty: each keeps a table of the smallest size.
    public var usedMemory: Int { state.pointee.usedMemory }

    /// Keys of all databases together.
    public var recentWrites: RecentWrites { state.pointee.recentWrites }

    /// Keys that expired, found on access or by the wheel, since the start.
    public var expiredKeys: UInt64 { state.pointee.expiredKeys }

    /// Removes keys whose deadline has passed; looks at no more than `budget` of them. Call it once a turn: it also
    /// tells the keyspace how the two clocks relate now. Returns how many keys were removed.
    ///
    /// The wheel counts monotonic time, a deadline is wall-clock time. When the wall clock is set back, a key whose
    /// timer fires is not due yet and is scheduled anew. When it is set forward, keys are expired on access at once,
    /// but the wheel frees the others only when their old time comes.
    @discardableResult
    public func expireDue(unixMilliseconds: Int64, monotonic: Nanoseconds, budget: Int) -> Int {
        state.pointee.unixMilliseconds = unixMilliseconds
        state.pointee.monotonic = monotonic
        return state.pointee.wheel.isQuiet(now: monotonic)
            ? 0 : removeDue(unixMilliseconds: unixMilliseconds, monotonic: monotonic, budget: budget)
    }

    @inline(never) private func removeDue(unixMilliseconds: Int64, monotonic: Nanoseconds, budget: Int) -> Int {
        var removed = 0
        var left = budget
        while left > 0, let node = state.pointee.wheel.popExpired(now: monotonic) {
            left &-= 1
            let record = UnsafeMutableRawPointer(node).assumingMemoryBound(to: ExpiryRecord.self)
            let deadline = record.pointee.deadline
            if unixMilliseconds < deadline {
                state.pointee.wheel.schedule(node, at: state.pointee.wheelDeadline(deadline))
                continue
            }
            let entry = Entry(UnsafeMutableRawPointer(bitPattern: UInt(node.pointee.context))!)
            if record.pointee.database.expire(entry) { removed &+= 1 }
        }
        return removed
    }

    /// Whether `expireDue` would go on at once: its budget was used up, or the wheel's.
    public func isExpiryDue(monotonic: Nanoseconds) -> Bool { !state.pointee.wheel.isQuiet(now: monotonic) }

    /// Moves buckets of growing or shrinking tables and frees what `removeAll` left, about `budget` buckets. True while
    /// work is left. One load when there is none.
    @discardableResult
    public func incrementalWork(budget: Int) -> Bool {
        state.pointee.pendingWork != 0 && work(budget: budget)
    }

    @inline(never) private func work(budget: Int) -> Bool {
        var left = budget
        for index in 0..<databaseCount where state.pointee.databases[index].old != nil && left > 0 {
            left &-= database(index).move(buckets: left, entries: left)
        }
        state.freeDiscarded(budget: left)
        return state.pointee.pendingWork > 0
    }

    /// When `expireDue` has something to do next (monotonic), or nil.
    public var nextDeadline: Nanoseconds? { state.pointee.wheel.nextDeadline }
}

/// What a `Keyspace` handle points to.
struct KeyspaceState: ~Copyable {
    /// `databaseCount` of them, owned.
    let databases: UnsafeMutablePointer<DatabaseState>
    let databaseCount: Int
    let keyHash: KeyHash
    /// The pair of clock readings given last: the same instant on both clocks.
    var monotonic: Nanoseconds
    var unixMilliseconds: Int64
    /// Holds the timer of every expiry record, discarded entries' included.
    var wheel: TimingWheel
    let records = Slab<ExpiryRecord>(objectsPerChunk: 256)
    /// Tables that `removeAll` left, with their entries; emptied in steps.
    var discarded: UnsafeMutablePointer<Discarded>?
    /// Databases that have an old table, plus the length of `discarded`.
    var pendingWork = 0
    /// Sum of the footprints of everything allocated for keys: it returns to the empty tables' when all is removed.
    var usedMemory = 0
    var expiredKeys: UInt64 = 0
    let recentWrites = RecentWrites()
    /// Buckets moved by growing and shrinking, ever.
    var movedBuckets: UInt64 = 0

    init(
        databases: UnsafeMutablePointer<DatabaseState>, databaseCount: Int, keyHash: KeyHash, monotonic: Nanoseconds,
        unixMilliseconds: Int64
    ) {
        self.databases = databases
        self.databaseCount = databaseCount
        self.keyHash = keyHash
        self.monotonic = monotonic
        self.unixMilliseconds = unixMilliseconds
        wheel = TimingWheel(now: monotonic)
    }
}
