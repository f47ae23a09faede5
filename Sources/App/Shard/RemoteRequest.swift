import Net
import Runtime

/// A command (or a part of one) on its way to another shard and its reply on the way back, in one block that the
/// origin owns: the executing shard writes only the reply. Arguments that fit travel inside the block.
///
///     0 ..< headerSize           this header
///     headerSize ...             argument views, then argument bytes, then the reply's first bytes
struct RemoteRequest {
    static let blockSize = 1024
    static let headerSize = 144

    /// The client, for the origin alone; nil for a part. Lives until its last reply is back (`SessionFlags.left`).
    var session: Session?
    /// Origin's shard number: where the reply goes.
    var origin: UInt16
    var database: UInt16
    /// The command's place in the table, which all shards share.
    var command: UnsafePointer<CommandEntry>
    /// `.whole`: run as a command on a key. `.part`: run as one shard's part of a command on all shards.
    var kind: Kind
    var isRESP3: Bool
    /// CLIENT REPLY OFF or SKIP: the origin drops the reply.
    var isSilent: Bool
    /// The client's id, for commands that tell or spare the caller (CLIENT KILL SKIPME).
    var clientID: UInt64
    var arguments: UnsafeMutablePointer<ByteView>
    var argumentCount: Int
    /// Argument memory outside the block, when it did not fit; freed by the origin with the block.
    var external: UnsafeMutableRawPointer?
    /// The reply's first `replyCount` bytes, at `reply`; at most `replyCapacity` there.
    var reply: UnsafeMutableRawPointer
    var replyCapacity: Int
    var replyCount: Int
    /// What did not fit: `ReplyChunk`s from malloc, written by the executing shard, freed by the origin.
    var overflow: UnsafeMutablePointer<ReplyChunk>?
    /// For a part: the fan-out it belongs to.
    var fanOut: UnsafeMutablePointer<FanOut>?

    enum Kind: UInt8 { case whole, part }

    var argumentList: Arguments { Arguments(base: arguments, count: argumentCount) }

    /// Appends the whole reply.
    func copyReply(to writer: inout ReplyWriter) {
        writer.append(reply, replyCount)
        var chunk = overflow
        while let current = chunk {
            writer.append(current.bytes, current.pointee.count)
            chunk = current.pointee.next
        }
    }
}

/// A piece of a long reply. The bytes follow the header.
struct ReplyChunk {
    static let headerSize = 32
    var next: UnsafeMutablePointer<ReplyChunk>?
    /// Written bytes; at most `capacity`.
    var count: Int
    var capacity: Int

    static func allocate(capacity: Int) -> UnsafeMutablePointer<ReplyChunk> {
        let raw = UnsafeMutableRawPointer.allocate(byteCount: headerSize + capacity, alignment: 16)
        let chunk = raw.bindMemory(to: ReplyChunk.self, capacity: 1)
        chunk.initialize(to: ReplyChunk(next: nil, count: 0, capacity: capacity))
        return chunk
    }
}

extension UnsafeMutablePointer where Pointee == ReplyChunk {
    var bytes: UnsafeMutableRawPointer { UnsafeMutableRawPointer(self) + ReplyChunk.headerSize }
}

/// The blocks of one origin shard.
struct RemoteRequestPool {
    /// Raw memory: a `RemoteRequest` at its start, bytes behind it.
    struct Block { let words: InlineArray<128, UInt64> }

    private let slab: Slab<Block>

    init() {
        precondition(MemoryLayout<Block>.stride == RemoteRequest.blockSize, "block layout")
        precondition(MemoryLayout<RemoteRequest>.size <= RemoteRequest.headerSize, "header layout")
        slab = Slab(objectsPerChunk: 64)
    }

    /// Blocks under way.
    var liveCount: Int { slab.liveCount }

    func deallocate() { slab.deallocate() }

    /// A request with a copy of `arguments`, and room for a reply.
    func make(command: UnsafePointer<CommandEntry>, arguments: Arguments, origin: Int) -> UnsafeMutablePointer<
        RemoteRequest
    > {
        let raw = UnsafeMutableRawPointer(slab.allocate())
        var bytes = 0
        for index in 0..<arguments.count { bytes &+= arguments[index].count }
        let needed = arguments.count &* MemoryLayout<ByteView>.stride &+ bytes
        let inside = RemoteRequest.blockSize &- RemoteRequest.headerSize
        // Half of the block is kept for the reply: most replies then need no malloc.
        let fits = needed <= inside / 2
        let memory =
            fits
            ? raw + RemoteRequest.headerSize : UnsafeMutableRawPointer.allocate(byteCount: needed, alignment: 16)
        let used = fits ? (needed &+ 15) & ~15 : 0
        let request = raw.assumingMemoryBound(to: RemoteRequest.self)
        request.initialize(
            to: RemoteRequest(
                session: nil, origin: UInt16(truncatingIfNeeded: origin), database: 0, command: command, kind: .whole,
                isRESP3: false, isSilent: false, clientID: 0,
                arguments: memory.assumingMemoryBound(to: ByteView.self), argumentCount: arguments.count,
                external: fits ? nil : memory,
                reply: raw + (RemoteRequest.headerSize &+ used), replyCapacity: inside &- used, replyCount: 0,
                overflow: nil, fanOut: nil))
        var place = memory + arguments.count &* MemoryLayout<ByteView>.stride
        for index in 0..<arguments.count {
            let argument = arguments[index]
            place.copyMemory(from: argument.base, byteCount: argument.count)
            request.pointee.arguments[index] = ByteView(place, argument.count)
            place += argument.count
        }
        return request
    }

    func free(_ request: UnsafeMutablePointer<RemoteRequest>) {
        var chunk = request.pointee.overflow
        while let current = chunk {
            chunk = current.pointee.next
            UnsafeMutableRawPointer(current).deallocate()
        }
        request.pointee.external?.deallocate()
        slab.free(UnsafeMutableRawPointer(request).assumingMemoryBound(to: Block.self))
    }
}

/// Writes a reply into a request's block, and what does not fit into chunks behind it.
final class RequestSink: ReplySink {
    private var request: UnsafeMutablePointer<RemoteRequest>!
    /// The chunk being written; nil while the block's own room is.
    private var chunk: UnsafeMutablePointer<ReplyChunk>?

    /// The first span of `request`'s reply.
    func begin(_ request: UnsafeMutablePointer<RemoteRequest>) -> OutputSpan {
        self.request = request
        chunk = nil
        let base = request.pointee.reply
        return OutputSpan(cursor: base, limit: base + request.pointee.replyCapacity)
    }

    /// Ends the reply at `cursor`.
    func finish(at cursor: UnsafeMutableRawPointer) {
        if let chunk {
            chunk.pointee.count = cursor - chunk.bytes
        } else {
            request.pointee.replyCount = cursor - request.pointee.reply
        }
    }

    override func next(after cursor: UnsafeMutableRawPointer) -> OutputSpan {
        finish(at: cursor)
        let size = min(1 << 20, max(16 << 10, (chunk?.pointee.capacity ?? 0) * 2))
        let fresh = ReplyChunk.allocate(capacity: size)
        if let chunk { chunk.pointee.next = fresh } else { request.pointee.overflow = fresh }
        chunk = fresh
        return OutputSpan(cursor: fresh.bytes, limit: fresh.bytes + size)
    }
}
