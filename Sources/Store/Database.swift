import Glibc
import Runtime

/// One numbered database of a shard. A handle: copies name the same one. `now` is Unix milliseconds everywhere. Every
/// operation takes a constant number of steps but for the bytes of key and value, also while the table grows.
///
/// A key or a value that is passed in may lie in this database itself: it is copied before anything is freed.
public struct Database: BitwiseCopyable {
    let state: UnsafeMutablePointer<DatabaseState>

    init(_ state: UnsafeMutablePointer<DatabaseState>) { self.state = state }

    /// Keys, including those that expired and were neither touched nor reached by the wheel yet.
    public var count: Int { state.pointee.table.count &+ (state.pointee.old?.count ?? 0) }

    /// Keys that have an expiry.
    public var expiresCount: Int { state.pointee.expiresCount }

    /// nil when the key is absent or expired; an expired key is removed.
    public func find(_ key: ByteView, now: Int64) -> Entry? {
        guard let words = ShortKey(key) else { return findAny(key, now: now) }
        let hash = state.pointee.keyHash.hash(words.first, words.last, count: key.count)
        return findAtHome(words, hash, without: Entry.hasTimerSlot) ?? find(key, hash, now: now)
    }

    @inline(never)
    private func findAny(_ key: ByteView, now: Int64) -> Entry? { find(key, state.pointee.keyHash.hash(key), now: now) }

    @inline(never)
    private func find(_ key: ByteView, _ hash: UInt64, now: Int64) -> Entry? {
        guard let bucket = locateLiving(key, hash, now: now) else { return nil }
        return Table.entry(bucket.pointee)
    }

    /// The short way: the key is in its home bucket of the present table, as every second one is, and its entry has none of
    /// the `flags`. nil: it is not so, which says nothing about the key.
    @inline(__always)
    private func findAtHome(_ key: ShortKey, _ hash: UInt64, without flags: UInt64) -> Entry? {
        let bucket = state.pointee.table.atHome(hash)
        // Distance 0, and the tag.
        guard bucket &>> 44 == Table.tag(hash) | 1 &<< 12 else { return nil }
        let entry = Table.entry(bucket)
        guard entry.header & (flags | 0xFFFF) == UInt64(truncatingIfNeeded: key.count), entry.hasWords(of: key)
        else { return nil }
        return entry
    }

    /// Inserts or overwrites; an old expiry is dropped. `expireAt` is Unix milliseconds or -1. A deadline that has
    /// passed already is stored as it is: the key is gone at the next look.
    @discardableResult
    public func set(_ key: ByteView, _ value: ByteView, expireAt: Int64 = -1, now: Int64) -> Entry {
        moveSome()
        guard let words = ShortKey(key) else {
            return setAny(key, value, expireAt: expireAt)
        }
        let hash = state.pointee.keyHash.hash(words.first, words.last, count: key.count)
        if expireAt < 0, let entry = findAtHome(words, hash, without: Entry.hasTimerSlot | Entry.isSeparate),
            entry.embeddedCount == value.count
        {
            copyBytes(value.base, to: entry.shortKeyValue(keyCount: key.count), value.count)
            return entry
        }
        return set(key, hash, value, expireAt: expireAt)
    }

    @inline(never)
    private func setAny(_ key: ByteView, _ value: ByteView, expireAt: Int64) -> Entry {
        set(key, state.pointee.keyHash.hash(key), value, expireAt: expireAt)
    }

    @inline(never)
    private func set(_ key: ByteView, _ hash: UInt64, _ value: ByteView, expireAt: Int64) -> Entry {
        guard let bucket = locate(key, hash) else { return insertNew(key, hash, value, expireAt: expireAt) }
        let entry = Table.entry(bucket.pointee)
        let header = entry.header
        // No expiry before or after, and the new value takes as much memory as the old one.
        if header & (Entry.hasTimerSlot | Entry.isSeparate) == 0, expireAt < 0, value.count <= Entry.embeddedLimit {
            let field = entry.valueField
            let before = field - entry.base
            let present = entry.embeddedCount
            if present == value.count
                || Footprint.usable(before &+ present) == Footprint.usable(before &+ value.count)
            {
                entry.setEmbeddedCount(value.count)
                copyBytes(value.base, to: field, value.count)
                return entry
            }
        }
        return overwrite(bucket, value, expireAt: expireAt)
    }

    /// Inserts or overwrites; a living key keeps its expiry.
    @discardableResult
    public func setKeepingExpiry(_ key: ByteView, _ value: ByteView, now: Int64) -> Entry {
        moveSome()
        let hash = state.pointee.keyHash.hash(key)
        guard let bucket = locateLiving(key, hash, now: now) else {
            return insertNew(key, hash, value, expireAt: -1)
        }
        return assign(bucket, value, timerSlot: false)
    }

    /// False when the key is absent or expired already.
    @discardableResult
    public func remove(_ key: ByteView, now: Int64) -> Bool {
        moveSome()
        guard let bucket = locateLiving(key, state.pointee.keyHash.hash(key), now: now) else { return false }
        removeEntry(bucket)
        return true
    }

    /// Like `locate`, but an expired key is removed and counts as absent.
    func locateLiving(_ key: ByteView, _ hash: UInt64, now: Int64) -> UnsafeMutablePointer<UInt64>? {
        guard let bucket = locate(key, hash) else { return nil }
        let entry = Table.entry(bucket.pointee)
        if entry.header & Entry.hasTimerSlot != 0, isExpired(entry, now: now) {
            removeExpired(bucket)
            return nil
        }
        return bucket
    }

    @inline(never)
    private func insertNew(_ key: ByteView, _ hash: UInt64, _ value: ByteView, expireAt: Int64) -> Entry {
        let entry = makeEntry(key, value, timerSlot: expireAt >= 0)
        insert(entry, hash)
        if expireAt >= 0 { schedule(entry, at: expireAt) }
        return entry
    }

    @inline(never)
    private func overwrite(_ bucket: UnsafeMutablePointer<UInt64>, _ value: ByteView, expireAt: Int64) -> Entry {
        let entry = assign(bucket, value, timerSlot: expireAt >= 0)
        settleExpiry(entry, expireAt)
        return entry
    }

    /// After an overwriting set: the new deadline, or none.
    func settleExpiry(_ entry: Entry, _ expireAt: Int64) {
        if expireAt >= 0 { schedule(entry, at: expireAt) } else { clearExpiry(entry) }
    }

    // MARK: removal

    func removeEntry(_ bucket: UnsafeMutablePointer<UInt64>) {
        let entry = Table.entry(bucket.pointee)
        removeBucket(bucket)
        if release(entry) { state.pointee.expiresCount &-= 1 }
    }

    @inline(never)
    private func removeExpired(_ bucket: UnsafeMutablePointer<UInt64>) {
        state.pointee.shared.pointee.expiredKeys &+= 1
        state.pointee.shared.pointee.recentWrites.note(Table.entry(bucket.pointee).key)
        removeEntry(bucket)
    }

    /// The wheel's way: removes an entry whose deadline has passed. False when the entry is a discarded one, which is
    /// in no table any more.
    func expire(_ entry: Entry) -> Bool {
        guard let bucket = locate(entry.key, state.pointee.keyHash.hash(entry.key)),
            Table.entry(bucket.pointee).base == entry.base
        else { return false }
        removeExpired(bucket)
        return true
    }
}
