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
        while let request = stack._withUnsafeGuaranteedRef({ $0.nextRequest(of: burst) }) {
            probe.mark(.tcp)
            if !serve(request, stack, probe) { stack._withUnsafeGuaranteedRef { $0.queue(request) } }
        }
    }

    /// Whether nothing is special about the session: it may run commands, wants their replies, and none of its requests is
    /// under way, waits, or has been received in part.
    @inline(__always)
    func isPlain(_ session: Session) -> Bool {
        let state = session.state
        return state.pointee.flags.intersection(.special) == .authenticated && state.pointee.outstanding == 0
            && state.pointee.parked == nil && state.pointee.reader.isBetweenRequests
    }

    /// False: nothing has happened, and the request must be queued.
    @inline(__always)
    private func serve<P: Probe>(_ request: PredictedRequest, _ stack: Unmanaged<Stack>, _ probe: P) -> Bool {
        guard let address = request.context, sink.furtherSpans < Self.spansPerTurn else { return false }
        let session = Session(address)
        let text = request.text
        let limit = text.base + text.count
        guard isPlain(session), var command = KnownCommand(text.base, limit, heads, scratch.arguments),
            let span = stack._withUnsafeGuaranteedRef({ $0.replySpan(of: request) })
        else { return false }
        session.state.pointee.lastInteraction = shard.monotonic
        var context = shard.context(session, sink: sink, span: sink.begin(session, with: span))
        probe.mark(.parse)
        let place = runKnown(&command, limit, &context, session, probe)
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

    /// The rest of a chunk as far as it is known commands. False when the session reads no further: one of them is parked.
    @inline(never)
    func runKnown<P: Probe>(
        _ feed: inout RequestFeed, _ context: inout CommandContext, _ session: Session, _ probe: P
    ) -> Bool {
        guard var command = KnownCommand(feed.place, feed.limit, heads, scratch.arguments) else { return true }
        probe.mark(.parse)
        feed.advance(to: runKnown(&command, feed.limit, &context, session, probe))
        return session.state.pointee.parked == nil
    }

    /// Runs `command` and the known commands behind it, as many as there are. Returns the place up to which commands were run
    /// or sent to their shard. The session is plain, and its context is made.
    @_transparent
    func runKnown<P: Probe>(
        _ command: inout KnownCommand, _ limit: UnsafeRawPointer, _ context: inout CommandContext, _ session: Session,
        _ probe: P
    ) -> UnsafeRawPointer {
        let arguments = UnsafePointer(scratch.arguments)
        while true {
            context.arguments = Arguments(base: arguments, count: command.count)
            if shard.shardCount > 1 {
                let owner = shard.slots.owner(of: arguments[1])
                if owner != shard.id {
                    // What follows may have to wait.
                    session.state.pointee.lastCommand = command.entry.pointee.number
                    _ = send(command.entry, to: owner, &context, session)
                    probe.mark(.crossShard)
                    return command.end
                }
            }
            shard.statistics.commandsProcessed &+= 1
            switch command.entry.pointee.id {
            case .get: getCommand(&context)
            case .set: setCommand(&context)
            default: execute(command.entry.pointee.id, &context)
            }
            probe.mark(.execute)
            guard command.end != limit, let next = KnownCommand(command.end, limit, heads, scratch.arguments) else {
                break
            }
            probe.mark(.parse)
            command = next
        }
        session.state.pointee.lastCommand = command.entry.pointee.number
        return command.end
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
