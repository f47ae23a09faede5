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
        if shard.shardCount > 1 {
            guard command.end == limit else { return serveOverShards(request, command, session, stack, probe) }
            let owner = shard.slots.owner(of: scratch.arguments[1])
            if owner != shard.id { return sendAway(request, command, to: owner, session, stack, probe) }
            // The rest is as with one shard.
            if command.entry.pointee.flags.contains(.write) { shard.writes.note(scratch.arguments[1]) }
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

    /// A request that comes alone, for another shard.
    @inline(__always)
    private func sendAway<P: Probe>(
        _ request: PredictedRequest, _ command: KnownCommand, to owner: Int, _ session: Session,
        _ stack: Unmanaged<Stack>, _ probe: P
    ) -> Bool {
        guard shard.outbound.hasCredit(for: owner),
            CommandRecord.size(command, scratch.arguments) <= CommandRecord.room
        else { return false }
        probe.mark(.parse)
        let away = shard.requests.makeRun(.run, first: command.entry, origin: shard.id, session: session)
        let end = CommandRecord.write(command, scratch.arguments, to: away.records)
        away.pointee.argumentCount = 1
        send(away, upTo: end, to: owner, last: command, session)
        probe.mark(.crossShard)
        session.state.pointee.lastInteraction = shard.monotonic
        stack._withUnsafeGuaranteedRef { $0.keep(request) }
        return true
    }

    /// `serve` for a pipeline where there are several shards. No frame is taken for replies of other shards: `deliver` takes one
    /// when they come. False as for `serve`.
    @inline(never)
    private func serveOverShards<P: Probe>(
        _ request: PredictedRequest, _ first: KnownCommand, _ session: Session, _ stack: Unmanaged<Stack>, _ probe: P
    ) -> Bool {
        let text = request.text
        let limit = text.base + text.count
        let window = readWindow(first, limit, session)
        probe.mark(.parse)
        switch window.step {
        case .own:
            guard let span = stack._withUnsafeGuaranteedRef({ $0.replySpan(of: request) }) else { return false }
            var context = shard.context(session, sink: sink, span: sink.begin(session, with: span))
            runOwn(window, &context, session, probe)
            stack._withUnsafeGuaranteedRef {
                if window.end == limit {
                    $0.answer(request, context.reply.finish())
                } else {
                    $0.queue(request, consumed: window.end - text.base)
                    $0.commit(request.connection, context.reply.finish())
                }
            }
            checkBacklog(session)
        case .send:
            send(window, session, probe)
            stack._withUnsafeGuaranteedRef {
                if window.end == limit { $0.keep(request) } else { $0.queue(request, consumed: window.end - text.base) }
            }
        case .volley:
            sendVolley(window, text: window.end - text.base, session)
            probe.mark(.crossShard)
            stack._withUnsafeGuaranteedRef { $0.queue(request) }
        case .sendLong, .wait:
            return false
        }
        session.state.pointee.lastInteraction = shard.monotonic
        session.state.pointee.flags.remove(.inOrder)
        return true
    }

    /// Known commands from the place of `feed` on. False when the session waits.
    @inline(__always)
    func runKnown<Port: StreamPort, P: Probe>(
        _ feed: inout RequestFeed, _ reply: inout PendingReply<Port>, _ session: Session, _ probe: P
    ) -> Bool {
        while let command = KnownCommand(feed.place, feed.limit, heads, scratch.arguments) {
            if shard.shardCount > 1 {
                guard runWindow(command, &feed, &reply, session, probe) else { return false }
            } else {
                probe.mark(.parse)
                reply.begin(session)
                feed.advance(to: runKnown(command, feed.limit, &reply.context, session, probe))
            }
        }
        return true
    }

    /// Runs `command`, and where there is one shard the known commands behind it, as many as there are. Returns the place up to
    /// which commands were run. The session is plain, its context is made, and the key is this shard's.
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
