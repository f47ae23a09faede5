import Runtime

/// Commands when there is more than one shard: local, sent to an owner, or fanned out; and waiting for what is under way.
extension SessionPump {
    /// False when the session must wait: the command is then parked.
    @inline(never)
    func dispatchOverShards(
        _ command: UnsafePointer<CommandEntry>, _ context: inout CommandContext, _ session: Session
    ) -> Bool {
        switch command.pointee.routing {
        case .local:
            return runHere(command, &context, session)
        case .key:
            let owner = shard.slots.owner(of: context.arguments[Int(command.pointee.firstKey)])
            return owner == shard.id
                ? runHere(command, &context, session) : send(command, to: owner, &context, session)
        case .control:
            return shard.id == 0 ? runHere(command, &context, session) : send(command, to: 0, &context, session)
        case .multiKey:
            guard let owner = commonOwner(of: context.arguments, command) else {
                return fanOut(command, &context, session, keys: true)
            }
            return owner == shard.id
                ? runHere(command, &context, session) : send(command, to: owner, &context, session)
        case .allShards:
            guard !command.pointee.flags.contains(.protected) || mayDebug(session) else {
                context.refuseDebug()
                return true
            }
            guard shard.shardCount > 1 else { return runAlone(command, &context, session) }
            return fanOut(command, &context, session, keys: false)
        }
    }

    private func runHere(_ command: UnsafePointer<CommandEntry>, _ context: inout CommandContext, _ session: Session)
        -> Bool
    {
        guard session.state.pointee.outstanding == 0 else { return park(command, &context, session) }
        shard.statistics.commandsProcessed &+= 1
        shard.execute(command, &context)
        afterLocal(&context, session)
        return session.state.pointee.flags.isDisjoint(with: .ending)
    }

    /// CLIENT REPLY SKIP is about the command after it.
    @inline(__always)
    func beginSkip(_ session: Session) {
        if session.state.pointee.flags.contains(.skipNext) { session.commandEnded() }
    }

    /// SELECT, HELLO and RESET change what later commands of the burst see.
    @inline(__always)
    func afterLocal(_ context: inout CommandContext, _ session: Session) {
        context.database = shard.database(session.state.pointee.database)
        context.reply.isRESP3 = session.isRESP3
    }

    func send(
        _ command: UnsafePointer<CommandEntry>, to owner: Int, _ context: inout CommandContext, _ session: Session
    ) -> Bool {
        let state = session.state
        // The ring keeps the order of commands for one shard; for another shard only their replies tell that they
        // have taken effect.
        guard state.pointee.outstanding == 0 || state.pointee.outstandingShard == UInt16(owner) else {
            return park(command, &context, session)
        }
        guard shard.outbound.hasCredit(for: owner) else {
            enqueue(session)
            return park(command, &context, session)
        }
        let request = takeRetried(command, session) ?? copy(command, context.arguments, session)
        request.pointee.session = session
        shard.outbound.send(request, to: owner)
        state.pointee.outstanding &+= 1
        state.pointee.outstandingShard = UInt16(owner)
        return true
    }

    /// The command waits, copied out of the received data, until the session's commands under way are done (or until
    /// there is credit, if the session is queued for that).
    private func park(_ command: UnsafePointer<CommandEntry>, _ context: inout CommandContext, _ session: Session)
        -> Bool
    {
        session.state.pointee.parked = takeRetried(command, session) ?? copy(command, context.arguments, session)
        return false
    }

    /// The request that holds the present command's arguments already, if it was parked: they may be large.
    private func takeRetried(
        _ command: UnsafePointer<CommandEntry>, _ session: Session
    ) -> UnsafeMutablePointer<RemoteRequest>? {
        guard let request = retried else { return nil }
        retried = nil
        request.pointee.command = command
        request.pointee.database = session.state.pointee.database
        request.pointee.isRESP3 = session.isRESP3
        request.pointee.isSilent = session.dropsReplies
        return request
    }

    private func copy(
        _ command: UnsafePointer<CommandEntry>, _ arguments: Arguments, _ session: Session
    ) -> UnsafeMutablePointer<RemoteRequest> {
        shard.requests.make(command: command, arguments: arguments, origin: shard.id, session: session)
    }

    /// The same for a command that was not even looked up: it is when it is tried again.
    func parkUnresolved(_ context: inout CommandContext, _ session: Session) -> Bool {
        park(shard.table[.ping], &context, session)
    }

    /// Tries the parked command again. Whether the session may go on reading.
    func unpark<P: Probe>(_ session: Session, _ probe: P) -> Bool {
        let state = session.state
        guard let parked = state.pointee.parked else { return true }
        state.pointee.parked = nil
        // The command before it may have ended the session (CLIENT KILL of its own client).
        guard state.pointee.flags.isDisjoint(with: .ending) else {
            shard.requests.free(parked)
            finishIfIdle(session)
            return false
        }
        let stream = state.pointee.stream
        var context = shard.context(session, sink: sink, span: sink.begin(session))
        context.arguments = parked.arguments
        retried = parked
        let open = run(&context, session)
        probe.noteRun(session, context.arguments)
        streams.commit(stream, context.reply.finish())
        if state.pointee.outstanding == 0 { probe.note(.written, session, value: 0) }
        // Neither sent nor parked again.
        if let retried { shard.requests.free(retried) }
        retried = nil
        checkBacklog(session)
        if !open { finishIfIdle(session) }
        return open
    }

    // MARK: parts

    /// Whether the directive `enable-debug-command` lets the client use DEBUG.
    private func mayDebug(_ session: Session) -> Bool {
        switch shard.config.enableDebugCommand {
        case "yes": true
        case "local": streams.isLoopback(session.state.pointee.stream, session.state.pointee.remote)
        default: false
        }
    }

    /// The one shard that owns all keys; nil when they are spread.
    private func commonOwner(of arguments: Arguments, _ command: UnsafePointer<CommandEntry>) -> Int? {
        let first = Int(command.pointee.firstKey)
        let owner = shard.slots.owner(of: arguments[first])
        for index in (first &+ 1)..<max(first &+ 1, arguments.count) {
            if shard.slots.owner(of: arguments[index]) != owner { return nil }
        }
        return owner
    }

    /// Sends every shard its part: all of the command, or (`keys`) the keys that it owns.
    private func fanOut(
        _ command: UnsafePointer<CommandEntry>, _ context: inout CommandContext, _ session: Session, keys: Bool
    ) -> Bool {
        let state = session.state
        guard state.pointee.outstanding == 0 else { return park(command, &context, session) }
        for peer in 0..<shard.shardCount where peer != shard.id {
            guard shard.outbound.hasCredit(for: peer) else {
                enqueue(session)
                return park(command, &context, session)
            }
        }
        let arguments = context.arguments
        let fanOut = FanOut.make(
            command: command, arguments: arguments, session: session, isSilent: session.dropsReplies, shard: shard)
        for peer in 0..<shard.shardCount {
            guard
                let part = keys ? keyPart(command, arguments, owner: peer, session) : copy(command, arguments, session)
            else {
                continue
            }
            part.pointee.kind = keys ? .whole : .part
            part.pointee.fanOut = fanOut
            fanOut.pointee.parts[peer] = part
            if peer == shard.id {
                part.pointee.isUnderWay = true
                shard.execute(part, sink: partSink)
            } else {
                shard.outbound.send(part, to: peer)
                fanOut.pointee.remaining &+= 1
            }
        }
        precondition(fanOut.pointee.remaining > 0, "a fan-out to this shard alone")
        shard.statistics.commandsProcessed &+= 1
        state.pointee.outstanding = 1
        state.pointee.outstandingShard = SessionState.manyShards
        return true
    }

    /// The command with only those keys that `owner` owns; nil when there are none.
    private func keyPart(
        _ command: UnsafePointer<CommandEntry>, _ arguments: Arguments, owner: Int, _ session: Session
    ) -> UnsafeMutablePointer<RemoteRequest>? {
        let first = Int(command.pointee.firstKey)
        let views = UnsafeMutablePointer<ByteView>.allocate(capacity: arguments.count)
        defer { views.deallocate() }
        var count = 0
        for index in 0..<arguments.count where index < first || shard.slots.owner(of: arguments[index]) == owner {
            views[count] = arguments[index]
            count &+= 1
        }
        guard count > first else { return nil }
        return copy(command, Arguments(base: views, count: count), session)
    }

    /// The only shard does its part and combines it at once.
    private func runAlone(_ command: UnsafePointer<CommandEntry>, _ context: inout CommandContext, _ session: Session)
        -> Bool
    {
        let part = copy(command, context.arguments, session)
        part.pointee.kind = .part
        part.pointee.isUnderWay = true
        shard.execute(part, sink: partSink)
        let reply = PartReplies(part)
        shard.combine(command, reply.views, &context)
        reply.free()
        shard.requests.free(part)
        return session.state.pointee.flags.isDisjoint(with: .ending)
    }
}
