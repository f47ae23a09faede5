import CLinux
import Glibc

/// Objects of one size in chunks that are never moved: a pointer stays good until `free`. One shard owns a slab;
/// copies of this handle name the same one. `Element` must be trivial: it is neither initialised nor destroyed here.
@frozen
public struct Slab<Element>: BitwiseCopyable {
    @usableFromInline
    struct State {
        /// Head of the chain of free objects; a free object's first word points to the next.
        @usableFromInline var free: UnsafeMutableRawPointer?
        /// Objects handed out and not yet freed.
        @usableFromInline var liveCount: Int
        /// Objects in all chunks. `liveCount <= capacity`.
        @usableFromInline var capacity: Int
        /// Chunks are chained through their first word, for `deallocate`.
        @usableFromInline var chunks: UnsafeMutableRawPointer?
    }
    @usableFromInline let state: UnsafeMutablePointer<State>
    /// Objects in a chunk.
    @usableFromInline let perChunk: Int

    public init(objectsPerChunk: Int = 256) {
        precondition(MemoryLayout<Element>.stride >= MemoryLayout<UnsafeRawPointer>.size, "objects too small to chain")
        state = .allocate(capacity: 1)
        state.initialize(to: State(free: nil, liveCount: 0, capacity: 0, chunks: nil))
        perChunk = objectsPerChunk
    }

    public func deallocate() {
        var chunk = state.pointee.chunks
        while let current = chunk {
            chunk = current.load(as: UnsafeMutableRawPointer?.self)
            current.deallocate()
        }
        state.deallocate()
    }

    @inlinable public var liveCount: Int { state.pointee.liveCount }
    public var capacity: Int { state.pointee.capacity }
    /// Bytes of all chunks.
    public var footprint: Int { capacity * MemoryLayout<Element>.stride }
    /// Of an object, with its share of its chunk's head and of malloc's (16 bytes, and up to 64 for the alignment).
    public var bytesPerObject: Double {
        Double(MemoryLayout<Element>.stride) + Double(Self.chunkHeader + 16 + 64) / Double(perChunk)
    }
    @usableFromInline static var chunkHeader: Int { 64 }

    /// What `allocate` would give next; nil if it had to ask for memory first.
    @inlinable public var nextFree: UnsafeMutableRawPointer? { state.pointee.free }

    /// Uninitialised memory for one object, aligned to a cache line when the object's stride is.
    @inlinable public func allocate() -> UnsafeMutablePointer<Element> {
        if state.pointee.free == nil { grow() }
        let object = state.pointee.free!
        state.pointee.free = object.load(as: UnsafeMutableRawPointer?.self)
        state.pointee.liveCount &+= 1
        #if APUS_POISON
            apus_unpoison(object, MemoryLayout<Element>.stride)
        #endif
        return object.assumingMemoryBound(to: Element.self)
    }

    @inlinable public func free(_ object: UnsafeMutablePointer<Element>) {
        let raw = UnsafeMutableRawPointer(object)
        raw.storeBytes(of: state.pointee.free, as: UnsafeMutableRawPointer?.self)
        state.pointee.free = raw
        state.pointee.liveCount &-= 1
        #if APUS_POISON
            // All but the chain.
            apus_poison(raw + 8, MemoryLayout<Element>.stride - 8)
        #endif
    }

    @usableFromInline @inline(never) func grow() {
        let stride = MemoryLayout<Element>.stride
        let header = Self.chunkHeader
        let chunk = UnsafeMutableRawPointer.allocate(byteCount: header + stride * perChunk, alignment: 64)
        chunk.storeBytes(of: state.pointee.chunks, as: UnsafeMutableRawPointer?.self)
        state.pointee.chunks = chunk
        state.pointee.capacity += perChunk
        for index in (0..<perChunk).reversed() {
            let object = chunk + (header + index * stride)
            object.storeBytes(of: state.pointee.free, as: UnsafeMutableRawPointer?.self)
            state.pointee.free = object
        }
    }
}
