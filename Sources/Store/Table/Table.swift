import CLinux
import Glibc
import Runtime

/// A flat Robin Hood hash table with linear probing and backshift deletion. A bucket is one word:
///
///     bits 0...43   the entry's address / 16 (malloc aligns to 16; user addresses end below 2^48)
///     bits 44...55  tag: bits 24...35 of the key's hash
///     bits 56...63  distance from the home bucket + 1; 255 means "254 or more, compute it from the key"
///
/// and 0 when empty. The home bucket is the hash's top bits. Along a run of full buckets, home buckets never decrease
/// (in circular order), so a search ends at the first bucket that is nearer to its home than the search is.
///
/// The struct is a handle with counters, kept in the database's state; it owns the bucket memory until `free`.
struct Table: BitwiseCopyable {
    /// `capacity` words.
    let buckets: UnsafeMutablePointer<UInt64>
    /// capacity - 1; the capacity is a power of two, at least `smallest`.
    let mask: Int
    /// 64 - log2(capacity): turns a hash into its home bucket.
    let shift: UInt64
    /// Full buckets.
    var count = 0
    /// Whether some bucket may hold distance 255. Never cleared: a table that collided so much is a rare thing.
    var saturated = false

    static let smallest = 16
    /// From this size on buckets are mapped, so that zeroing is the kernel's and happens at the first touch.
    private static let mapped = 256 << 10
    static let metaMask: UInt64 = ~0 << 44
    static let step: UInt64 = 1 << 56
    static let farthest: UInt64 = 255

    init(capacity: Int) {
        let bytes = capacity * 8
        if bytes >= Self.mapped {
            let map = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
            precondition(map != MAP_FAILED, "no memory for a hash table")
            buckets = map!.bindMemory(to: UInt64.self, capacity: capacity)
        } else {
            buckets = calloc(capacity, 8)!.bindMemory(to: UInt64.self, capacity: capacity)
        }
        mask = capacity - 1
        shift = UInt64(64 - capacity.trailingZeroBitCount)
    }

    func free() {
        if bytes >= Self.mapped { munmap(buckets, bytes) } else { Glibc.free(buckets) }
    }

    /// Buckets that go back to the kernel together: 256 KiB.
    private static let piece = 32 << 10

    /// While a table is emptied in circular order: gives the pages of the last piece before `index` back when `index`
    /// is at a piece's end and the last `emptied` buckets cover it. So freeing a large table at the end finds hardly
    /// a page left and takes no long time.
    @inline(__always)
    func releasePages(before index: Int, emptied: Int) {
        guard index & (Self.piece &- 1) == 0, emptied >= Self.piece, capacity > Self.piece else { return }
        madvise(buckets + ((index &- Self.piece) & mask), Self.piece &* 8, MADV_DONTNEED)
    }

    var capacity: Int { mask &+ 1 }
    var bytes: Int { capacity &* 8 }
    /// 70 % load.
    var growAt: Int { capacity &* 7 / 10 }

    // MARK: buckets

    @inline(__always) static func entry(_ bucket: UInt64) -> Entry {
        Entry(UnsafeMutableRawPointer(bitPattern: UInt(truncatingIfNeeded: (bucket &<< 20) &>> 16)).unsafelyUnwrapped)
    }

    @inline(__always) static func pointerBits(_ entry: Entry) -> UInt64 {
        UInt64(UInt(bitPattern: entry.base)) &>> 4
    }

    /// Not the lowest bits: they say the least of a key (`KeyHash.mix`).
    @inline(__always) static func tag(_ hash: UInt64) -> UInt64 { (hash &>> 24) & 0xFFF }

    @inline(__always) func home(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash &>> shift) }

    /// The distance of the full bucket at `index` from its home.
    @inline(__always) func distance(_ bucket: UInt64, at index: Int, _ hash: KeyHash) -> Int {
        let field = bucket &>> 56
        if field != Self.farthest { return Int(truncatingIfNeeded: field) &- 1 }
        return (index &- home(hash.hash(Self.entry(bucket).key))) & mask
    }

    @inline(__always) static func field(distance: Int) -> UInt64 {
        distance < 254 ? UInt64(truncatingIfNeeded: distance &+ 1) : farthest
    }

    // MARK: search

    /// The home bucket.
    @inline(__always) func atHome(_ hash: UInt64) -> UInt64 { buckets[home(hash)] }

    /// The bucket that holds `key`, or nil. Starts at `index`, which is `distance` away from the key's home.
    /// A search that leaves the range of the distance field ends with nil: in a table that is `saturated`, nil must be
    /// confirmed by `searchFar`.
    @inline(__always)
    func search(_ key: ByteView, _ hash: UInt64, from index: Int, distance: Int) -> UnsafeMutablePointer<UInt64>? {
        var index = index
        var floor = UInt64(truncatingIfNeeded: distance &+ 1) &<< 12
        let tag = Self.tag(hash)
        while true {
            let bucket = buckets[index]
            let meta = bucket &>> 44
            if meta == floor | tag, Self.entry(bucket).hasKey(key) { return buckets + index }
            // An empty bucket has meta 0, and no bucket has more than 255 in its distance field.
            if meta < floor { return nil }
            index = (index &+ 1) & mask
            floor &+= 1 &<< 12
        }
    }

    /// The same with true distances, for saturated tables.
    @inline(never)
    func searchFar(_ key: ByteView, _ keyHash: KeyHash, from index: Int, distance: Int)
        -> UnsafeMutablePointer<UInt64>?
    {
        var index = index
        var searched = distance
        while searched <= mask {
            let bucket = buckets[index]
            if bucket == 0 || self.distance(bucket, at: index, keyHash) < searched { return nil }
            if Self.entry(bucket).hasKey(key) { return buckets + index }
            index = (index &+ 1) & mask
            searched &+= 1
        }
        return nil
    }

    // MARK: change

    /// Adds an entry whose key is not in the table. There must be an empty bucket.
    mutating func insert(_ entry: Entry, _ hash: UInt64, _ keyHash: KeyHash) {
        precondition(count < mask, "the table is full")
        var index = home(hash)
        var travelled = 0
        var bucket = buckets[index]
        while bucket != 0, distance(bucket, at: index, keyHash) >= travelled {
            index = (index &+ 1) & mask
            travelled &+= 1
            bucket = buckets[index]
        }
        if travelled >= 254 { saturated = true }
        buckets[index] = Table.pointerBits(entry) | Table.tag(hash) &<< 44 | Self.field(distance: travelled) &<< 56
        count &+= 1
        // The run behind moves up by one, to its end.
        while bucket != 0 {
            index = (index &+ 1) & mask
            let displaced = buckets[index]
            buckets[index] = moreDistant(bucket)
            bucket = displaced
        }
    }

    @inline(__always)
    private mutating func moreDistant(_ bucket: UInt64) -> UInt64 {
        let field = bucket &>> 56
        if field >= Self.farthest &- 1 {
            saturated = true
            return field == Self.farthest ? bucket : bucket &+ Self.step
        }
        return bucket &+ Self.step
    }

    /// Empties the bucket; the run behind it moves back by one, so that no tombstone is needed.
    mutating func remove(_ bucket: UnsafeMutablePointer<UInt64>, _ keyHash: KeyHash) {
        var index = bucket - buckets
        while true {
            let next = (index &+ 1) & mask
            let moved = buckets[next]
            let field = moved &>> 56
            if field <= 1 { break }
            if field != Self.farthest {
                buckets[index] = moved &- Self.step
            } else {
                let nearer = distance(moved, at: next, keyHash) &- 1
                buckets[index] = moved & ~(Self.farthest &<< 56) | Self.field(distance: nearer) &<< 56
            }
            index = next
        }
        buckets[index] = 0
        count &-= 1
    }
}
