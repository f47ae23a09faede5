import Runtime

/// Bytes that have to wait outside of frames: a chain of chunks of a `ChunkPool`, filled at the end and emptied at the
/// front. Used when a connection's frames are all taken (output) or frames are scarce (input); it is not the common way,
/// so that an empty queue is one word, and what there is to know of the whole chain lies in its first chunk.
@usableFromInline
struct ChunkQueue: BitwiseCopyable {
    @usableFromInline
    struct Header {
        var next: UnsafeMutablePointer<Header>?
        /// First unread byte and end of the written ones, from the chunk's data. start <= end <= capacity.
        var start: Int
        var end: Int
        /// Of the chain, meaningful in its first chunk: the last chunk, and bytes unread in all.
        var tail: UnsafeMutablePointer<Header>
        var count: Int
    }
    /// Data bytes of a chunk.
    static let capacity = ChunkPool.chunkSize - MemoryLayout<Header>.stride

    /// nil exactly while the queue is empty.
    @usableFromInline var head: UnsafeMutablePointer<Header>?

    init() {}

    /// Bytes unread in all chunks.
    var count: Int { head.map { $0.pointee.count } ?? 0 }

    /// For checkers. O(chunks).
    var chunkCount: Int {
        var count = 0
        var chunk = head
        while let current = chunk {
            count += 1
            chunk = current.pointee.next
        }
        return count
    }

    static func data(_ chunk: UnsafeMutablePointer<Header>) -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(chunk + 1)
    }

    /// Room at the end, at least one byte: a new chunk is made when the last is full.
    mutating func span(_ pool: ChunkPool) -> OutputSpan {
        if let tail = head?.pointee.tail, tail.pointee.end < Self.capacity {
            return OutputSpan(
                cursor: Self.data(tail) + tail.pointee.end, limit: Self.data(tail) + Self.capacity)
        }
        let chunk = pool.allocate().bindMemory(to: Header.self, capacity: 1)
        chunk.initialize(to: Header(next: nil, start: 0, end: 0, tail: chunk, count: 0))
        if let head {
            head.pointee.tail.pointee.next = chunk
            head.pointee.tail = chunk
        } else {
            head = chunk
        }
        return OutputSpan(cursor: Self.data(chunk), limit: Self.data(chunk) + Self.capacity)
    }

    /// The bytes of the last span up to `cursor` are in the queue now.
    mutating func commit(_ cursor: UnsafeMutableRawPointer, _ pool: ChunkPool) {
        guard let head else { preconditionFailure("commit without a span") }
        let tail = head.pointee.tail
        let end = cursor - Self.data(tail)
        precondition(end >= tail.pointee.end && end <= Self.capacity, "cursor outside of the span")
        head.pointee.count &+= end &- tail.pointee.end
        tail.pointee.end = end
        if head.pointee.count == 0 { removeAll(pool) }
    }

    mutating func append(_ bytes: UnsafeRawPointer, _ n: Int, _ pool: ChunkPool) {
        var done = 0
        while done < n {
            let span = span(pool)
            let part = min(span.room, n &- done)
            span.cursor.copyMemory(from: bytes + done, byteCount: part)
            commit(span.cursor + part, pool)
            done &+= part
        }
    }

    /// The first contiguous piece.
    var first: ByteView {
        guard let head else { return ByteView(UnsafeRawPointer(bitPattern: 1)!, 0) }
        return ByteView(Self.data(head) + head.pointee.start, head.pointee.end &- head.pointee.start)
    }

    /// Drops the first `n` bytes; `n <= first.count`.
    mutating func consume(_ n: Int, _ pool: ChunkPool) {
        guard let chunk = head, n > 0 else { return }
        precondition(n <= chunk.pointee.end &- chunk.pointee.start, "consumed more than there is")
        chunk.pointee.start &+= n
        chunk.pointee.count &-= n
        guard chunk.pointee.start == chunk.pointee.end else { return }
        head = chunk.pointee.next
        if let head {
            head.pointee.tail = chunk.pointee.tail
            head.pointee.count = chunk.pointee.count
        }
        pool.release(chunk)
    }

    mutating func removeAll(_ pool: ChunkPool) {
        while let chunk = head {
            head = chunk.pointee.next
            pool.release(chunk)
        }
    }
}
