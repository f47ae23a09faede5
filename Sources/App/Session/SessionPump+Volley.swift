import Net
import Runtime

/// A volley: reads of a pipeline whose keys are this shard's and another one's by turns. In order, each change of owner would
/// wait for the other shard's reply. Instead the other shard's reads go there in one request, and this shard's are done when
/// its replies are back, all at one moment, if none of their keys was changed since the request was sent: then they say what
/// they would have said at any moment in between, also at that at which the other shard did its own, and so it is as if all
/// had been done there in the order sent. If one may have been changed, the replies are dropped, which changes nothing, since
/// they were reads, and the commands go the ordered way (docs/architecture.md, "Order").
///
/// The session's text stays in its stream until the volley has succeeded, so that there is nothing to put back.
extension SessionPump {
    /// - Parameter text: bytes that the commands of `window` are in the stream.
    @inline(never)
    func sendVolley(_ window: Window, text: Int, _ session: Session) {
        let commands = ahead.commands
        let request = shard.requests.makeRun(.volley, first: commands[0].entry, origin: shard.id, session: session)
        var (place, own) = (request.records, request.ownRecords)
        var (words, foreign, ownCount) = (scratch.arguments, window.foreign, 0)
        for index in 0..<window.count {
            if foreign & 1 != 0 {
                place = CommandRecord.write(commands[index], words, to: place)
            } else {
                ahead.keys[ownCount] = words[1]
                ownCount &+= 1
                own = CommandRecord.write(commands[index], words, to: own)
            }
            words += CommandsAhead.views
            foreign &>>= 1
        }
        request.pointee.argumentCount = UInt32(truncatingIfNeeded: window.count &- ownCount)
        request.pointee.foreign = UInt16(truncatingIfNeeded: window.foreign)
        request.pointee.volleyCount = UInt16(truncatingIfNeeded: window.count)
        request.pointee.position = shard.writes.position
        request.pointee.unixMilliseconds = shard.unixMilliseconds
        request.pointee.textCount = UInt32(truncatingIfNeeded: text)
        let database = shard.database(session.state.pointee.database)
        if database.outgrowsCaches {
            database.prefetch(ahead.keys, stride: 1, count: ownCount, hashes: ahead.hashes)
        }
        session.state.pointee.flags.insert(.waiting)
        shard.statistics.volleys &+= 1
        send(request, upTo: place, to: window.owner, last: commands[window.count &- 1], session)
    }

    /// The other shard's replies are back.
    @inline(never)
    func deliverVolley(_ request: UnsafeMutablePointer<RemoteRequest>) {
        endDelivery()
        let session = request.pointee.session.unsafelyUnwrapped
        let state = session.state
        defer { shard.requests.free(request) }
        guard !state.pointee.flags.contains(.left) else { return settle(session) }
        guard isValid(request) else {
            shard.statistics.repeatedVolleys &+= 1
            state.pointee.flags.insert(.inOrder)
            return settle(session)
        }
        let stream = state.pointee.stream
        var context = shard.context(session, sink: sink, span: sink.begin(session))
        var own = UnsafeRawPointer(request.ownRecords)
        var replies = ReplyPieces(request)
        var (foreign, ends, start) = (request.pointee.foreign, request.replyHead.ends, UInt32(0))
        for _ in 0..<Int(request.pointee.volleyCount) {
            if foreign & 1 == 0 {
                own = shard.execute(own, scratch.arguments, &context)
            } else {
                replies.move(Int(ends.pointee &- start), to: &context.reply)
                start = ends.pointee
                ends += 1
            }
            foreign &>>= 1
        }
        shard.statistics.commandsProcessed &+= UInt64(request.pointee.foreign.nonzeroBitCount)
        streams.consume(stream, Int(request.pointee.textCount))
        if streams.received(stream).count == 0 { state.pointee.flags.remove(.waiting) }
        streams.commit(stream, context.reply.finish())
        checkBacklog(session)
        settle(session)
    }

    /// Whether the own commands of a volley reply now what they would have replied at any moment since it was sent.
    private func isValid(_ request: UnsafeMutablePointer<RemoteRequest>) -> Bool {
        let now = shard.unixMilliseconds
        guard now >= request.pointee.unixMilliseconds else { return false }
        let position = request.pointee.position
        // A deadline may have passed that nobody has seen: what has expired is noted when it is looked at.
        let isLater = now != request.pointee.unixMilliseconds
        guard isLater || shard.writes.position != position else { return true }
        let database = shard.database(request.pointee.database)
        var record = UnsafeRawPointer(request.ownRecords)
        for _ in 0..<Int(request.pointee.volleyCount) &- request.pointee.foreign.nonzeroBitCount {
            let (key, end) = CommandRecord.key(record)
            if isLater { _ = database.find(key, now: now) }
            if shard.writes.mayHaveChanged(key, since: position) { return false }
            record = end
        }
        return true
    }
}

/// A reply from front to back, whatever chunks it is in.
struct ReplyPieces {
    private var place: UnsafeMutableRawPointer
    /// Bytes from `place` on in the present piece.
    private var left: Int
    private var next: UnsafeMutablePointer<ReplyChunk>?

    init(_ request: UnsafeMutablePointer<RemoteRequest>) {
        place = request.reply
        left = request.replyHead.pointee.count
        next = request.replyHead.pointee.overflow
    }

    /// Appends the next `count` bytes, which there are.
    @inline(__always)
    mutating func move(_ count: Int, to writer: inout ReplyWriter) {
        guard count <= left else { return moveAcross(count, to: &writer) }
        writer.append(place, count)
        place += count
        left &-= count
    }

    @inline(never)
    private mutating func moveAcross(_ count: Int, to writer: inout ReplyWriter) {
        var count = count
        while true {
            let piece = min(count, left)
            writer.append(place, piece)
            place += piece
            left &-= piece
            count &-= piece
            guard count > 0, let chunk = next else { return }
            (place, left, next) = (chunk.bytes, chunk.pointee.count, chunk.pointee.next)
        }
    }
}
