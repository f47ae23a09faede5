import CLinux
import Net
import Runtime

/// Commands (or a part of one) on their way to another shard and the reply on the way back, in one block that the
/// origin owns: the executing shard writes only the reply and its head. Arguments that fit travel inside the block.
///
///     0 ..< headerSize           this header
///     headerSize ...             a run: `CommandRecord`s; else argument views, then argument bytes
///     replyOffset ...            the reply's head (`ReplyHead`), of a volley the ends of its replies
///     ... ..< ownOffset          the reply's first bytes
///     ownOffset ..< blockSize    of a volley: the records of the origin's own commands
///
/// A line is written by one of the two cores only, and what only one of them reads never moves: the header's first line is the
/// origin's, but for what is no run; the second one has what is needed to run a run, and its first record. The reply's head
/// begins a line. So a short command goes over in one line, and its short reply comes back in one or two.
struct RemoteRequest {
    /// An odd number of cache lines: the headers of blocks under way do not fall on a few sets of the caches.
    static let blockSize = 49 * 64
    static let headerSize = 80
    /// Own records are at most `CommandRecord.room` bytes.
    static let ownOffset = 33 * 64

    // The origin's line.

    /// The client, for the origin alone; nil for a part. Lives until its last reply is back (`SessionFlags.left`).
    var session: Session?
    /// The command's place in the table, which all shards share; of a run the first one's.
    var command: UnsafePointer<CommandEntry>
    /// The client's id, for commands that tell or spare the caller (CLIENT KILL SKIPME).
    var clientID: UInt64
    /// Argument memory outside the block, when it did not fit; freed by the origin with the block.
    var external: UnsafeMutableRawPointer?
    /// For a part: the fan-out it belongs to.
    var fanOut: UnsafeMutablePointer<FanOut>?
    /// CLIENT REPLY OFF or SKIP: the origin drops the reply.
    var isSilent: Bool
    /// The command was sent, or run here: there is a head, once it is back.
    var isUnderWay = false
    /// Of a volley: bit k says that its command k is the other shard's; `volleyCount` commands in all, at most 16. Otherwise 0.
    var foreign: UInt16 = 0
    var volleyCount: UInt16 = 0
    /// Where the reply's head lies in the block: a multiple of 64, below `blockSize`. The message that travels has it too.
    var replyOffset: UInt16
    /// Of a volley: how many of the received bytes its commands are.
    var textCount: UInt32 = 0
    /// Of a volley: the origin's `RecentWrites.position` and wall clock when it was sent.
    var position: UInt32 = 0
    var unixMilliseconds: Int64 = 0

    // The line that travels.

    /// Words of the command; of a run and a volley its commands for the executing shard.
    var argumentCount: UInt32
    /// Origin's shard number: where the reply goes.
    var origin: UInt16
    var database: UInt16
    var kind: Kind
    var isRESP3: Bool

    /// `.whole`: run as a command on a key. `.part`: run as one shard's part of a command on all shards. `.run`: commands on
    /// a key each, one after the other. `.volley`: the same for reads, others of which the origin runs.
    enum Kind: UInt8 { case whole, part, run, volley }
}

/// What the executing shard says of the reply.
struct ReplyHead {
    static let size = 16
    /// What of the reply did not fit: `ReplyChunk`s from malloc, freed by the origin.
    var overflow: UnsafeMutablePointer<ReplyChunk>?
    /// Bytes of the reply in the block.
    var count: Int
}

extension UnsafeMutablePointer where Pointee == ReplyHead {
    /// Of a volley: how many bytes of the reply there are after each of the executing shard's commands.
    @inline(__always) var ends: UnsafeMutablePointer<UInt32> {
        (UnsafeMutableRawPointer(self) + ReplyHead.size).assumingMemoryBound(to: UInt32.self)
    }

    /// The reply's first byte behind so many ends.
    @inline(__always) func start(ends count: Int) -> UnsafeMutableRawPointer { UnsafeMutableRawPointer(ends + count) }
}

extension UnsafeMutablePointer where Pointee == RemoteRequest {
    @inline(__always) var block: UnsafeMutableRawPointer { UnsafeMutableRawPointer(self) }

    /// Views of the arguments: in the block, or at the beginning of the memory outside of it.
    @inline(__always) var arguments: Arguments {
        let memory = pointee.external ?? block + RemoteRequest.headerSize
        return Arguments(
            base: UnsafePointer(memory.assumingMemoryBound(to: ByteView.self)), count: Int(pointee.argumentCount))
    }

    @inline(__always) var replyHead: UnsafeMutablePointer<ReplyHead> { replyHead(at: Int(pointee.replyOffset)) }

    /// For who must not look at the origin's line.
    @inline(__always) func replyHead(at offset: Int) -> UnsafeMutablePointer<ReplyHead> {
        (block + offset).assumingMemoryBound(to: ReplyHead.self)
    }

    /// The first record of a run, and of the origin's own commands in a volley.
    @inline(__always) var records: UnsafeMutableRawPointer { block + RemoteRequest.headerSize }
    @inline(__always) var ownRecords: UnsafeMutableRawPointer { block + RemoteRequest.ownOffset }
    /// The reply's first byte in the block.
    @inline(__always) var reply: UnsafeMutableRawPointer {
        replyHead.start(ends: pointee.volleyCount == 0 ? 0 : pointee.foreign.nonzeroBitCount)
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
    struct Block { let words: InlineArray<392, UInt64> }

    private let slab: Slab<Block>

    init() {
        precondition(MemoryLayout<Block>.stride == RemoteRequest.blockSize, "block layout")
        precondition(RemoteRequest.ownOffset + CommandRecord.room <= RemoteRequest.blockSize, "room for own records")
        precondition(MemoryLayout<RemoteRequest>.size <= RemoteRequest.headerSize, "header layout")
        precondition(MemoryLayout<RemoteRequest>.offset(of: \.argumentCount) == 64, "the line that travels")
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
                isSilent: session.dropsReplies, replyOffset: Self.replyOffset(behind: fits ? used : 0),
                argumentCount: UInt32(truncatingIfNeeded: arguments.count),
                origin: UInt16(truncatingIfNeeded: origin), database: session.state.pointee.database, kind: .whole,
                isRESP3: session.isRESP3))
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

    /// A run without commands, for a client that is `isUsual`.
    @inline(__always) func makeRun(
        _ kind: RemoteRequest.Kind, first command: UnsafePointer<CommandEntry>, origin: Int, session: Session
    ) -> UnsafeMutablePointer<RemoteRequest> {
        let request = UnsafeMutableRawPointer(slab.allocate()).assumingMemoryBound(to: RemoteRequest.self)
        // Another core has read those lines when the next one was used last.
        if let next = slab.nextFree {
            for line in 1...(kind == .volley ? 4 : 1) { apus_prefetch_for_writing(next + line &* 64) }
        }
        request.initialize(
            to: RemoteRequest(
                session: session, command: command, clientID: session.id, external: nil, fanOut: nil, isSilent: false,
                replyOffset: 0, argumentCount: 0, origin: UInt16(truncatingIfNeeded: origin),
                database: session.state.pointee.database, kind: kind, isRESP3: session.isRESP3))
        return request
    }

    /// Bytes of views and arguments that a block holds. The rest is kept for the reply: most then need no malloc.
    private static let room = 1024

    /// The first line behind `used` bytes of arguments.
    @inline(__always) static func replyOffset(behind used: Int) -> UInt16 {
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

    @inline(__always)
    func free(_ request: UnsafeMutablePointer<RemoteRequest>) {
        if request.pointee.isUnderWay, let chunk = request.replyHead.pointee.overflow { free(chunk) }
        request.pointee.external?.deallocate()
        slab.free(UnsafeMutableRawPointer(request).assumingMemoryBound(to: Block.self))
    }

    @inline(never)
    private func free(_ chunks: UnsafeMutablePointer<ReplyChunk>) {
        var chunk: UnsafeMutablePointer<ReplyChunk>? = chunks
        while let current = chunk {
            chunk = current.pointee.next
            UnsafeMutableRawPointer(current).deallocate()
        }
    }
}
