import CLinux
import Runtime

/// Memory that commands will need, asked for before the ones ahead of them run: with more keys than the caches hold, a look-up
/// is little else than waiting for a bucket and then for an entry. Hints only: the keys need not exist, and what the commands
/// in between change makes them useless at worst.
extension Database {
    /// Whether it may be worth it: fewer keys stay in the caches by themselves (some 150 bytes each with small values).
    public var outgrowsCaches: Bool { count >= 4096 }

    /// Asks for the home buckets of all keys, and then, when the first of those may have come, for the entries.
    /// - Parameters:
    ///   - keys: `count` views, `stride` places apart.
    ///   - hashes: room for `count` words, which are the callee's.
    public func prefetch(
        _ keys: UnsafePointer<ByteView>, stride: Int, count: Int, hashes: UnsafeMutablePointer<UInt64>
    ) {
        let keyHash = state.pointee.keyHash
        let table = state.pointee.table
        var key = keys
        for index in 0..<count {
            let hash = keyHash.hash(key.pointee)
            hashes[index] = hash
            apus_prefetch(table.buckets + table.home(hash))
            key += stride
        }
        for index in 0..<count { Self.prefetchEntry(hashes[index], table) }
    }

    /// Asks for the first lines of the entry that is likely the one. Keys that a growth has not moved yet are left out.
    @inline(__always)
    private static func prefetchEntry(_ hash: UInt64, _ table: Table) {
        let tag = Table.tag(hash)
        let home = table.home(hash)
        let bucket = table.buckets[home]
        // An empty one has the tag 0.
        guard bucket != 0 else { return }
        if (bucket &>> 44) & 0xFFF == tag { prefetch(Table.entry(bucket)) } else { prefetchFurther(tag, table, home) }
    }

    /// Few keys are further from home, and those would need another bucket's line.
    @inline(never)
    private static func prefetchFurther(_ tag: UInt64, _ table: Table, _ home: Int) {
        for distance in 1..<4 {
            let bucket = table.buckets[(home &+ distance) & table.mask]
            if bucket == 0 { return }
            if (bucket &>> 44) & 0xFFF == tag { return prefetch(Table.entry(bucket)) }
        }
    }

    @inline(__always)
    private static func prefetch(_ entry: Entry) {
        apus_prefetch(entry.base)
        apus_prefetch(entry.base + 64)
    }
}
