import Glibc
import Runtime

/// How entries are made, changed and freed. Everything that allocates for keys is here.
extension Database {
    // MARK: memory

    @inline(__always)
    private func allocate(_ size: Int) -> UnsafeMutableRawPointer {
        guard let memory = malloc(Footprint.usable(size)) else { fatalError("out of memory") }
        state.pointee.shared.pointee.usedMemory &+= Footprint.bytes(size)
        return memory
    }

    @inline(__always)
    private func free(_ memory: UnsafeMutableRawPointer, _ size: Int) {
        state.pointee.shared.pointee.usedMemory &-= Footprint.bytes(size)
        Glibc.free(memory)
    }

    /// Gives an entry's memory back, with its value and its expiry record. True when it had one.
    @discardableResult
    func release(_ entry: Entry) -> Bool {
        let expired = entry.header & Entry.hasTimerSlot != 0 && dropRecord(entry)
        if entry.isSeparate { freeSeparate(entry) }
        free(entry.base, entry.size)
        return expired
    }

    private func freeSeparate(_ entry: Entry) {
        free(UnsafeMutableRawPointer(mutating: entry.value.base), entry.separateCapacity)
    }

    /// An entry with its key; what follows is the caller's to write. `count` is the embedded value's length, nil for a
    /// separate value.
    @inline(__always)
    private func makeShell(_ key: ByteView, timerSlot: Bool, embedded count: Int?) -> Entry {
        let long = key.count >= Entry.longKey
        let size =
            (long ? 16 : 8) &+ key.count &+ (timerSlot ? 8 : 0) &+ (count ?? Entry.separateSize)
        let base = allocate(size)
        var header = UInt64(long ? Entry.longKey : key.count)
        if timerSlot { header |= Entry.hasTimerSlot }
        if let count { header |= UInt64(truncatingIfNeeded: count) &<< 16 } else { header |= Entry.isSeparate }
        base.storeBytes(of: header, as: UInt64.self)
        if long { base.storeBytes(of: key.count, toByteOffset: 8, as: Int.self) }
        let entry = Entry(base)
        memcpy(base + (long ? 16 : 8), key.base, key.count)
        if timerSlot { entry.setTimer(nil) }
        return entry
    }

    /// An entry that is not in a table yet.
    func makeEntry(_ key: ByteView, _ value: ByteView, timerSlot: Bool) -> Entry {
        if value.count <= Entry.embeddedLimit {
            let entry = makeShell(key, timerSlot: timerSlot, embedded: value.count)
            memcpy(entry.valueField, value.base, value.count)
            return entry
        }
        let entry = makeShell(key, timerSlot: timerSlot, embedded: nil)
        let memory = allocate(value.count)
        memcpy(memory, value.base, value.count)
        entry.setSeparate(memory, count: value.count, capacity: value.count)
        return entry
    }

    // MARK: change

    /// Puts a new entry in the place of the bucket's: it takes over the expiry record.
    private func substitute(_ bucket: UnsafeMutablePointer<UInt64>, _ entry: Entry) {
        if let record = Table.entry(bucket.pointee).timer {
            entry.setTimer(record)
            record.pointee.timer.context = UInt64(UInt(bitPattern: entry.base))
        }
        repoint(bucket, to: entry)
    }

    /// Gives the bucket's key another value. The entry returned has a timer slot if it must (`timerSlot`) or if the
    /// key has an expiry.
    func assign(_ bucket: UnsafeMutablePointer<UInt64>, _ value: ByteView, timerSlot: Bool) -> Entry {
        let entry = Table.entry(bucket.pointee)
        let hasSlot = entry.header & Entry.hasTimerSlot != 0
        if hasSlot || !timerSlot, assignInPlace(entry, value) { return entry }
        let fresh = makeEntry(entry.key, value, timerSlot: timerSlot || entry.timer != nil)
        substitute(bucket, fresh)
        if entry.isSeparate { freeSeparate(entry) }
        free(entry.base, entry.size)
        return fresh
    }

    /// False when the value's memory does not fit, or is more than twice what is needed.
    private func assignInPlace(_ entry: Entry, _ value: ByteView) -> Bool {
        let field = entry.valueField
        if value.count <= Entry.embeddedLimit {
            let before = field - entry.base
            guard !entry.isSeparate,
                Footprint.usable(before &+ entry.embeddedCount) == Footprint.usable(before &+ value.count)
            else { return false }
            entry.setEmbeddedCount(value.count)
            memmove(field, value.base, value.count)
            return true
        }
        guard entry.isSeparate else { return false }
        let capacity = entry.separateCapacity
        guard value.count <= capacity, capacity / 2 <= value.count else { return false }
        let memory = UnsafeMutableRawPointer(mutating: entry.value.base)
        memmove(memory, value.base, value.count)
        entry.setSeparate(memory, count: value.count, capacity: capacity)
        return true
    }

    /// Moves the entry to an allocation with (or without) room for an expiry record's address. A separate value stays
    /// where it is.
    func rebuild(_ bucket: UnsafeMutablePointer<UInt64>, timerSlot: Bool) -> Entry {
        let entry = Table.entry(bucket.pointee)
        let fresh = makeShell(
            entry.key, timerSlot: timerSlot, embedded: entry.isSeparate ? nil : entry.embeddedCount)
        memcpy(fresh.valueField, entry.valueField, entry.isSeparate ? Entry.separateSize : entry.embeddedCount)
        substitute(bucket, fresh)
        free(entry.base, entry.size)
        return fresh
    }

    // MARK: length

    /// Makes the value `count` bytes long, creating the key if absent; new bytes are zero, the expiry stays. A value
    /// that grows again and again is copied a logarithmic number of times. Returns the entry and its value's first byte.
    public func resize(_ key: ByteView, to count: Int, now: Int64) -> (Entry, UnsafeMutableRawPointer) {
        precondition(count >= 0, "a value's length is not negative")
        moveSome()
        let hash = state.pointee.keyHash.hash(key)
        let entry: Entry
        if let bucket = locateLiving(key, hash, now: now) {
            entry = resize(bucket, to: count)
        } else {
            entry = makeShell(key, timerSlot: false, embedded: count <= Entry.embeddedLimit ? count : nil)
            if count > Entry.embeddedLimit { entry.setSeparate(allocate(count), count: count, capacity: count) }
            memset(entry.mutableValue, 0, count)
            insert(entry, hash)
        }
        return (entry, entry.mutableValue)
    }

    private func resize(_ bucket: UnsafeMutablePointer<UInt64>, to count: Int) -> Entry {
        let entry = Table.entry(bucket.pointee)
        let present = entry.value
        // A separate value that became short moves back only at half the limit, so that it does not swing.
        let embedded = count <= (entry.isSeparate ? Entry.embeddedLimit / 2 : Entry.embeddedLimit)
        if embedded, !entry.isSeparate {
            let before = entry.valueField - entry.base
            if Footprint.usable(before &+ present.count) == Footprint.usable(before &+ count) {
                entry.setEmbeddedCount(count)
                zero(entry.valueField, from: present.count, to: count)
                return entry
            }
        }
        if !embedded, entry.isSeparate {
            resizeSeparate(entry, to: count)
            return entry
        }
        let fresh = makeShell(entry.key, timerSlot: entry.timer != nil, embedded: embedded ? count : nil)
        if !embedded {
            let capacity = roomFor(count)
            fresh.setSeparate(allocate(capacity), count: count, capacity: capacity)
        }
        let kept = min(present.count, count)
        memcpy(fresh.mutableValue, present.base, kept)
        zero(fresh.mutableValue, from: kept, to: count)
        substitute(bucket, fresh)
        if entry.isSeparate { freeSeparate(entry) }
        free(entry.base, entry.size)
        return fresh
    }

    private func resizeSeparate(_ entry: Entry, to count: Int) {
        let present = entry.value
        let capacity = entry.separateCapacity
        var memory = UnsafeMutableRawPointer(mutating: present.base)
        var room = capacity
        if count > capacity || count < capacity / 4 {
            room = count > capacity ? roomFor(count) : count
            guard let moved = realloc(memory, Footprint.usable(room)) else { fatalError("out of memory") }
            memory = moved
            state.pointee.shared.pointee.usedMemory &+= Footprint.bytes(room) &- Footprint.bytes(capacity)
        }
        entry.setSeparate(memory, count: count, capacity: room)
        zero(memory, from: present.count, to: count)
    }

    private func zero(_ memory: UnsafeMutableRawPointer, from: Int, to: Int) {
        if to > from { memset(memory + from, 0, to &- from) }
    }

    /// Room for a value that has grown to `count` bytes and may grow on: double up to a mebibyte, an eighth more above.
    private func roomFor(_ count: Int) -> Int { count &+ min(count, max(1 << 20, count / 8)) }

    // MARK: taking over

    /// Like `set`, but takes the buffer over as the value instead of copying it (a short value is copied all the same).
    @discardableResult
    public func adopt(_ key: ByteView, buffer: OwnedBuffer, expireAt: Int64 = -1, now: Int64) -> Entry {
        if buffer.count <= Entry.embeddedLimit {
            defer { buffer.deallocate() }
            return set(key, buffer.view, expireAt: expireAt, now: now)
        }
        moveSome()
        let hash = state.pointee.keyHash.hash(key)
        let fresh = makeShell(key, timerSlot: expireAt >= 0, embedded: nil)
        fresh.setSeparate(buffer.base, count: buffer.count, capacity: buffer.capacity)
        state.pointee.shared.pointee.usedMemory &+= Footprint.bytes(buffer.capacity)
        if let bucket = locate(key, hash) {
            let entry = Table.entry(bucket.pointee)
            repoint(bucket, to: fresh)
            if release(entry) { state.pointee.expiresCount &-= 1 }
        } else {
            insert(fresh, hash)
        }
        if expireAt >= 0 { schedule(fresh, at: expireAt) }
        return fresh
    }
}
