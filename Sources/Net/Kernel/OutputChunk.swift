import Runtime

/// The head of a piece of memory for output; its bytes follow it.
struct OutputChunk: BitwiseCopyable {
    /// A chunk of a `ChunkPool` with this head: replies of a whole pipeline in one.
    static var capacity: Int { ChunkPool.chunkSize - MemoryLayout<OutputChunk>.stride }

    var next: UnsafeMutablePointer<OutputChunk>?
    /// Sent bytes. `start <= end <= capacity`.
    var start: Int
    /// Committed bytes.
    var end: Int
}

extension UnsafeMutablePointer where Pointee == OutputChunk {
    var bytes: UnsafeMutableRawPointer { UnsafeMutableRawPointer(self) + MemoryLayout<OutputChunk>.stride }
}
