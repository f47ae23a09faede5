import Runtime

/// A table that `removeAll` took out of its database, on its way to be freed.
struct Discarded {
    let table: Table
    /// Buckets whose entries are freed already.
    var freed = 0
    let database: Database
    let next: UnsafeMutablePointer<Discarded>?
}

extension Database {
    /// Forgets every key at once; the memory is given back in steps by `Keyspace.incrementalWork`. O(1).
    public func removeAll() {
        let shared = state.pointee.shared
        if let old = state.pointee.old {
            discard(old)
            shared.pointee.pendingWork &-= 1
            state.pointee.old = nil
        }
        if state.pointee.table.count > 0 || state.pointee.table.capacity > Table.smallest {
            discard(state.pointee.table)
            state.pointee.table = Table(capacity: Table.smallest)
            shared.pointee.usedMemory &+= state.pointee.table.bytes
        }
        state.pointee.expiresCount = 0
    }

    private func discard(_ table: Table) {
        let shared = state.pointee.shared
        let node = UnsafeMutablePointer<Discarded>.allocate(capacity: 1)
        node.initialize(to: Discarded(table: table, database: self, next: shared.pointee.discarded))
        shared.pointee.discarded = node
        shared.pointee.pendingWork &+= 1
    }
}

extension UnsafeMutablePointer where Pointee == KeyspaceState {
    /// Frees the entries of about `budget` buckets.
    func freeDiscarded(budget: Int) {
        var left = budget
        while left > 0, let node = pointee.discarded {
            let table = node.pointee.table
            let end = Swift.min(node.pointee.freed &+ left, table.capacity)
            for index in node.pointee.freed..<end {
                let bucket = table.buckets[index]
                if bucket != 0 { node.pointee.database.release(Table.entry(bucket)) }
                table.releasePages(before: index &+ 1, emptied: index &+ 1)
            }
            left &-= end &- node.pointee.freed
            node.pointee.freed = end
            if end == table.capacity {
                pointee.discarded = node.pointee.next
                pointee.pendingWork &-= 1
                pointee.usedMemory &-= table.bytes
                table.free()
                node.deallocate()
            }
        }
    }
}
