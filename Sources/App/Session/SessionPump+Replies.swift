import Net
import Runtime

/// An open span of one connection, while replies for it come one after the other out of a ring: the stream is asked for
/// memory and told the end once for all of them.
struct Delivery: BitwiseCopyable {
    /// nil: none is open.
    var session: Session?
    /// Its connection's, while there is one. `cursor <= limit`.
    var cursor = UnsafeMutableRawPointer(bitPattern: 1)!
    var limit = UnsafeMutableRawPointer(bitPattern: 1)!
}

/// Replies of commands that ran on other shards.
extension SessionPump {
    /// Delivers the reply of a command that ran elsewhere. `endDelivery` follows before anything else is done to a stream.
    @inline(__always)
    func deliver(_ request: UnsafeMutablePointer<RemoteRequest>) {
        // A part has no session.
        guard let session = request.pointee.session else { return partIsBack(request) }
        if request.pointee.volleyCount > 0 { return deliverVolley(request) }
        if !session.state.pointee.flags.contains(.left), !request.pointee.isSilent {
            let count = request.replyHead.pointee.count
            if delivery.session != session { beginDelivery(session) }
            if count <= delivery.limit - delivery.cursor, request.replyHead.pointee.overflow == nil {
                copyBytes(request.reply, to: delivery.cursor, count)
                delivery.cursor += count
            } else {
                deliverLong(request, session)
            }
        }
        shard.requests.free(request)
        settle(session)
    }

    /// Kernel sockets get their replies one by one: their span is empty.
    @inline(__always)
    private func beginDelivery(_ session: Session) {
        endDelivery()
        let stream = session.state.pointee.stream
        guard stream.kind == .stack else { return }
        let span = StackPort(stack: streams.stackReference!, connection: stream.connection).outputSpan()
        delivery = Delivery(session: session, cursor: span.cursor, limit: span.limit)
    }

    @inline(__always)
    func endDelivery() {
        if let session = delivery.session { commitDelivery(session) }
    }

    @inline(__always) private func commitDelivery(_ session: Session) {
        let connection = session.state.pointee.stream.connection
        let stack = streams.stackReference.unsafelyUnwrapped
        if session.state.pointee.outstanding == 0 {
            stack._withUnsafeGuaranteedRef { $0.answerKept(connection, delivery.cursor, now: shard.monotonic) }
        } else {
            stack._withUnsafeGuaranteedRef { $0.commit(connection, delivery.cursor) }
        }
        delivery = Delivery()
        checkBacklog(session)
    }

    @inline(never)
    private func deliverLong(_ request: UnsafeMutablePointer<RemoteRequest>, _ session: Session) {
        endDelivery()
        write(session) { request.copyReply(to: &$0) }
        checkBacklog(session)
    }

    @inline(never)
    private func partIsBack(_ request: UnsafeMutablePointer<RemoteRequest>) {
        endDelivery()
        let fanOut = request.pointee.fanOut!
        fanOut.pointee.remaining &-= 1
        if fanOut.pointee.remaining == 0 { complete(fanOut) }
    }

    /// All parts of a fan-out are back.
    func complete(_ fanOut: UnsafeMutablePointer<FanOut>) {
        let session = fanOut.pointee.session
        let state = session.state
        if !state.pointee.flags.contains(.left) {
            let replies = PartReplies(fanOut, shardCount: shard.shardCount)
            let silent = fanOut.pointee.isSilent
            var context = shard.context(
                session, sink: silent ? nullSink : sink,
                span: silent ? nullSink.begin() : sink.begin(session))
            context.arguments = fanOut.pointee.whole.arguments
            shard.combine(fanOut.pointee.command, replies.views, &context)
            if !silent {
                streams.commit(state.pointee.stream, context.reply.finish())
                checkBacklog(session)
            }
            replies.free()
        }
        FanOut.free(fanOut, shard: shard)
        settle(session)
    }

    /// One command less under way; a session that waited for the last goes on.
    @inline(__always)
    func settle(_ session: Session) {
        let state = session.state
        state.pointee.outstanding &-= 1
        guard state.pointee.outstanding == 0 else { return }
        // All that it had received was read, unless it waits; it has an end to come to, or it is gone.
        if state.pointee.parked != nil || !state.pointee.flags.isDisjoint(with: [.finishing, .left, .waiting]) {
            goOn(session)
        }
    }

    @inline(never)
    private func goOn(_ session: Session) {
        if session.state.pointee.flags.contains(.left) {
            endDelivery()
            removeIfFree(session)
        } else {
            enqueue(session)
        }
    }
}
