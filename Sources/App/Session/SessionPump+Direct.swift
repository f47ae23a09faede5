import Net
import Runtime

/// The short way of requests: commands on one key whose beginnings are known (`RequestHeads`), of clients about whom nothing
/// is special. Whatever else a client sends, and whatever it is, takes the way of SessionPump.swift and
/// SessionPump+Run.swift, which for these would do nothing more.
extension SessionPump {
    /// Takes over the frames of a burst. Requests that come alone are served on the spot; the others are in the ready list
    /// afterwards.
    @inline(never)
    func input<P: Probe>(_ burst: FrameQueue, _ probe: P) {
        let stack = streams.stackReference.unsafelyUnwrapped
        beginTurn()
        stack._withUnsafeGuaranteedRef { $0.beginBurst(now: shard.monotonic) }
        if burst.count >= CommandsAhead.fewestFrames { lookAhead(burst, stack) }
        while let request = stack._withUnsafeGuaranteedRef({ $0.nextRequest(of: burst) }) {
            probe.mark(.tcp)
            if !serve(request, stack, probe) { stack._withUnsafeGuaranteedRef { $0.queue(request) } }
        }
    }

    /// Whether nothing is special about the client: it may run commands and wants their replies.
    @inline(__always)
    func isUsual(_ session: Session) -> Bool {
        session.state.pointee.flags.intersection(.special) == .authenticated
    }

    /// Whether nothing is special about the session: `isUsual`, and none of its requests is
    /// under way, waits, or has been received in part.
    @inline(__always)
    func isPlain(_ session: Session) -> Bool {
        let state = session.state
        return isUsual(session) && state.pointee.outstanding == 0
            && state.pointee.parked == nil && state.pointee.reader.isBetweenRequests
    }

    /// False: nothing has happened, and the request must be queued.
    @inline(__always)
    private func serve<P: Probe>(_ request: PredictedRequest, _ stack: Unmanaged<Stack>, _ probe: P) -> Bool {
        guard let address = request.context, sink.furtherSpans < Self.spansPerTurn else { return false }
        let session = Session(address)
        let text = request.text
        let limit = text.base + text.count
        guard isPlain(session), let command = KnownCommand(text.base, limit, heads, scratch.arguments)
        else { return false }
        if let owner = otherOwner(of: scratch.arguments[1]) {
            return sendAway(request, command, to: owner, session, stack, probe)
        }
        guard let span = stack._withUnsafeGuaranteedRef({ $0.replySpan(of: request) })
        else { return false }
        session.state.pointee.lastInteraction = shard.monotonic
        var context = shard.context(session, sink: sink, span: sink.begin(session, with: span))
        probe.mark(.parse)
        let place = runKnown(command, limit, &context, session, probe)
        stack._withUnsafeGuaranteedRef {
            if place == limit {
                $0.answer(request, context.reply.finish())
            } else {
                $0.queue(request, consumed: place - text.base)
                $0.commit(request.connection, context.reply.finish())
            }
        }
        checkBacklog(session)
        return true
    }

    /// The shard that owns the key, if it is not this one.
    @inline(__always)
    func otherOwner(of key: ByteView) -> Int? {
        guard shard.shardCount > 1 else { return nil }
        let owner = shard.slots.owner(of: key)
        return owner == shard.id ? nil : owner
    }

    /// `send`, or the command is parked.
    @inline(never)
    func sendKnown<P: Probe>(
        _ command: KnownCommand, _ arguments: UnsafePointer<ByteView>, to owner: Int, _ context: inout CommandContext,
        _ session: Session, _ probe: P
    ) {
        context.arguments = Arguments(base: arguments, count: command.count)
        session.state.pointee.lastCommand = command.entry.pointee.number
        _ = send(command.entry, to: owner, &context, session)
        probe.mark(.crossShard)
    }

    /// Sends a request whose key another shard owns, and those behind it as far as they are for the same one. No frame is taken
    /// for the replies: `deliver` takes one when they come. False as for `serve`.
    @inline(never)
    private func sendAway<P: Probe>(
        _ request: PredictedRequest, _ first: KnownCommand, to owner: Int, _ session: Session,
        _ stack: Unmanaged<Stack>, _ probe: P
    ) -> Bool {
        guard shard.outbound.hasCredit(for: owner) else { return false }
        let text = request.text
        let limit = text.base + text.count
        let state = session.state
        var command = first
        var sent: UInt16 = 0
        while true {
            probe.mark(.parse)
            let away = shard.requests.make(
                command: command.entry, arguments: Arguments(base: scratch.arguments, count: command.count),
                origin: shard.id, session: session)
            away.pointee.session = session
            shard.outbound.send(away, to: owner)
            probe.mark(.crossShard)
            sent &+= 1
            guard command.end != limit,
                let next = KnownCommand(command.end, limit, heads, scratch.arguments),
                shard.slots.owner(of: scratch.arguments[1]) == owner, shard.outbound.hasCredit(for: owner)
            else { break }
            command = next
        }
        state.pointee.lastInteraction = shard.monotonic
        state.pointee.lastCommand = command.entry.pointee.number
        state.pointee.outstanding &+= sent
        state.pointee.outstandingShard = UInt16(truncatingIfNeeded: owner)
        stack._withUnsafeGuaranteedRef {
            if command.end == limit { $0.keep(request) } else { $0.queue(request, consumed: command.end - text.base) }
        }
        return true
    }

    /// The rest of a chunk as far as it is known commands. False when the session reads no further: one of them is parked.
    @inline(never)
    func runKnown<P: Probe>(
        _ feed: inout RequestFeed, _ context: inout CommandContext, _ session: Session, _ probe: P
    ) -> Bool {
        guard let command = KnownCommand(feed.place, feed.limit, heads, scratch.arguments) else { return true }
        probe.mark(.parse)
        if let owner = otherOwner(of: scratch.arguments[1]) {
            sendKnown(command, UnsafePointer(scratch.arguments), to: owner, &context, session, probe)
            feed.advance(to: command.end)
        } else {
            feed.advance(to: runKnown(command, feed.limit, &context, session, probe))
        }
        return session.state.pointee.parked == nil
    }

    /// Runs `command` and the known commands behind it, as many as there are. Returns the place up to which commands were run
    /// or sent to their shard. The session is plain, its context is made, and the key of the first one is this shard's.
    @_transparent
    func runKnown<P: Probe>(
        _ command: KnownCommand, _ limit: UnsafeRawPointer, _ context: inout CommandContext, _ session: Session,
        _ probe: P
    ) -> UnsafeRawPointer {
        guard command.end == limit else { return runAhead(command, limit, &context, session, probe) }
        runOwn(command, scratch.arguments, &context, probe)
        session.state.pointee.lastCommand = command.entry.pointee.number
        return command.end
    }

    /// One command on a key of this shard.
    @_transparent
    func runOwn<P: Probe>(
        _ command: KnownCommand, _ arguments: UnsafeMutablePointer<ByteView>, _ context: inout CommandContext,
        _ probe: P
    ) {
        context.arguments = Arguments(base: arguments, count: command.count)
        shard.statistics.commandsProcessed &+= 1
        switch command.entry.pointee.id {
        case .get: getCommand(&context)
        case .set: setCommand(&context)
        default: execute(command.entry.pointee.id, &context)
        }
        probe.mark(.execute)
    }
}

/// A whole request whose beginning is known; its words are in the scratch memory.
struct KnownCommand: BitwiseCopyable {
    let entry: UnsafePointer<CommandEntry>
    /// Words, the name included.
    let count: Int
    /// Behind its last byte.
    let end: UnsafeRawPointer

    /// nil when the request at `place` is not known or not whole.
    @inline(__always)
    init?(
        _ place: UnsafeRawPointer, _ limit: UnsafeRawPointer, _ heads: RequestHeads,
        _ arguments: UnsafeMutablePointer<ByteView>
    ) {
        guard limit - place >= RequestHeads.span, let head = heads.find(place) else { return nil }
        let words = head.pointee.words
        guard let end = RESPParser.readWords(place + head.pointee.count, limit, arguments + 1, words) else {
            return nil
        }
        arguments[0] = ByteView(place + RequestHeads.nameOffset, head.pointee.nameCount)
        entry = head.pointee.command
        count = head.pointee.total
        self.end = end
    }
}
