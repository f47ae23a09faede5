import Net
import Runtime

/// What a shard without work waits for.
extension Shard {
    /// When the next turn is due even if nothing arrives.
    func nextDeadline() -> Nanoseconds {
        var deadline = nextCron
        if let next = streams.stack?.nextDeadline { deadline = min(deadline, next) }
        if let next = state.keyspace.nextDeadline { deadline = min(deadline, next) }
        // Timers are looked at once a millisecond.
        deadline = max(deadline, nextMillisecond)
        if let stack = streams.stack {
            if stack.heldUntil > state.monotonic { deadline = min(deadline, stack.heldUntil) }
            if kicks.isHolding { deadline = min(deadline, kicks.heldSince + KickPolicy.span) }
            // A full device: come back soon rather than when it says so.
            if !stack.transmitQueue.isEmpty { deadline = min(deadline, state.monotonic + .milliseconds(1)) }
        }
        if let next = streams.kernel?.nextDeadline { deadline = min(deadline, next) }
        return deadline
    }

    /// What `run` would do now instead of waiting; for who calls it himself.
    enum Reason { case nothing, messages, turn }

    var reason: Reason {
        if link?.hasReceived == true || streams.stack?.transmitQueue.isEmpty == false { return .turn }
        if nextDeadline() <= clock.monotonic { return .turn }
        return inbound.hasMessages ? .messages : .nothing
    }
}
