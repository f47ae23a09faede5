import CLinux
import Glibc
import Runtime

/// What a `Database` handle points to. Owned by its keyspace.
struct DatabaseState {
    /// Every insertion goes here.
    var table: Table
    /// While a growth or shrinking is under way: the table before it, being emptied bucket by bucket from `oldStart`
    /// on. A key is in exactly one of the two tables. nil otherwise.
    var old: Table?
    /// A bucket that was empty or held an entry at home when the move began, so no run of full buckets crosses it.
    var oldStart = 0
    /// Buckets emptied so far, counted in circular order from `oldStart`: those are all 0.
    var oldMoved = 0
    /// Entries with an expiry record.
    var expiresCount = 0
    let keyHash: KeyHash
    /// The keyspace that owns this database.
    let shared: UnsafeMutablePointer<KeyspaceState>

    /// Buckets that one mutating call moves at most while a table is emptied, and entries among them. Growth at 70 %
    /// to the double capacity is over after capacity / 5 calls, long before the new table is 70 % full; shrinking from
    /// 10 % to a quarter is over after capacity / 16 calls, when the new table is at most 66 % full (docs/store.md).
    static let moveBuckets = 32
    static let moveEntries = 4

    init(shared: UnsafeMutablePointer<KeyspaceState>, keyHash: KeyHash) {
        self.shared = shared
        self.keyHash = keyHash
        table = Table(capacity: Table.smallest)
        shared.pointee.usedMemory &+= table.bytes
    }
}

extension Database {
    // MARK: search

    /// The bucket that holds `key`, whichever table that is in.
    @inline(__always)
    func locate(_ key: ByteView, _ hash: UInt64) -> UnsafeMutablePointer<UInt64>? {
        let table = state.pointee.table
        if let bucket = table.search(key, hash, from: table.home(hash), distance: 0) { return bucket }
        return state.pointee.old == nil && !table.saturated ? nil : locateElsewhere(key, hash)
    }

    /// What `locate` leaves: a saturated table, and the old table of a growth.
    @inline(never)
    private func locateElsewhere(_ key: ByteView, _ hash: UInt64) -> UnsafeMutablePointer<UInt64>? {
        let keyHash = state.pointee.keyHash
        let table = state.pointee.table
        if table.saturated, let bucket = table.searchFar(key, keyHash, from: table.home(hash), distance: 0) {
            return bucket
        }
        guard let old = state.pointee.old else { return nil }
        let home = old.home(hash)
        // What stood before the cursor is gone: a run that reached over it is searched from the cursor on, with the
        // distance that the cursor has from the key's home.
        let behind = max(0, state.pointee.oldMoved &- ((home &- state.pointee.oldStart) & old.mask))
        let start = (home &+ behind) & old.mask
        if let bucket = old.search(key, hash, from: start, distance: behind) { return bucket }
        return old.saturated ? old.searchFar(key, keyHash, from: start, distance: behind) : nil
    }

    // MARK: change

    /// Adds an entry for a key that is absent.
    func insert(_ entry: Entry, _ hash: UInt64) {
        if state.pointee.table.count >= state.pointee.table.growAt, state.pointee.old == nil {
            replaceTable(capacity: state.pointee.table.capacity * 2)
        }
        state.pointee.table.insert(entry, hash, state.pointee.keyHash)
    }

    /// Empties a bucket that `locate` found.
    func removeBucket(_ bucket: UnsafeMutablePointer<UInt64>) {
        let table = state.pointee.table
        if bucket >= table.buckets, bucket < table.buckets + table.capacity {
            state.pointee.table.remove(bucket, state.pointee.keyHash)
            if table.count &* 10 < table.capacity, table.capacity > 4096, state.pointee.old == nil {
                replaceTable(capacity: table.capacity / 4)
            }
        } else {
            state.pointee.old!.remove(bucket, state.pointee.keyHash)
        }
    }

    /// Makes a bucket point to another entry of the same key.
    @inline(__always)
    func repoint(_ bucket: UnsafeMutablePointer<UInt64>, to entry: Entry) {
        bucket.pointee = (bucket.pointee & Table.metaMask) | Table.pointerBits(entry)
    }

    // MARK: growing and shrinking

    private func replaceTable(capacity: Int) {
        let old = state.pointee.table
        var start = 0
        while old.buckets[start] &>> 56 > 1 { start &+= 1 }
        state.pointee.old = old
        state.pointee.oldStart = start
        state.pointee.oldMoved = 0
        state.pointee.table = Table(capacity: capacity)
        let shared = state.pointee.shared
        shared.pointee.usedMemory &+= state.pointee.table.bytes
        shared.pointee.pendingWork &+= 1
    }

    /// The share of a mutating call in a move under way.
    @inline(__always)
    func moveSome() {
        if state.pointee.old != nil { move(buckets: DatabaseState.moveBuckets, entries: DatabaseState.moveEntries) }
    }

    /// Moves entries from the old table to the new one until a limit is reached. Returns how many buckets it emptied.
    @inline(never) @discardableResult
    func move(buckets: Int, entries: Int) -> Int {
        guard let old = state.pointee.old else { return 0 }
        let keyHash = state.pointee.keyHash
        var index = (state.pointee.oldStart &+ state.pointee.oldMoved) & old.mask
        let target = min(state.pointee.oldMoved &+ buckets, old.capacity)
        let before = state.pointee.oldMoved
        var moved = before
        var left = entries
        while moved < target, left > 0 {
            let bucket = old.buckets[index]
            if bucket != 0 {
                let entry = Table.entry(bucket)
                old.buckets[index] = 0
                state.pointee.table.insert(entry, keyHash.hash(entry.key), keyHash)
                state.pointee.old!.count &-= 1
                left &-= 1
            }
            moved &+= 1
            index = (index &+ 1) & old.mask
            old.releasePages(before: index, emptied: moved)
        }
        state.pointee.oldMoved = moved
        state.pointee.shared.pointee.movedBuckets &+= UInt64(truncatingIfNeeded: moved &- before)
        if moved == old.capacity {
            let shared = state.pointee.shared
            shared.pointee.usedMemory &-= old.bytes
            shared.pointee.pendingWork &-= 1
            old.free()
            state.pointee.old = nil
        }
        return moved &- before
    }
}
