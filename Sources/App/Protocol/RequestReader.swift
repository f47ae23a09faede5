import Glibc
import Runtime

/// One piece of received data on its way through a `RequestReader`.
struct RequestFeed: BitwiseCopyable {
    let chunk: ByteView
    /// Bytes of `chunk` that were read.
    fileprivate(set) var position = 0
    /// Why reading ended for good: reply with it and close.
    fileprivate(set) var error: ProtocolError?

    init(_ chunk: ByteView) { self.chunk = chunk }

    /// Where reading goes on, and where the chunk ends.
    var place: UnsafeRawPointer { chunk.base + position }
    var limit: UnsafeRawPointer { chunk.base + chunk.count }

    /// Whole requests up to `place` were read by other means.
    mutating func advance(to place: UnsafeRawPointer) { position = place - chunk.base }

    fileprivate var rest: ByteView { ByteView(chunk.base + position, chunk.count &- position) }
}

/// Reads requests from a byte stream. One per session; it takes a single word while no request is half received.
///
///     let view = stream.received(connection)
///     var feed = RequestFeed(view)
///     while let arguments = session.reader.next(&feed, scratch) {
///         ... execute; on a wait for another shard: break ...
///     }
///     stream.consume(connection, session.reader.finish(&feed, scratch))
///     if let error = feed.error { error.write(to: &reply); ... close after the reply }
///
/// `next` returns nil when the chunk is used up (or in error); its arguments are valid until the next call of `next` or
/// `finish`, and never after `consume`. Whoever stops early just calls `finish`: bytes of later requests are then not
/// consumed and come again with the next `received`. A request that lies whole in the chunk is not copied. Otherwise
/// the reader takes exactly that request's bytes into a `PartialRequest`, a large argument straight into a block of its
/// own, which the command may keep (`Arguments.takeBlock`).
struct RequestReader: BitwiseCopyable {
    /// A bulk string of at least this many bytes that does not lie whole in a chunk is received into its own block.
    static let largeArgument = 32 << 10
    /// The shortest argument is `$0\r\n\r\n`.
    private static let shortestArgument = 6

    /// nil while no request is half received, and none is handed out that was.
    private var partial: UnsafeMutablePointer<PartialRequest>?

    /// No request is half received.
    @inline(__always) var isBetweenRequests: Bool { partial == nil }

    /// Bytes held for a request that is not complete (CLIENT LIST qbuf).
    var bufferedBytes: Int { partial.map { $0.pointee.buffer.count &+ $0.pointee.blockFilled } ?? 0 }

    /// The next request with at least one argument.
    @inline(__always)
    mutating func next(_ feed: inout RequestFeed, _ scratch: RequestScratch) -> Arguments? {
        let left = feed.chunk.count &- feed.position
        // The last call for nearly every chunk.
        return left == 0 && partial == nil ? nil : nextHere(&feed, left, scratch)
    }

    private mutating func nextHere(_ feed: inout RequestFeed, _ left: Int, _ scratch: RequestScratch) -> Arguments? {
        if partial == nil {
            let arguments = scratch.arguments
            let read = RESPParser.readWhole(feed.chunk.base + feed.position, left, arguments)
            if read.remaining == 0 && read.position > 0 {
                feed.position &+= read.position
                return Arguments(base: UnsafePointer(arguments), count: read.count)
            }
            return nextSlowly(&feed, scratch, read.position, read.remaining, read.count)
        }
        return nextSlowly(&feed, scratch, 0, 0, 0)
    }

    /// The last three: how far the request at the chunk's position was read already.
    @inline(never)
    private mutating func nextSlowly(
        _ feed: inout RequestFeed, _ scratch: RequestScratch, _ position: Int, _ remaining: Int, _ count: Int
    ) -> Arguments? {
        var parser = RESPParser(position: position, remaining: remaining, count: count)
        if partial != nil {
            if partial!.pointee.isDone {
                discard(scratch)
            } else {
                if let arguments = resume(&feed, scratch) { return arguments }
                if partial != nil { return nil }
            }
        }
        while true {
            let rest = feed.rest
            if rest.count == 0 { return nil }
            let status = parser.parse(rest, into: scratch)
            if status != .command {
                stop(&feed, parser, status, scratch)
                return nil
            }
            feed.position &+= parser.position
            if parser.count > 0 { return Arguments(base: UnsafePointer(scratch.arguments), count: parser.count) }
            parser = RESPParser()
        }
    }

    /// Ends the reading of this chunk, for whatever reason. Returns how many of its bytes to consume.
    mutating func finish(_ feed: inout RequestFeed, _ scratch: RequestScratch) -> Int {
        if let partial, partial.pointee.isDone { discard(scratch) }
        if scratch.argumentCapacity > RequestScratch.minimumArguments { scratch.shrinkArguments() }
        return feed.position
    }

    /// Forgets a half received request. To be called when the session ends.
    mutating func discard(_ scratch: RequestScratch) {
        if let partial { scratch.returnPartial(partial) }
        partial = nil
    }

    /// The rest of the chunk is no whole request.
    @inline(never)
    private mutating func stop(
        _ feed: inout RequestFeed, _ parser: RESPParser, _ status: RESPParser.Status, _ scratch: RequestScratch
    ) {
        if status == .error {
            fail(&feed, parser.error, scratch)
            return
        }
        let rest = feed.rest
        let fresh = scratch.takePartial()
        fresh.pointee.parser = parser
        fresh.pointee.record(scratch.arguments, from: 0, base: rest.base)
        partial = fresh
        // What lies behind the start of a large argument goes to its block.
        let isLarge = parser.bulkLength >= Self.largeArgument
        let kept = isLarge ? parser.position : rest.count
        fresh.pointee.buffer.append(rest.base, kept)
        feed.position &+= kept
        if isLarge && beginBlock(&feed, fresh, scratch) { feed.position &+= fresh.pointee.fillBlock(feed.rest) }
    }

    private mutating func fail(_ feed: inout RequestFeed, _ error: ProtocolError, _ scratch: RequestScratch) {
        feed.error = error
        feed.position = feed.chunk.count
        discard(scratch)
    }

    /// Goes on with the half received request. nil: more bytes are needed, or an error, or (then `partial` is nil)
    /// the request was empty.
    @inline(never)
    private mutating func resume(_ feed: inout RequestFeed, _ scratch: RequestScratch) -> Arguments? {
        let request = partial!
        while feed.position < feed.chunk.count {
            if request.pointee.block != nil {
                feed.position &+= request.pointee.fillBlock(feed.rest)
                if request.pointee.block == nil && request.pointee.parser.remaining == 0 {
                    return handOut(request, scratch)
                }
                continue
            }
            let taken = bytesToTake(feed.rest, request)
            if request.pointee.heldBytes &+ taken > scratch.state.pointee.maximumBuffered {
                fail(&feed, ProtocolError(kind: .queryBufferLimit), scratch)
                return nil
            }
            if request.pointee.parser.isInBulk {
                request.pointee.buffer.reserve(
                    request.pointee.parser.position &+ request.pointee.parser.bulkLength &+ 2)
            }
            request.pointee.buffer.append(feed.rest.base, taken)
            feed.position &+= taken
            let before = request.pointee.parser.count
            if before >= scratch.argumentCapacity { scratch.resizeArguments(to: before &* 2, keeping: 0) }
            let input = request.pointee.buffer.view
            switch request.pointee.parser.parse(input, into: scratch) {
            case .command:
                return handOut(request, scratch)
            case .error:
                fail(&feed, request.pointee.parser.error, scratch)
                return nil
            case .incomplete:
                request.pointee.record(scratch.arguments, from: before, base: input.base)
                if request.pointee.parser.bulkLength >= Self.largeArgument && !beginBlock(&feed, request, scratch) {
                    return nil
                }
            }
        }
        return nil
    }

    /// How many of the bytes at hand certainly belong to the half received request; at least 1.
    private func bytesToTake(_ rest: ByteView, _ request: UnsafeMutablePointer<PartialRequest>) -> Int {
        let parser = request.pointee.parser
        let held = request.pointee.buffer.count
        var atLeast = max(0, parser.remaining &- 1) &* Self.shortestArgument
        if parser.isInBulk {
            atLeast &+= parser.position &+ parser.bulkLength &+ 2 &- held
            return min(rest.count, max(1, atLeast))
        }
        atLeast = max(1, atLeast)
        if atLeast >= rest.count { return rest.count }
        // In a line: everything up to its end. Inline requests end at LF, the others' lines one byte behind CR.
        let isInline = parser.remaining == 0 && request.pointee.buffer.view[0] != UInt8(ascii: "*")
        if !isInline && held > parser.position && request.pointee.buffer.view[held &- 1] == 13 { return atLeast }
        guard let found = memchr(rest.base, isInline ? 10 : 13, rest.count) else { return rest.count }
        let end = UnsafeRawPointer(found) - rest.base
        return max(atLeast, min(rest.count, end &+ (isInline ? 1 : 2)))
    }

    /// The request is complete. nil when it has no arguments.
    private mutating func handOut(
        _ request: UnsafeMutablePointer<PartialRequest>, _ scratch: RequestScratch
    ) -> Arguments? {
        let count = request.pointee.parser.count
        if count == 0 {
            discard(scratch)
            return nil
        }
        // Only when the last argument is a block: the parser makes room for what it writes.
        if count > scratch.argumentCapacity { scratch.resizeArguments(to: count, keeping: 0) }
        request.pointee.restore(to: scratch.arguments)
        request.pointee.isDone = true
        return Arguments(base: UnsafePointer(scratch.arguments), count: count, partial: request)
    }

    /// False: an error that ends the stream.
    private mutating func beginBlock(
        _ feed: inout RequestFeed, _ request: UnsafeMutablePointer<PartialRequest>, _ scratch: RequestScratch
    ) -> Bool {
        let total = request.pointee.blockBytes &+ request.pointee.parser.bulkLength
        if total > max(scratch.state.pointee.maximumBuffered, scratch.state.pointee.maximumBulkLength) {
            fail(&feed, ProtocolError(kind: .queryBufferLimit), scratch)
            return false
        }
        if !request.pointee.beginBlock() {
            fail(&feed, ProtocolError(kind: .outOfMemory), scratch)
            return false
        }
        return true
    }
}
