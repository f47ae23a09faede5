import Net
import Runtime

/// Writes a reply into a request's block, and what does not fit into chunks behind it.
final class RequestSink: ReplySink {
    private var head: UnsafeMutablePointer<ReplyHead>!
    /// The chunk being written; nil while the block's own room is.
    private var chunk: UnsafeMutablePointer<ReplyChunk>?
    /// Where the present piece begins, and bytes of the pieces before it.
    private var start = UnsafeMutableRawPointer(bitPattern: 1)!
    private var before = 0

    /// The first span of the reply of `head`, behind so many `ends`.
    @inline(__always)
    func begin(
        _ head: UnsafeMutablePointer<ReplyHead>, ends: Int, of request: UnsafeMutablePointer<RemoteRequest>
    ) -> OutputSpan {
        self.head = head
        chunk = nil
        start = head.start(ends: ends)
        before = 0
        head.pointee.overflow = nil
        return OutputSpan(cursor: start, limit: request.block + RemoteRequest.ownOffset)
    }

    /// Bytes of the reply up to `cursor`.
    @inline(__always) func count(at cursor: UnsafeMutableRawPointer) -> Int { before &+ (cursor - start) }

    /// Ends the reply at `cursor`.
    @inline(__always) func finish(at cursor: UnsafeMutableRawPointer) {
        if let chunk {
            chunk.pointee.count = cursor - chunk.bytes
        } else {
            head.pointee.count = cursor - start
        }
    }

    override func next(after cursor: UnsafeMutableRawPointer) -> OutputSpan {
        finish(at: cursor)
        before &+= cursor - start
        let size = min(1 << 20, max(16 << 10, (chunk?.pointee.capacity ?? 0) * 2))
        let fresh = ReplyChunk.allocate(capacity: size)
        if let chunk { chunk.pointee.next = fresh } else { head.pointee.overflow = fresh }
        chunk = fresh
        start = fresh.bytes
        return OutputSpan(cursor: fresh.bytes, limit: fresh.bytes + size)
    }
}
