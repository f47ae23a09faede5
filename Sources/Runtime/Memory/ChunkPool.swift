import Glibc

/// Memory of 16 KiB pieces for bytes that wait (output that a client does not take): much of it for a short while, from
/// many owners in turn. malloc would keep what has been free once; from here it goes back to the kernel: a free chunk
/// beyond the `kept` warmest at once, a region of which no chunk is used as a whole. One shard owns a pool; copies of
/// this handle name the same one. All operations are O(1), but for the system call of a chunk that is given back.
public struct ChunkPool: BitwiseCopyable {
    /// Bytes of a chunk, four pages. The user's entirely.
    public static let chunkSize = 16 << 10
    /// Free chunks that keep their memory: 4 MiB.
    static let kept = 256
    /// Bytes of a region, which begins at a multiple of it. Its first chunk holds the `Region`.
    static let regionSize = 4 << 20
    static let chunksPerRegion = regionSize / chunkSize

    /// The head of a region. Only this page of its first chunk is touched.
    struct Region {
        /// Neighbours among the regions with cold chunks.
        var next: UnsafeMutablePointer<Region>?
        var previous: UnsafeMutablePointer<Region>?
        /// Neighbours among all regions.
        var following: UnsafeMutablePointer<Region>?
        var preceding: UnsafeMutablePointer<Region>?
        /// Bit n of the 256 is set when chunk n is cold: free, and without memory. Bit 0 never is.
        var cold: (UInt64, UInt64, UInt64, UInt64) = (~1, ~0, ~0, ~0)
        var coldCount = ChunkPool.chunksPerRegion - 1
    }

    struct State {
        /// Free chunks with memory, the one freed last first; chained through their first word.
        var warm: UnsafeMutableRawPointer?
        var warmCount = 0
        /// Regions with at least one cold chunk; and all of them.
        var regions: UnsafeMutablePointer<Region>?
        var all: UnsafeMutablePointer<Region>?
        var regionCount = 0
        var inUse = 0
    }
    let state: UnsafeMutablePointer<State>

    public init() {
        state = .allocate(capacity: 1)
        state.initialize(to: State())
    }

    /// Ends all chunks, those in use too.
    public func deallocate() {
        while let region = state.pointee.all { unmap(region) }
        state.deallocate()
    }

    /// Chunks handed out and not released.
    public var inUse: Int { state.pointee.inUse }
    /// Bytes mapped; those of cold chunks have no memory behind them.
    public var mapped: Int { state.pointee.regionCount * Self.regionSize }
    /// Bytes with memory behind them, at most.
    public var footprint: Int { (state.pointee.inUse + state.pointee.warmCount) * Self.chunkSize }

    /// `chunkSize` bytes, uninitialised, aligned to a page.
    public func allocate() -> UnsafeMutableRawPointer {
        state.pointee.inUse &+= 1
        if let chunk = state.pointee.warm {
            state.pointee.warm = chunk.load(as: UnsafeMutableRawPointer?.self)
            state.pointee.warmCount &-= 1
            return chunk
        }
        return takeCold()
    }

    public func release(_ chunk: UnsafeMutableRawPointer) {
        state.pointee.inUse &-= 1
        guard state.pointee.warmCount < Self.kept else { return cool(chunk) }
        chunk.storeBytes(of: state.pointee.warm, as: UnsafeMutableRawPointer?.self)
        state.pointee.warm = chunk
        state.pointee.warmCount &+= 1
    }

    /// Gives back what is free and warm.
    public func trim() {
        while let chunk = state.pointee.warm {
            state.pointee.warm = chunk.load(as: UnsafeMutableRawPointer?.self)
            state.pointee.warmCount &-= 1
            cool(chunk)
        }
    }

    // MARK: regions

    @inline(never) private func takeCold() -> UnsafeMutableRawPointer {
        let region = state.pointee.regions ?? makeRegion()
        let index = withUnsafeMutableBytes(of: &region.pointee.cold) { bits in
            let words = bits.bindMemory(to: UInt64.self)
            let word = words.firstIndex { $0 != 0 }!
            let bit = words[word].trailingZeroBitCount
            words[word] &= words[word] &- 1
            return word &* 64 &+ bit
        }
        region.pointee.coldCount &-= 1
        if region.pointee.coldCount == 0 { unlink(region) }
        return UnsafeMutableRawPointer(region) + index &* Self.chunkSize
    }

    @inline(never) private func cool(_ chunk: UnsafeMutableRawPointer) {
        let offset = Int(bitPattern: chunk) & (Self.regionSize &- 1)
        let region = (chunk - offset).assumingMemoryBound(to: Region.self)
        let index = offset / Self.chunkSize
        if region.pointee.coldCount == 0 { link(region) }
        region.pointee.coldCount &+= 1
        if region.pointee.coldCount == Self.chunksPerRegion &- 1 {
            unlink(region)
            unmap(region)
            return
        }
        withUnsafeMutableBytes(of: &region.pointee.cold) { bits in
            bits.bindMemory(to: UInt64.self)[index / 64] |= 1 &<< UInt64(index % 64)
        }
        madvise(chunk, Self.chunkSize, MADV_DONTNEED)
    }

    /// Twice the size is mapped, and what is not needed for the alignment given back.
    private func makeRegion() -> UnsafeMutablePointer<Region> {
        let map = mmap(
            nil, 2 * Self.regionSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        precondition(map != MAP_FAILED, "no memory for waiting output")
        let base = Int(bitPattern: map!)
        let start = (base + Self.regionSize - 1) & ~(Self.regionSize - 1)
        if start > base { munmap(map, start - base) }
        munmap(UnsafeMutableRawPointer(bitPattern: start + Self.regionSize), base + Self.regionSize - start)
        let region = UnsafeMutableRawPointer(bitPattern: start)!.bindMemory(to: Region.self, capacity: 1)
        region.initialize(to: Region())
        region.pointee.following = state.pointee.all
        state.pointee.all?.pointee.preceding = region
        state.pointee.all = region
        state.pointee.regionCount &+= 1
        link(region)
        return region
    }

    private func unmap(_ region: UnsafeMutablePointer<Region>) {
        let (preceding, following) = (region.pointee.preceding, region.pointee.following)
        if let preceding { preceding.pointee.following = following } else { state.pointee.all = following }
        following?.pointee.preceding = preceding
        state.pointee.regionCount &-= 1
        munmap(region, Self.regionSize)
    }

    private func link(_ region: UnsafeMutablePointer<Region>) {
        region.pointee.previous = nil
        region.pointee.next = state.pointee.regions
        state.pointee.regions?.pointee.previous = region
        state.pointee.regions = region
    }

    private func unlink(_ region: UnsafeMutablePointer<Region>) {
        if let previous = region.pointee.previous {
            previous.pointee.next = region.pointee.next
        } else {
            state.pointee.regions = region.pointee.next
        }
        region.pointee.next?.pointee.previous = region.pointee.previous
    }
}
