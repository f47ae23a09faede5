import Runtime

/// Bytes that have to wait outside of frames: a chain of heap chunks of 16 KiB, filled at the end and emptied at the
/// front. Used when a connection's frames are all taken (output) or frames are scarce (input); it is not the common way.
@usableFromInline
struct ChunkQueue: BitwiseCopyable {
    @usableFromInline
    struct Header {
        var next: UnsafeMutablePointer<Header>?
        /// First unread byte and end of the written ones, from the chunk's data. start <= end <= capacity.
        var start: Int
        var end: Int
    }
    /// Data bytes of a chunk.
    static let capacity = 16 << 10

    /// nil in both exactly while the queue is empty.
    @usableFromInline var head: UnsafeMutablePointer<Header>?
    var tail: UnsafeMutablePointer<Header>?
    /// Bytes unread in all chunks.
    var count = 0

    init() {}

    static func data(_ chunk: UnsafeMutablePointer<Header>) -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(chunk + 1)
    }

    /// Room at the end, at least one byte: a new chunk is made when the last is full.
    mutating func span() -> OutputSpan {
        if let tail, tail.pointee.end < Self.capacity {
            return OutputSpan(
                cursor: Self.data(tail) + tail.pointee.end, limit: Self.data(tail) + Self.capacity)
        }
        let raw = UnsafeMutableRawPointer.allocate(
            byteCount: MemoryLayout<Header>.size + Self.capacity, alignment: 16)
        let chunk = raw.bindMemory(to: Header.self, capacity: 1)
        chunk.initialize(to: Header(next: nil, start: 0, end: 0))
        if let tail { tail.pointee.next = chunk } else { head = chunk }
        tail = chunk
        return OutputSpan(cursor: Self.data(chunk), limit: Self.data(chunk) + Self.capacity)
    }

    /// The bytes of the last span up to `cursor` are in the queue now.
    mutating func commit(_ cursor: UnsafeMutableRawPointer) {
        guard let tail else { preconditionFailure("commit without a span") }
        let end = cursor - Self.data(tail)
        precondition(end >= tail.pointee.end && end <= Self.capacity, "cursor outside of the span")
        count &+= end &- tail.pointee.end
        tail.pointee.end = end
        if count == 0 { removeAll() }
    }

    mutating func append(_ bytes: UnsafeRawPointer, _ n: Int) {
        var done = 0
        while done < n {
            let span = span()
            let part = min(span.room, n &- done)
            span.cursor.copyMemory(from: bytes + done, byteCount: part)
            commit(span.cursor + part)
            done &+= part
        }
    }

    /// The first contiguous piece.
    var first: ByteView {
        guard let head else { return ByteView(UnsafeRawPointer(bitPattern: 1)!, 0) }
        return ByteView(Self.data(head) + head.pointee.start, head.pointee.end &- head.pointee.start)
    }

    /// Drops the first `n` bytes; `n <= first.count`.
    mutating func consume(_ n: Int) {
        guard let chunk = head, n > 0 else { return }
        precondition(n <= chunk.pointee.end &- chunk.pointee.start, "consumed more than there is")
        chunk.pointee.start &+= n
        count &-= n
        if chunk.pointee.start == chunk.pointee.end {
            head = chunk.pointee.next
            if head == nil { tail = nil }
            chunk.deallocate()
        }
    }

    mutating func removeAll() {
        while let chunk = head {
            head = chunk.pointee.next
            chunk.deallocate()
        }
        tail = nil
        count = 0
    }
}
