import Runtime

/// The whole-structure checker, for tests and simulation. O(keys).
extension Keyspace {
    /// A sentence about the first thing that is wrong, or nil.
    public func checkInvariants() -> String? {
        var memory = 0
        var pending = 0
        for index in 0..<databaseCount {
            let database = database(index)
            if let wrong = database.check(&memory) { return "database \(index): \(wrong)" }
            if database.state.pointee.old != nil { pending += 1 }
        }
        var node = state.pointee.discarded
        while let discarded = node {
            let table = discarded.pointee.table
            memory += table.bytes
            for index in discarded.pointee.freed..<table.capacity where table.buckets[index] != 0 {
                memory += Table.entry(table.buckets[index]).footprint
            }
            pending += 1
            node = discarded.pointee.next
        }
        if pending != state.pointee.pendingWork { return "pending work is \(pending)" }
        if memory != state.pointee.usedMemory { return "\(memory) bytes used, \(state.pointee.usedMemory) counted" }
        return nil
    }
}

extension Entry {
    /// All bytes allocated for it.
    fileprivate var footprint: Int {
        Footprint.bytes(size) + (isSeparate ? Footprint.bytes(separateCapacity) : 0)
            + (timer == nil ? 0 : MemoryLayout<ExpiryRecord>.stride)
    }
}

extension Database {
    fileprivate func check(_ memory: inout Int) -> String? {
        var expires = 0
        if let wrong = check(state.pointee.table, cursor: nil, &memory, &expires) { return wrong }
        if let old = state.pointee.old {
            for moved in 0..<state.pointee.oldMoved {
                let index = (state.pointee.oldStart + moved) & old.mask
                if old.buckets[index] != 0 { return "emptied bucket \(index) is full" }
            }
            let cursor = (state.pointee.oldStart + state.pointee.oldMoved) & old.mask
            if let wrong = check(old, cursor: cursor, &memory, &expires) { return "old table: \(wrong)" }
        }
        if expires != expiresCount { return "\(expires) keys with expiry, \(expiresCount) counted" }
        return nil
    }

    /// `cursor`: the first bucket not emptied yet; the run there has lost its beginning.
    private func check(_ table: Table, cursor: Int?, _ memory: inout Int, _ expires: inout Int) -> String? {
        let keyHash = state.pointee.keyHash
        var full = 0
        for index in 0..<table.capacity where table.buckets[index] != 0 {
            let bucket = table.buckets[index]
            let entry = Table.entry(bucket)
            let hash = keyHash.hash(entry.key)
            let distance = (index - table.home(hash)) & table.mask
            full += 1
            if (bucket >> 44) & 0xFFF != Table.tag(hash) { return "wrong tag in bucket \(index)" }
            if bucket >> 56 != Table.field(distance: distance) { return "wrong distance in bucket \(index)" }
            if distance >= 254 && !table.saturated { return "bucket \(index) is far, but not the table" }
            if distance > 0 && index != cursor {
                let before = (index - 1) & table.mask
                if table.buckets[before] == 0 { return "a hole before bucket \(index)" }
                let ahead = table.distance(table.buckets[before], at: before, keyHash)
                if ahead + 1 < distance { return "bucket \(before) is too near its home" }
            }
            if let located = locate(entry.key, hash) {
                if located != table.buckets + index { return "the key of bucket \(index) is there twice" }
            } else {
                return "the key of bucket \(index) is not found"
            }
            if let record = entry.timer {
                expires += 1
                if record.pointee.timer.context != UInt64(UInt(bitPattern: entry.base)) { return "stray record" }
                if record.pointee.database.state != state { return "record of another database" }
                if !record.pointee.timer.isScheduled { return "record without a timer" }
            }
            if entry.isSeparate, entry.value.count > entry.separateCapacity { return "value beyond its memory" }
            memory += entry.footprint
        }
        if full != table.count { return "\(full) full buckets, \(table.count) counted" }
        memory += table.bytes
        return nil
    }
}
