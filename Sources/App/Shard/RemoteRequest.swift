import Net
import Runtime

/// A command (or a part of one) on its way to another shard and its reply on the way back, in one block that the
/// origin owns: the executing shard writes only the reply and its head. Arguments that fit travel inside the block.
///
///     0 ..< headerSize           this header
///     headerSize ...             argument views, then argument bytes
///     replyOffset ...            the reply's head (`ReplyHead`)
///     ... ..< blockSize          the reply's first bytes
///
/// The header is one cache line, and the reply's head begins another: a line is written by one of the two cores only, and
/// what only one of them reads as well never moves. A short command goes over in two lines, its short reply comes back in one
/// or two; `ShardMessage.prefetch` asks for them together.
struct RemoteRequest {
    static let blockSize = 1024
    static let headerSize = 64

    /// The client, for the origin alone; nil for a part. Lives until its last reply is back (`SessionFlags.left`).
    var session: Session?
    /// The command's place in the table, which all shards share.
    var command: UnsafePointer<CommandEntry>
    /// The client's id, for commands that tell or spare the caller (CLIENT KILL SKIPME).
    var clientID: UInt64
    /// Argument memory outside the block, when it did not fit; freed by the origin with the block.
    var external: UnsafeMutableRawPointer?
    /// For a part: the fan-out it belongs to.
    var fanOut: UnsafeMutablePointer<FanOut>?
    var argumentCount: UInt32
    /// Where the reply's head lies in the block: a multiple of 64, below `blockSize`.
    var replyOffset: UInt16
    /// The command was sent, or run here: there is a head, once it is back.
    var isUnderWay = false
    /// Origin's shard number: where the reply goes.
    var origin: UInt16
    var database: UInt16
    /// `.whole`: run as a command on a key. `.part`: run as one shard's part of a command on all shards.
    var kind: Kind
    var isRESP3: Bool
    /// CLIENT REPLY OFF or SKIP: the origin drops the reply.
    var isSilent: Bool

    enum Kind: UInt8 { case whole, part }
}

/// What the executing shard says of the reply.
struct ReplyHead {
    static let size = 16
    /// What of the reply did not fit: `ReplyChunk`s from malloc, freed by the origin.
    var overflow: UnsafeMutablePointer<ReplyChunk>?
    /// Bytes of the reply in the block, at most `replyCapacity`.
    var count: Int
}

extension UnsafeMutablePointer where Pointee == RemoteRequest {
    @inline(__always) var block: UnsafeMutableRawPointer { UnsafeMutableRawPointer(self) }

    /// Views of the arguments: in the block, or at the beginning of the memory outside of it.
    @inline(__always) var arguments: Arguments {
        let memory = pointee.external ?? block + RemoteRequest.headerSize
        return Arguments(
            base: UnsafePointer(memory.assumingMemoryBound(to: ByteView.self)), count: Int(pointee.argumentCount))
    }

    @inline(__always) var replyHead: UnsafeMutablePointer<ReplyHead> {
        (block + Int(pointee.replyOffset)).assumingMemoryBound(to: ReplyHead.self)
    }
    /// The reply's first byte in the block, and how many fit there.
    @inline(__always) var reply: UnsafeMutableRawPointer { block + (Int(pointee.replyOffset) &+ ReplyHead.size) }
    @inline(__always) var replyCapacity: Int {
        RemoteRequest.blockSize &- Int(pointee.replyOffset) &- ReplyHead.size
    }

    /// Appends the whole reply.
    func copyReply(to writer: inout ReplyWriter) {
        let head = replyHead.pointee
        writer.append(reply, head.count)
        var chunk = head.overflow
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

    /// A request with a copy of `arguments`, and room for a reply, as the client `session` has its commands run.
    @inline(__always) func make(
        command: UnsafePointer<CommandEntry>, arguments: Arguments, origin: Int, session: Session
    ) -> UnsafeMutablePointer<RemoteRequest> {
        let raw = UnsafeMutableRawPointer(slab.allocate())
        let request = raw.assumingMemoryBound(to: RemoteRequest.self)
        let views = arguments.count &* MemoryLayout<ByteView>.stride
        let extent = Self.extent(of: arguments)
        let used = views &+ extent
        let fits = used <= Self.room
        request.initialize(
            to: RemoteRequest(
                session: nil, command: command, clientID: session.id, external: nil, fanOut: nil,
                argumentCount: UInt32(truncatingIfNeeded: arguments.count),
                replyOffset: Self.replyOffset(behind: fits ? used : 0),
                origin: UInt16(truncatingIfNeeded: origin), database: session.state.pointee.database, kind: .whole,
                isRESP3: session.isRESP3, isSilent: session.dropsReplies))
        guard fits else {
            copyEach(request, arguments)
            return request
        }
        let target = (raw + RemoteRequest.headerSize).assumingMemoryBound(to: ByteView.self)
        // All words and what lies between them at once; each view moves as far as the bytes did.
        let first = arguments[0].base
        let place = raw + (RemoteRequest.headerSize &+ views)
        copyBytes(first, to: place, extent)
        for index in 0..<arguments.count {
            let argument = arguments[index]
            target[index] = ByteView(UnsafeRawPointer(place) + (argument.base - first), argument.count)
        }
        return request
    }

    /// Bytes of views and arguments that a block holds. The other half is kept for the reply: most then need no malloc.
    private static let room = (RemoteRequest.blockSize - RemoteRequest.headerSize) / 2

    @inline(__always) private static func replyOffset(behind used: Int) -> UInt16 {
        UInt16(truncatingIfNeeded: (RemoteRequest.headerSize &+ used &+ 63) & ~63)
    }

    /// How many bytes the arguments span where they were received, from the first byte of the first to the last byte of the
    /// last; `Int.max / 2` when they do not lie one close behind the other.
    @inline(__always) private static func extent(of arguments: Arguments) -> Int {
        let first = arguments[0].base
        var end = 0
        for index in 0..<arguments.count {
            let argument = arguments[index]
            let start = argument.base - first
            guard start >= end, start <= end &+ longestGap else { return .max / 2 }
            end = start &+ argument.count
        }
        return end
    }

    /// CR LF, `$`, the digits of a length below `room`, CR LF: what lies between two words of a request.
    private static let longestGap = 2 + 1 + 3 + 2

    /// Arguments that are too large for the block, or come from several places.
    @inline(never)
    private func copyEach(_ request: UnsafeMutablePointer<RemoteRequest>, _ arguments: Arguments) {
        var place = arguments.count &* MemoryLayout<ByteView>.stride
        var needed = place
        for index in 0..<arguments.count { needed &+= arguments[index].count }
        var memory = request.block + RemoteRequest.headerSize
        if needed <= Self.room {
            request.pointee.replyOffset = Self.replyOffset(behind: needed)
        } else {
            memory = .allocate(byteCount: needed, alignment: 16)
            request.pointee.external = memory
        }
        let target = memory.assumingMemoryBound(to: ByteView.self)
        for index in 0..<arguments.count {
            let argument = arguments[index]
            (memory + place).copyMemory(from: argument.base, byteCount: argument.count)
            target[index] = ByteView(UnsafeRawPointer(memory + place), argument.count)
            place &+= argument.count
        }
    }

    func free(_ request: UnsafeMutablePointer<RemoteRequest>) {
        var chunk = request.pointee.isUnderWay ? request.replyHead.pointee.overflow : nil
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
        request.replyHead.pointee.overflow = nil
        return OutputSpan(cursor: request.reply, limit: request.reply + request.replyCapacity)
    }

    /// Ends the reply at `cursor`.
    func finish(at cursor: UnsafeMutableRawPointer) {
        if let chunk {
            chunk.pointee.count = cursor - chunk.bytes
        } else {
            request.replyHead.pointee.count = cursor - request.reply
        }
    }

    override func next(after cursor: UnsafeMutableRawPointer) -> OutputSpan {
        finish(at: cursor)
        let size = min(1 << 20, max(16 << 10, (chunk?.pointee.capacity ?? 0) * 2))
        let fresh = ReplyChunk.allocate(capacity: size)
        if let chunk { chunk.pointee.next = fresh } else { request.replyHead.pointee.overflow = fresh }
        chunk = fresh
        return OutputSpan(cursor: fresh.bytes, limit: fresh.bytes + size)
    }
}
