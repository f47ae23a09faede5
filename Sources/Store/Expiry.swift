import Runtime

/// A key's deadline: only keys with an expiry have one. 48 bytes, from the keyspace's slab.
struct ExpiryRecord {
    /// First, so that the wheel's node is the record. `context` is the entry's address; it follows when the entry moves.
    var timer: TimerNode
    /// Unix milliseconds. The key is expired when the clock shows this or more.
    var deadline: Int64
    /// Whose key it is.
    var database: Database
}

extension KeyspaceState {
    /// When the wheel shall fire for a Unix deadline. The pair of clock readings of this turn tells how the clocks
    /// relate; what is farther than some 139 years fires then and is scheduled anew.
    func wheelDeadline(_ unix: Int64) -> Nanoseconds {
        let farthest: Int64 = 1 << 42
        let (difference, overflow) = unix.subtractingReportingOverflow(unixMilliseconds)
        let span = overflow ? (unix > 0 ? farthest : 0) : min(max(difference, 0), farthest)
        return monotonic &+ .milliseconds(span)
    }
}

extension Database {
    /// Gives an entry with a timer slot its deadline.
    func schedule(_ entry: Entry, at deadline: Int64) {
        let shared = state.pointee.shared
        let record: UnsafeMutablePointer<ExpiryRecord>
        if let present = entry.timer {
            record = present
        } else {
            record = shared.pointee.records.allocate()
            record.initialize(to: ExpiryRecord(timer: TimerNode(), deadline: 0, database: self))
            shared.pointee.usedMemory &+= MemoryLayout<ExpiryRecord>.stride
            state.pointee.expiresCount &+= 1
            entry.setTimer(record)
        }
        record.pointee.deadline = deadline
        record.pointee.timer.context = UInt64(UInt(bitPattern: entry.base))
        shared.pointee.wheel.schedule(Self.node(record), at: shared.pointee.wheelDeadline(deadline))
    }

    /// Ends an entry's expiry, if it has one; the slot stays. The database's count is the caller's to correct.
    func dropRecord(_ entry: Entry) -> Bool {
        guard let record = entry.timer else { return false }
        let shared = state.pointee.shared
        shared.pointee.wheel.cancel(Self.node(record))
        shared.pointee.records.free(record)
        shared.pointee.usedMemory &-= MemoryLayout<ExpiryRecord>.stride
        entry.setTimer(nil)
        return true
    }

    static func node(_ record: UnsafeMutablePointer<ExpiryRecord>) -> UnsafeMutablePointer<TimerNode> {
        UnsafeMutableRawPointer(record).assumingMemoryBound(to: TimerNode.self)
    }

    /// Whether the deadline of an entry that has a timer slot has passed.
    @inline(never)
    func isExpired(_ entry: Entry, now: Int64) -> Bool {
        guard let record = entry.timer else { return false }
        return now >= record.pointee.deadline
    }

    /// Sets or changes the expiry (Unix milliseconds). The entry may move: use the one returned. O(1).
    @discardableResult
    public func setExpiry(_ entry: Entry, at deadline: Int64) -> Entry {
        var entry = entry
        if entry.header & Entry.hasTimerSlot == 0 {
            guard let bucket = locate(entry.key, state.pointee.keyHash.hash(entry.key)) else { return entry }
            entry = rebuild(bucket, timerSlot: true)
        }
        schedule(entry, at: deadline)
        return entry
    }

    /// Makes the key permanent. False when it had no expiry. The entry stays where it is. O(1).
    @discardableResult
    public func clearExpiry(_ entry: Entry) -> Bool {
        guard dropRecord(entry) else { return false }
        state.pointee.expiresCount &-= 1
        return true
    }
}
