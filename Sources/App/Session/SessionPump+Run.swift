import Runtime

/// One command: look-up, checks, and where it runs.
extension SessionPump {
    /// Runs the command, or sends it to its shard. False when the session reads no further: the command is parked, or
    /// the session ends.
    @inline(__always)
    func run(_ context: inout CommandContext, _ session: Session) -> Bool {
        guard let command = shard.table.resolve(context.arguments),
            command.pointee.accepts(argumentCount: context.arguments.count),
            session.state.pointee.flags.isDisjoint(with: .unusual), session.isAuthenticated
        else { return runUnusual(&context, session) }
        session.state.pointee.lastCommand = command.pointee.number
        // With one shard every key is here and nothing is ever under way.
        if shard.shardCount == 1 && command.pointee.routing != .allShards {
            shard.statistics.commandsProcessed &+= 1
            execute(command.pointee.id, &context)
            guard command.pointee.routing == .local else { return true }
            afterLocal(&context, session)
            beginSkip(session)
            return session.state.pointee.flags.isDisjoint(with: .ending)
        }
        let open = dispatchOverShards(command, &context, session)
        beginSkip(session)
        return open
    }

    /// What is seldom: an unknown command, a wrong number of words, a client that is not logged in or wants no replies.
    @inline(never)
    private func runUnusual(_ context: inout CommandContext, _ session: Session) -> Bool {
        let state = session.state
        guard state.pointee.outstanding == 0 else { return parkUnresolved(&context, session) }
        defer { scratch.state.pointee.isRestricted = !session.isAuthenticated }
        guard session.dropsReplies else {
            let open = runChecked(&context, session)
            if state.pointee.parked == nil { session.commandEnded() }
            return open
        }
        let reply = context.reply
        let span = nullSink.begin()
        context.reply = ReplyWriter(span, sink: nullSink, isRESP3: session.isRESP3)
        let open = runChecked(&context, session)
        let end = context.reply.finish()
        context.reply = reply
        // CLIENT REPLY ON and RESET are answered although replies were off when they came. Both answers are short.
        if !session.dropsReplies {
            context.reply.append(span.cursor, end - span.cursor)
        }
        context.reply.isRESP3 = session.isRESP3
        // A parked command comes again, and its reply is still not wanted then.
        if state.pointee.parked == nil { session.commandEnded() }
        return open
    }

    private func runChecked(_ context: inout CommandContext, _ session: Session) -> Bool {
        guard let command = shard.table.resolve(context.arguments) else {
            shard.table.writeUnknown(context.arguments, to: &context.reply)
            return true
        }
        guard command.pointee.accepts(argumentCount: context.arguments.count) else {
            shard.table.writeArityError(command, to: &context.reply)
            return true
        }
        guard session.isAuthenticated || command.pointee.flags.contains(.noAuth) else {
            context.reply.error("NOAUTH Authentication required.")
            return true
        }
        session.state.pointee.lastCommand = command.pointee.number
        return dispatchOverShards(command, &context, session)
    }
}
