import Glibc

/// The head of a piece of memory for output; its bytes follow it.
struct OutputChunk: BitwiseCopyable {
    /// 16 KiB with this head: replies of a whole pipeline in one, and four pages for malloc.
    static let size = 16384
    static var capacity: Int { size - MemoryLayout<OutputChunk>.stride }

    var next: UnsafeMutablePointer<OutputChunk>?
    /// Sent bytes. `start <= end <= capacity`.
    var start: Int
    /// Committed bytes.
    var end: Int
}

extension UnsafeMutablePointer where Pointee == OutputChunk {
    var bytes: UnsafeMutableRawPointer { UnsafeMutableRawPointer(self) + MemoryLayout<OutputChunk>.stride }
}

/// Chunks of one shard's connections. The latest freed is the next given, so a busy shard writes to warm memory.
struct OutputChunkPool: ~Copyable {
    /// Free chunks kept for reuse: 4 MiB. More than that goes back to malloc.
    private static let kept = 256

    private var free: UnsafeMutablePointer<OutputChunk>?
    private var freeCount = 0
    /// Handed out and not given back.
    private(set) var inUse = 0

    mutating func allocate() -> UnsafeMutablePointer<OutputChunk> {
        inUse += 1
        let chunk: UnsafeMutablePointer<OutputChunk>
        if let free {
            chunk = free
            self.free = chunk.pointee.next
            freeCount -= 1
        } else {
            chunk = UnsafeMutableRawPointer.allocate(byteCount: OutputChunk.size, alignment: 16)
                .bindMemory(to: OutputChunk.self, capacity: 1)
        }
        chunk.initialize(to: OutputChunk(next: nil, start: 0, end: 0))
        return chunk
    }

    mutating func release(_ chunk: UnsafeMutablePointer<OutputChunk>) {
        inUse -= 1
        guard freeCount < Self.kept else { return UnsafeMutableRawPointer(chunk).deallocate() }
        chunk.pointee.next = free
        free = chunk
        freeCount += 1
    }

    deinit {
        var chunk = free
        while let current = chunk {
            chunk = current.pointee.next
            UnsafeMutableRawPointer(current).deallocate()
        }
    }
}
