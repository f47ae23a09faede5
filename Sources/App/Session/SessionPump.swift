import Net
import Runtime

/// Takes what streams receive, turns it into commands, and puts replies into the streams.
///
/// Commands of one session take effect in the order sent, on whichever shards they fall: a session has commands under
/// way at one shard at a time. A command for the same shard follows them through the same ring; any other waits,
/// parked, until all replies are there. So replies also arrive in order and need no sorting.
final class SessionPump {
    let shard: ShardState
    let streams: Streams
    let scratch: RequestScratch
    let sink: StreamSink
    let nullSink = NullSink()
    let partSink = RequestSink()
    /// Where replies of other shards are being written (`deliver`).
    var delivery = Delivery()
    let heads = RequestHeads()
    let ahead = CommandsAhead()
    /// Sessions to go on with: their last reply arrived, or they wait for credit. Each is in it at most once
    /// (`SessionFlags.queued`).
    private var resumable: [Session] = []
    /// Those of `resumable` that `resume` is at; empty otherwise. Kept for its capacity.
    private var resuming: [Session] = []
    /// Sessions with the flag `watched`, none of which has left, in no order; and which of them `lookAtWatched` looks at next.
    var watched: [Session] = []
    var watchedNext = 0
    /// The directive `timeout` when all sessions were last put into the list that fits it.
    var sweptTimeout: Nanoseconds = 0
    /// While a parked command is tried again: the request that holds it. Who makes use of it takes it.
    var retried: UnsafeMutablePointer<RemoteRequest>?

    init(shard: ShardState, streams: Streams) {
        self.shard = shard
        self.streams = streams
        scratch = shard.scratch
        sink = StreamSink(streams: streams)
        resumable.reserveCapacity(256)
        resuming.reserveCapacity(256)
    }

    deinit {
        heads.deallocate()
        ahead.deallocate()
    }

    // MARK: events

    /// Once the sessions of a turn have written so many spans (of 1 KiB to 16 KiB), the others wait for the next turn:
    /// clients that ask for large values together must not keep everybody's packets waiting until the last is copied.
    static let spansPerTurn = 512

    func serveStack<P: Probe>(_ probe: P) {
        beginTurn()
        serveReady(probe)
    }

    func beginTurn() { sink.furtherSpans = 0 }

    /// The rest of a turn that has begun with `beginTurn`.
    func serveReady<P: Probe>(_ probe: P) {
        let stack = streams.stackReference.unsafelyUnwrapped
        while sink.furtherSpans < Self.spansPerTurn, let ready = stack._withUnsafeGuaranteedRef({ $0.takeReady() }) {
            guard let context = ready.context else {
                greet(ready.connection, ready.events, streams.stack!, probe)
                continue
            }
            if ready.events == .readable {
                // Nearly always; the kind of the stream is known here.
                read(Session(context), StackPort(stack: stack, connection: ready.connection), probe)
            } else {
                handle(ready.events, Session(context), probe)
            }
        }
        probe.mark(.tcp)
    }

    @inline(never)
    private func greet<P: Probe>(
        _ connection: TCPConnection, _ events: StreamEvents, _ stack: Stack, _ probe: P
    ) {
        if events.contains(.opened) {
            let (address, port) = stack.remote(connection)
            let local = Endpoint(address: stack.configuration.address, port: stack.localPort(connection))
            let session = open(Stream(connection), remote: Endpoint(address: address, port: port), local: local)
            stack.setContext(connection, session.state)
            handle(events, session, probe)
        } else if events.contains(.closed) {
            stack.free(connection)
        }
    }

    func serveKernel<P: Probe>(_ probe: P) -> Bool {
        guard let kernel = streams.kernel else { return false }
        var work = false
        sink.furtherSpans = 0
        while sink.furtherSpans < Self.spansPerTurn, let connection = kernel.nextEvent() {
            work = true
            let events = kernel.takeEvents(connection)
            if let context = kernel.context(connection) {
                handle(events, Session(context), probe)
            } else if events.contains(.opened) {
                let session = open(
                    Stream(connection), remote: Endpoint(kernel.remote(connection)),
                    local: Endpoint(kernel.local(connection)))
                kernel.setContext(connection, session.state)
                handle(events, session, probe)
            } else if events.contains(.closed) {
                kernel.free(connection)
            }
        }
        probe.mark(.receive)
        return work
    }

    private func open(_ stream: Stream, remote: Endpoint, local: Endpoint) -> Session {
        let session = shard.sessions.add(
            remote: remote, local: local, authenticated: !shard.limits.requiresPassword, now: shard.monotonic)
        session.state.pointee.stream = stream
        if sweptTimeout > 0 { shard.sessions.lookAgain(session, at: shard.monotonic + sweptTimeout) }
        if shard.mesh.clientOpened() > shard.limits.maxClients {
            // Its place is free for others although it may take its time to go.
            shard.mesh.clientClosed()
            shard.departed += 1
            shard.statistics.rejectedConnections &+= 1
            write(session) { $0.error("ERR max number of clients reached") }
            session.state.pointee.flags.formUnion([.closeAfterReply, .refused])
            finishIfIdle(session)
        } else {
            shard.statistics.connectionsReceived &+= 1
        }
        return session
    }

    private func handle<P: Probe>(_ events: StreamEvents, _ session: Session, _ probe: P) {
        if events.contains(.closed) {
            let stream = session.state.pointee.stream
            leave(session)
            streams.free(stream)
            return
        }
        if events.contains(.endOfStream) { session.state.pointee.flags.insert(.endOfStream) }
        if !events.isDisjoint(with: [.readable, .endOfStream]) { service(session, probe) }
    }

    // MARK: reading commands

    /// Executes what the session has received, until nothing whole is left or it must wait for another shard.
    func service<P: Probe>(_ session: Session, _ probe: P) {
        let stream = session.state.pointee.stream
        switch stream.kind {
        case .stack: read(session, StackPort(stack: streams.stackReference!, connection: stream.connection), probe)
        case .kernel:
            let kernel = Unmanaged.passUnretained(streams.kernel!)
            read(session, KernelPort(kernel: kernel, connection: stream.kernelConnection), probe)
        case .none: break
        }
    }

    @inline(__always)
    private func read<Port: StreamPort, P: Probe>(_ session: Session, _ port: Port, _ probe: P) {
        let state = session.state
        guard state.pointee.flags.isDisjoint(with: .ending) else { return discardInput(session) }
        state.pointee.lastInteraction = shard.monotonic
        guard state.pointee.parked == nil, !state.pointee.isWaiting else { return }
        state.pointee.flags.remove(.waiting)
        scratch.state.pointee.isRestricted = !session.isAuthenticated
        var reply = PendingReply(port, sink, shard.context(session, sink: sink, span: nullSink.begin()))
        var open = true
        while open {
            let view = port.received()
            probe.mark(Port.input)
            guard view.count > 0 else { break }
            probe.note(.session, session, value: view.count)
            var feed = RequestFeed(view)
            while open {
                // Each step of a traced command is to be told: the short way tells none.
                if !probe.traces, isUsual(session), state.pointee.reader.isBetweenRequests {
                    open = runKnown(&feed, &reply, session, probe)
                    guard open else { break }
                }
                let start = feed.place
                guard let arguments = state.pointee.reader.next(&feed, scratch) else { break }
                probe.mark(.parse)
                probe.note(.parsed, session, value: arguments.count)
                reply.begin(session)
                reply.context.arguments = arguments
                open = run(&reply.context, session)
                probe.mark(state.pointee.outstanding == 0 ? .execute : .crossShard)
                probe.noteRun(session, arguments)
                if open, !probe.traces, isUsual(session) { heads.learn(start, arguments, shard.table) }
            }
            port.consume(state.pointee.reader.finish(&feed, scratch))
            probe.mark(.parse)
            if feed.error != nil {
                reply.commit()
                shard.statistics.protocolErrors &+= 1
                // Behind the replies of commands under way.
                state.pointee.refusal = feed.error
                state.pointee.flags.insert(.closeAfterReply)
                return discardInput(session)
            }
        }
        if reply.begun {
            reply.commit()
            checkBacklog(session)
            if state.pointee.outstanding == 0 { probe.note(.written, session, value: 0) }
        }
        guard state.pointee.flags.isDisjoint(with: .finishing) else {
            return state.pointee.flags.isDisjoint(with: .ending) ? finishIfIdle(session) : discardInput(session)
        }
    }

    /// A session that ends reads no more commands, but its window must not stay closed on the peer's last bytes.
    private func discardInput(_ session: Session) {
        let stream = session.state.pointee.stream
        while true {
            let view = streams.received(stream)
            guard view.count > 0 else { break }
            streams.consume(stream, view.count)
        }
        finishIfIdle(session)
    }

    // MARK: ends

    /// Closes the stream once the session has nothing more to say: after QUIT, a protocol error or the peer's FIN.
    func finishIfIdle(_ session: Session) {
        let state = session.state
        let flags = state.pointee.flags
        guard !flags.isDisjoint(with: .finishing), !flags.contains(.shutDown),
            state.pointee.outstanding == 0, state.pointee.parked == nil
        else { return }
        if let refusal = state.pointee.refusal, !session.dropsReplies { write(session) { refusal.write(to: &$0) } }
        state.pointee.flags.insert(.shutDown)
        watch(session)
        streams.shutdown(state.pointee.stream)
    }

    /// Ends the session now, whatever it was doing.
    func abort(_ session: Session) {
        let stream = session.state.pointee.stream
        leave(session)
        streams.abort(stream)
    }

    /// The session's stream is gone. Its memory stays while requests under way or a list refer to it.
    private func leave(_ session: Session) {
        let state = session.state
        state.pointee.stream = .none
        unwatch(session)
        state.pointee.reader.discard(scratch)
        if let parked = state.pointee.parked {
            shard.requests.free(parked)
            state.pointee.parked = nil
        }
        if !state.pointee.flags.contains(.refused) {
            shard.mesh.clientClosed()
            shard.departed += 1
        }
        state.pointee.flags.insert(.left)
        removeIfFree(session)
    }

    func removeIfFree(_ session: Session) {
        let state = session.state
        guard state.pointee.flags.contains(.left), state.pointee.outstanding == 0,
            state.pointee.flags.isDisjoint(with: [.queued, .closeNow])
        else { return }
        shard.departed -= 1
        shard.sessions.remove(session)
    }

    @inline(__always)
    func checkBacklog(_ session: Session) {
        let mark = shard.limits.outputMark
        guard mark > 0, streams.backlog(session.state.pointee.stream) > mark else { return }
        isBeyondLimit(session)
    }

    @inline(never)
    private func isBeyondLimit(_ session: Session) {
        let limit = shard.limits.output.normal
        let backlog = streams.backlog(session.state.pointee.stream)
        if limit.hard > 0 && backlog > limit.hard { condemn(session) }
        watch(session)
    }

    /// Orderly end of all streams, when the server stops.
    func closeAll() {
        var walk = shard.sessions.first
        while let session = walk {
            walk = shard.sessions.next(after: session)
            streams.shutdown(session.state.pointee.stream)
        }
    }

    func write(_ session: Session, _ body: (inout ReplyWriter) -> Void) {
        let stream = session.state.pointee.stream
        let span = sink.begin(session)
        var reply = ReplyWriter(span, sink: sink, isRESP3: session.isRESP3)
        body(&reply)
        streams.commit(stream, reply.finish())
    }

    /// `session` is looked at again later in this turn, or in the next.
    func enqueue(_ session: Session) {
        guard !session.state.pointee.flags.contains(.queued) else { return }
        session.state.pointee.flags.insert(.queued)
        resumable.append(session)
    }

    /// Goes on with the sessions that waited. Returns whether any did.
    func resume<P: Probe>(_ probe: P) -> Bool {
        guard !resumable.isEmpty else { return false }
        swap(&resumable, &resuming)
        for session in resuming {
            session.state.pointee.flags.remove(.queued)
            if session.state.pointee.flags.contains(.left) {
                removeIfFree(session)
            } else if unpark(session, probe) {
                service(session, probe)
            }
        }
        resuming.removeAll(keepingCapacity: true)
        return true
    }
}

/// The replies of a burst of commands: no output memory is asked for before there is a command, since half a request must not
/// hold a frame.
struct PendingReply<Port: StreamPort> {
    var context: CommandContext
    /// The context's reply is the stream's memory.
    private(set) var begun = false
    private let port: Port
    private unowned(unsafe) let sink: StreamSink

    @inline(__always)
    init(_ port: Port, _ sink: StreamSink, _ context: CommandContext) {
        self.port = port
        self.sink = sink
        self.context = context
    }

    @inline(__always)
    mutating func begin(_ session: Session) {
        guard !begun else { return }
        begun = true
        let span = sink.begin(session, with: port.outputSpan())
        context.reply = ReplyWriter(span, sink: sink, isRESP3: session.isRESP3)
    }

    @inline(__always)
    func commit() {
        if begun { port.commit(context.reply.finish()) }
    }
}
