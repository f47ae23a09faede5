/// What an allocation costs in the C library's allocator: a header of 8 bytes, the sum rounded up to 16, at least 32.
/// Computed and not asked for (`malloc_usable_size` would touch the neighbour's memory). Allocations are made of the
/// rounded size, so that an entry can use all of it.
enum Footprint {
    /// The usable bytes of an allocation for `size` bytes: 24, 40, 56, ...
    @inline(__always)
    static func usable(_ size: Int) -> Int { max(24, ((size &+ 23) & ~15) &- 8) }

    /// All bytes of it.
    @inline(__always)
    static func bytes(_ size: Int) -> Int { usable(size) &+ 8 }
}
