import Runtime

/// What is done for sessions now and then. Nothing here walks over all of them: a look is taken at those that asked for
/// it, and at each idle one about once in its `timeout`.
extension SessionPump {
    /// Sessions that one call looks at most: a million of them may be due at once.
    private static let sweepBudget = 256
    private static let watchBudget = 1024

    /// Every 100 ms: ends that the peer does not confirm, output beyond the soft limit, kills.
    func cron() {
        closePending()
        shard.statistics.rate.sample(commands: shard.statistics.commandsProcessed, now: shard.monotonic)
        lookAtWatched()
        closePending()
    }

    // MARK: those that need watching

    /// Our direction was ended, the output is beyond the soft limit, or it is so much that reading takes a while.
    func watch(_ session: Session) {
        guard !session.state.pointee.flags.contains(.watched) else { return }
        session.state.pointee.flags.insert(.watched)
        session.state.pointee.watchedIndex = UInt32(watched.count)
        watched.append(session)
    }

    func unwatch(_ session: Session) {
        guard session.state.pointee.flags.contains(.watched) else { return }
        session.state.pointee.flags.remove(.watched)
        let index = session.state.pointee.watchedIndex
        let last = watched.removeLast()
        guard last != session else { return }
        watched[Int(index)] = last
        last.state.pointee.watchedIndex = index
    }

    private func lookAtWatched() {
        for _ in 0..<min(watched.count, Self.watchBudget) {
            if watchedNext >= watched.count { watchedNext = 0 }
            let session = watched[watchedNext]
            // In its place there is another one now, if it is not watched any more.
            switch mustBeWatched(session) {
            case true?: watchedNext += 1
            case false?: unwatch(session)
            case nil: break
            }
        }
    }

    /// nil: it was time, and the session is no more.
    private func mustBeWatched(_ session: Session) -> Bool? {
        let state = session.state
        let backlog = streams.backlog(state.pointee.stream)
        noteProgress(session, backlog)
        let timeout = shard.limits.idleTimeout
        let idle = shard.monotonic - state.pointee.lastInteraction
        if state.pointee.flags.contains(.shutDown) {
            // Who was refused is not waited for, whether it reads or not.
            let isOver = backlog == 0 || state.pointee.flags.contains(.refused)
            guard isOver, idle > .seconds(10) else { return true }
            abort(session)
            return nil
        }
        if timeout > 0, idle > timeout {
            abort(session)
            return nil
        }
        return isBeyondSoftLimit(session, backlog) || timeout > 0 && backlog > 0
    }

    /// A client that takes its output is not idle.
    private func noteProgress(_ session: Session, _ backlog: Int) {
        let seen = UInt32(truncatingIfNeeded: backlog)
        guard seen != session.state.pointee.backlogSeen else { return }
        session.state.pointee.backlogSeen = seen
        session.state.pointee.lastInteraction = shard.monotonic
    }

    /// Closed when it is that for the limit's number of seconds without a break.
    private func isBeyondSoftLimit(_ session: Session, _ backlog: Int) -> Bool {
        let limit = shard.limits.output.normal
        let tenths = UInt32(truncatingIfNeeded: shard.monotonic / .milliseconds(100))
        guard limit.soft > 0, backlog > limit.soft else {
            session.state.pointee.softSince = 0
            return false
        }
        if session.state.pointee.softSince == 0 {
            session.state.pointee.softSince = max(1, tenths)
        } else if Int(tenths &- session.state.pointee.softSince) > limit.softSeconds * 10 {
            condemn(session)
        }
        return true
    }

    // MARK: the directive timeout

    /// Every 100 ms, and in the turns after it while there are more: clients that said nothing for too long. True when more are to be looked at than one call does.
    func sweepIdle() -> Bool {
        let timeout = shard.limits.idleTimeout
        if timeout != sweptTimeout {
            sweptTimeout = timeout
            shard.sessions.lookAtAll()
        }
        for _ in 0..<Self.sweepBudget {
            guard let session = shard.sessions.firstDue(now: shard.monotonic) else { return false }
            lookAtIdle(session, timeout)
        }
        return true
    }

    /// `session` is due no more afterwards.
    private func lookAtIdle(_ session: Session, _ timeout: Nanoseconds) {
        let state = session.state
        guard timeout > 0, !state.pointee.flags.contains(.left) else { return shard.sessions.rest(session) }
        let backlog = streams.backlog(state.pointee.stream)
        noteProgress(session, backlog)
        let end = state.pointee.lastInteraction + timeout
        guard shard.monotonic <= end else {
            shard.sessions.rest(session)
            return abort(session)
        }
        shard.sessions.lookAgain(session, at: end)
    }

    // MARK: kills

    func condemn(_ session: Session) {
        guard !session.state.pointee.flags.contains(.closeNow) else { return }
        shard.statistics.outputLimitCloses &+= 1
        shard.closeSoon(session)
    }

    /// Sessions that CLIENT KILL or an output limit has condemned.
    func closePending() {
        guard !shard.pendingClose.isEmpty else { return }
        let condemned = shard.pendingClose
        shard.pendingClose.removeAll(keepingCapacity: true)
        for session in condemned {
            session.state.pointee.flags.remove(.closeNow)
            if session.state.pointee.flags.contains(.left) { removeIfFree(session) } else { abort(session) }
        }
    }
}
