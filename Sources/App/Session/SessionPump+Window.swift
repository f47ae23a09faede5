import Net
import Runtime
import Store

/// What is done at once of a pipeline of known commands where there are several shards.
struct Window: BitwiseCopyable {
    enum Step: UInt8 {
        /// `count` commands on keys of this shard.
        case own
        /// `count` commands for the shard `owner`, in one request.
        case send
        /// One command for `owner` whose arguments are too large for that.
        case sendLong
        /// `count` reads, some of `owner`'s keys and some of this shard's, in an order that would make one wait for the other.
        case volley
        /// The session waits for its commands under way, or for credit.
        case wait
    }

    var step: Step
    var count: Int
    var owner: Int
    /// Behind the last of them.
    var end: UnsafeRawPointer
    /// Of a volley: bit k says that its command k is `owner`'s.
    var foreign: UInt32 = 0

    /// Commands that are looked at together; a volley's fit the bits of `RemoteRequest.foreign`.
    static let most = 16
}

extension SessionPump {
    /// Reads known commands from `first` on, whose words are the first in the scratch memory, and says what is next. They are
    /// in `ahead.commands` then, and their words `CommandsAhead.views` apart.
    @inline(never)
    func readWindow(_ first: KnownCommand, _ limit: UnsafeRawPointer, _ session: Session) -> Window {
        let (commands, slots, own) = (ahead.commands, shard.slots, shard.id)
        var (command, words) = (first, scratch.arguments)
        let firstOwner = slots.owner(of: words[1])
        var owner = firstOwner
        // The first other shard; bit k: command k is its, or any other's; is not the first one's owner's; cannot be part of a
        // volley.
        var other = own
        var (foreign, different, unfit): (UInt32, UInt32, UInt32) = (0, 0, 0)
        var (bit, count): (UInt32, Int) = (1, 0)
        while true {
            commands[count] = command
            count &+= 1
            if owner != firstOwner { different |= bit }
            if owner != own {
                foreign |= bit
                if other == own { other = owner } else if owner != other { unfit |= bit }
            }
            if !command.entry.pointee.flags.contains(.timeless) { unfit |= bit }
            guard different == 0 || unfit == 0, count < Window.most, command.end != limit else { break }
            words += CommandsAhead.views
            guard let next = KnownCommand(command.end, limit, heads, words) else { break }
            (command, bit) = (next, bit &<< 1)
            owner = slots.owner(of: words[1])
        }
        let end = 1 &<< UInt32(truncatingIfNeeded: count)
        let same = (different | end).trailingZeroBitCount
        if different != 0, let volley = volley((unfit | end).trailingZeroBitCount, foreign, other, session) {
            return volley
        }
        return firstOwner == own ? ownStep(same, session) : otherStep(same, firstOwner, session)
    }

    @inline(__always)
    private func ownStep(_ count: Int, _ session: Session) -> Window {
        let step: Window.Step = session.state.pointee.outstanding > 0 ? .wait : .own
        return Window(step: step, count: count, owner: shard.id, end: ahead.commands[count &- 1].end)
    }

    /// The first `count` commands are `owner`'s.
    @inline(__always)
    private func otherStep(_ count: Int, _ owner: Int, _ session: Session) -> Window {
        let state = session.state
        var window = Window(step: .wait, count: 1, owner: owner, end: ahead.commands[0].end)
        if state.pointee.outstanding > 0, state.pointee.outstandingShard != UInt16(truncatingIfNeeded: owner) {
            return window
        }
        guard shard.outbound.hasCredit(for: owner) else {
            enqueue(session)
            return window
        }
        let fitting = countFitting(count)
        guard fitting > 0 else {
            window.step = .sendLong
            return window
        }
        return Window(step: .send, count: fitting, owner: owner, end: ahead.commands[fitting &- 1].end)
    }

    /// The first `count` commands as a volley; nil if one cannot or need not be.
    @inline(__always)
    private func volley(_ count: Int, _ foreign: UInt32, _ other: Int, _ session: Session) -> Window? {
        let state = session.state
        guard state.pointee.outstanding == 0, !state.pointee.flags.contains(.inOrder),
            shard.outbound.hasCredit(for: other)
        else { return nil }
        let count = countFitting(count)
        // An own command behind another's would wait for it.
        let all: UInt32 = 1 &<< UInt32(truncatingIfNeeded: count) &- 1
        guard ~foreign & all > foreign & (0 &- foreign) else { return nil }
        return Window(
            step: .volley, count: count, owner: other, end: ahead.commands[count &- 1].end, foreign: foreign & all)
    }

    /// How many of the first `count` commands go into one request.
    @inline(__always)
    private func countFitting(_ count: Int) -> Int {
        var (bytes, words) = (0, scratch.arguments)
        for index in 0..<count {
            bytes &+= CommandRecord.size(ahead.commands[index], words)
            if bytes > CommandRecord.room { return index }
            words += CommandsAhead.views
        }
        return count
    }

    /// Runs commands on keys of this shard that `readWindow` has read. The context is made.
    @inline(__always)
    func runOwn<P: Probe>(
        _ window: Window, _ context: inout CommandContext, _ session: Session, _ probe: P
    ) {
        let (commands, arguments) = (ahead.commands, scratch.arguments)
        if context.database.outgrowsCaches, window.count > 1 {
            context.database.prefetch(
                arguments + 1, stride: CommandsAhead.views, count: window.count, hashes: ahead.hashes)
        }
        for index in 0..<window.count {
            let command = commands[index]
            context.arguments = Arguments(base: arguments + index &* CommandsAhead.views, count: command.count)
            shard.statistics.commandsProcessed &+= 1
            shard.execute(command.entry, &context)
        }
        session.state.pointee.lastCommand = commands[window.count &- 1].entry.pointee.number
        probe.mark(.execute)
    }

    /// Sends the commands that `readWindow` has read to their owner.
    @inline(__always)
    func send<P: Probe>(_ window: Window, _ session: Session, _ probe: P) {
        let request = shard.requests.makeRun(
            .run, first: ahead.commands[0].entry, origin: shard.id, session: session)
        var place = request.records
        for index in 0..<window.count {
            place = CommandRecord.write(
                ahead.commands[index], scratch.arguments + index &* CommandsAhead.views, to: place)
        }
        request.pointee.argumentCount = UInt32(truncatingIfNeeded: window.count)
        send(request, upTo: place, to: window.owner, last: ahead.commands[window.count &- 1], session)
        probe.mark(.crossShard)
    }

    /// Sends a run or volley that is whole but for its reply's place: behind its records, which end at `end`.
    @inline(__always)
    func send(
        _ request: UnsafeMutablePointer<RemoteRequest>, upTo end: UnsafeMutableRawPointer, to owner: Int,
        last command: KnownCommand, _ session: Session
    ) {
        let replyOffset = RemoteRequestPool.replyOffset(behind: end - request.records)
        request.pointee.replyOffset = replyOffset
        let state = session.state
        state.pointee.outstanding &+= 1
        state.pointee.outstandingShard = UInt16(truncatingIfNeeded: owner)
        state.pointee.lastCommand = command.entry.pointee.number
        shard.outbound.send(request, replyOffset: replyOffset, to: owner)
    }

    /// Does what is next from the known command `first` on, at the place of `feed`. False when the session waits:
    /// what it has received is read again then.
    @inline(never)
    func runWindow<Port: StreamPort, P: Probe>(
        _ first: KnownCommand, _ feed: inout RequestFeed, _ reply: inout PendingReply<Port>, _ session: Session,
        _ probe: P
    ) -> Bool {
        let window = readWindow(first, feed.limit, session)
        probe.mark(.parse)
        switch window.step {
        case .own:
            reply.begin(session)
            runOwn(window, &reply.context, session, probe)
        case .send:
            send(window, session, probe)
        case .sendLong:
            reply.context.arguments = Arguments(base: scratch.arguments, count: first.count)
            session.state.pointee.lastCommand = first.entry.pointee.number
            _ = send(first.entry, to: window.owner, &reply.context, session)
            probe.mark(.crossShard)
        case .volley:
            sendVolley(window, text: window.end - feed.place, session)
            probe.mark(.crossShard)
            return false
        case .wait:
            session.state.pointee.flags.insert(.waiting)
            return false
        }
        session.state.pointee.flags.remove(.inOrder)
        feed.advance(to: window.end)
        return true
    }
}
