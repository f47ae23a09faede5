import CLinux
import Glibc
import Net
import Runtime

/// The poll loop of one shard. It is generic over what differs between the server, the tests and the simulator: the
/// link and the clock. One thread calls it; nothing in it is reachable from another.
///
/// The order of a turn, and why:
/// 1. clock, configuration: everything in a turn sees one time and one configuration;
/// 2. receive: a burst of frames, through the stack;
/// 3. sessions: commands on own keys run at once, the others go into outbound rings;
/// 4. inbound rings: requests run while their keys' cache lines are likely warm, replies resume paused sessions, all
///    before transmission so that their output leaves in this turn;
/// 5. timers: TCP and key expiry, within a budget;
/// 6. outbound rings are published, each peer woken at most once, and only if it sleeps; before the output, so that the
///    other shards work while this one is in the kernel;
/// 7. output: one build and one kick for everything this turn made, so that an acknowledgement rides on a reply and
///    a burst of replies costs one system call;
/// 8. reclaim: frames that the device has sent come back, and the device gets free ones; last, because nobody waits for it;
/// 9. RCU quiescence: no reference to a published configuration is held across turns.
final class Shard<L: Link, C: Clock> {
    let state: ShardState
    let clock: C
    /// nil where the device has fewer queues than there are shards: such a shard serves what the others hand it.
    let link: L?
    let pump: SessionPump
    /// Whether there is a link and a stack; whether there are kernel sockets.
    private let hasLink: Bool
    private let hasKernel: Bool
    let streams: Streams
    /// The stack of `streams`, which owns it: calls through this count no references.
    private let stack: Unmanaged<Stack>?
    private let burst: FrameQueue
    /// For giving frames to the stack one by one, while they are traced. Empty between calls.
    private let single = FrameQueue(capacity: 1)
    /// Frames in the stack's transmit queue that were traced already.
    private var tracedFrames = 0
    let inbound: Inbound
    /// A frame per turn more would only add latency to the first: the rest waits in the device's ring.
    private let burstLimit = 64
    /// Monotonic time of the next look at the kernel sockets while none is open.
    private var nextKernelPoll: Nanoseconds = 0
    private(set) var nextCron: Nanoseconds = 0
    private(set) var kicks = KickPolicy()
    /// Monotonic time at which the wall clock's millisecond changes.
    private(set) var nextMillisecond: Nanoseconds = 0
    /// More sessions are to be looked at for the directive `timeout` than one turn does.
    private var moreIdle = false
    /// When a turn last found something to do.
    private var lastWork: Nanoseconds = 0
    /// The last turn found something to do.
    private var isBusy = false

    init(state: ShardState, link: L?, clock: C) {
        self.state = state
        streams = state.streams
        stack = state.streams.stack.map { Unmanaged.passUnretained($0) }
        self.link = link
        self.clock = clock
        hasLink = link != nil
        hasKernel = state.streams.kernel != nil
        precondition(hasLink == (state.streams.stack != nil), "a stack needs a link, and a link a stack")
        burst = FrameQueue(capacity: 256)
        pump = SessionPump(shard: state, streams: state.streams)
        inbound = Inbound(shard: state, streams: state.streams, pump: pump, pool: link?.pool)
        state.cycles = CycleAccount(
            now: clock.monotonic, ticksPerReading: clock.ticksPerReading, seed: state.entropy.next())
        state.tickScale = TickScale(clock)
    }

    deinit {
        burst.deallocate()
        single.deallocate()
    }

    /// One turn of the loop, its time attributed. Returns whether there was anything to do.
    @discardableResult func turn() -> Bool {
        // While tracing is on this is 0 (`ShardState.startTrace`).
        guard state.cycles.untilSample > 0 else { return observedTurn() }
        let work = turn(Unobserved())
        if work {
            state.cycles.untilSample &-= 1
            if !isBusy { changeBusy(true) }
        } else if isBusy {
            changeBusy(false)
        }
        return work
    }

    @inline(never) private func observedTurn() -> Bool {
        let probe = Observed(clock: clock, shard: state)
        let work = turn(probe)
        probe.end(hadWork: work)
        if work != isBusy { changeBusy(work) }
        return work
    }

    @inline(never) private func changeBusy(_ work: Bool) {
        isBusy = work
        state.cycles.change(toBusy: work, now: state.monotonic)
    }

    @inline(__always) private func turn<P: Probe>(_ probe: P) -> Bool {
        readClock()
        state.refreshConfig()
        probe.mark(.loop)

        var work = receive(probe)
        work = pollKernel(probe) || work
        if state.shardCount > 1 {
            if inbound.drain(probe) {
                work = true
                // A reply to CONFIG SET may have come: what its client said behind it sees what was set.
                state.refreshConfig()
            }
            work = pump.resume(probe) || work
            probe.mark(.crossShard)
        }
        if state.choresAreDue { work = chores(probe) || work }
        probe.mark(.timers)
        if hasKernel {
            streams.kernel!.output(now: state.monotonic)
            probe.mark(.transmit)
            probe.noteShared(.departed, value: 0)
        }
        publish(probe)
        if let stack {
            work = transmit(stack, probe) || work
            link.unsafelyUnwrapped.reclaim()
            probe.mark(.transmit)
        }
        return work
    }

    @inline(__always) private func publish<P: Probe>(_ probe: P) {
        guard state.shardCount > 1 else { return }
        state.outbound.publish()
        probe.mark(.crossShard)
        probe.noteShared(.published, value: 0)
    }

    /// One reading a turn. The wall clock is read when its millisecond changes, and follows the other in between: a step
    /// of it is seen a millisecond late. Timers have ticks of a millisecond, so they are looked at then, too.
    @inline(__always) private func readClock() {
        let now = clock.monotonic
        state.monotonic = now
        if now >= nextMillisecond { beginMillisecond(now) }
    }

    private func beginMillisecond(_ now: Nanoseconds) {
        let unix = clock.unixMicroseconds
        state.unixOffset = unix &* 1000 &- now
        state.unixMilliseconds = unix / 1000
        nextMillisecond = now &+ (1000 &- unix % 1000) &* 1000
        state.choresAreDue = true
    }

    // `link!` and `streams.stack!` rather than a local name for them: a local costs a retain and a release each. Where that
    // is not enough, `_withUnsafeGuaranteedRef` says that the object stays. Where there is a stack there is a link
    // (`init`): the three calls of every turn do not ask again.

    @inline(__always) private func receive<P: Probe>(_ probe: P) -> Bool {
        guard let stack else { return false }
        let count = link.unsafelyUnwrapped.receive(into: burst, limit: burstLimit)
        probe.mark(.receive)
        probe.noteShared(.arrived, value: count)
        if count > 0 {
            if probe.traces {
                // Each step is to be told: nothing is served on the spot.
                traceInput(stack, probe)
                pump.beginTurn()
            } else {
                pump.input(burst, probe)
            }
            if state.shardCount > 1, !streams.stack!.strays.isEmpty {
                inbound.handOver(streams.stack!.strays, pool: link!.pool)
            }
            probe.mark(.tcp)
            if stack._withUnsafeGuaranteedRef({ $0.hasReady }) { pump.serveReady(probe) }
            return true
        }
        guard stack._withUnsafeGuaranteedRef({ $0.hasReady }) else { return false }
        pump.serveStack(probe)
        return true
    }

    @inline(__always) private func pollKernel<P: Probe>(_ probe: P) -> Bool { hasKernel && pollSockets(probe) }

    private func pollSockets<P: Probe>(_ probe: P) -> Bool {
        // An epoll_wait each turn would cost the packets' path more than the packets: without kernel clients once a
        // millisecond is enough, and a sleeping shard is woken by the descriptor itself.
        guard streams.kernel!.liveConnections > 0 || state.monotonic >= nextKernelPoll else { return false }
        nextKernelPoll = state.monotonic + .milliseconds(1)
        let sockets = streams.kernel!.poll(now: state.monotonic)
        probe.mark(.receive)
        probe.noteShared(.polled, value: sockets)
        return pump.serveKernel(probe)
    }

    /// Timers, keys that expire, idle clients, sessions that were condemned. Whether there is more than one turn's budget.
    private func chores<P: Probe>(_ probe: P) -> Bool {
        if state.trace.isOn, state.monotonic > state.trace.until { state.trace.turnOff() }
        var more = false
        if let stack {
            more = stack._withUnsafeGuaranteedRef { $0.advanceTimers(now: state.monotonic) }
            probe.mark(.timers)
            if stack._withUnsafeGuaranteedRef({ $0.hasReady }) { pump.serveStack(probe) }
        }
        if state.monotonic >= nextCron {
            cron()
            moreIdle = pump.sweepIdle()
        } else if moreIdle {
            moreIdle = pump.sweepIdle()
        }
        state.choresAreDue = state.tendKeys() || more || moreIdle
        pump.closePending()
        return state.choresAreDue
    }

    private func cron() {
        nextCron = state.monotonic + .milliseconds(100)
        streams.linkStatistics = link?.statistics
        state.tickScale.read(clock)
        var (voluntary, involuntary): (UInt64, UInt64) = (0, 0)
        apus_context_switches(&voluntary, &involuntary)
        state.loop.voluntarySwitches = voluntary
        state.loop.involuntarySwitches = involuntary
        state.loop.questions &+= 1
        pump.cron()
    }

    @inline(__always) private func transmit<P: Probe>(_ stack: Unmanaged<Stack>, _ probe: P) -> Bool {
        stack._withUnsafeGuaranteedRef { if $0.hasOutput { $0.output(now: state.monotonic) } }
        probe.mark(.tcp)
        if probe.traces { traceSegments(probe) }
        let queue = stack._withUnsafeGuaranteedRef { $0.transmitQueue }
        guard !queue.isEmpty, kicks.shouldKick(waiting: queue.count, now: state.monotonic) else {
            if probe.traces, !queue.isEmpty { traceDeparture(0, probe) }
            return false
        }
        let count = link.unsafelyUnwrapped.transmit(from: queue)
        if probe.traces { traceDeparture(count, probe) }
        return count > 0
    }

    /// Sends what is held.
    private func flush() {
        kicks.release()
        let count = link!.transmit(from: streams.stack!.transmitQueue)
        if state.trace.isOn { state.trace.noteShared(.departed, value: UInt64(count), ticks: clock.ticks) }
    }

    // MARK: tracing

    /// `Stack.input` frame by frame.
    @inline(never) private func traceInput<P: Probe>(_ stack: Unmanaged<Stack>, _ probe: P) {
        let pool = link!.pool
        while let frame = burst.pop() {
            _ = single.push(frame)
            probe.noteInput(frame, of: pool) {
                stack._withUnsafeGuaranteedRef { $0.input(single, now: state.monotonic) }
            }
        }
    }

    /// The frames that were put into the transmit queue since the last look.
    @inline(never) private func traceSegments<P: Probe>(_ probe: P) {
        let queue = streams.stack!.transmitQueue
        for index in min(tracedFrames, queue.count)..<queue.count {
            probe.note(.segment, queue.peek(index), of: link!.pool, isOurs: true)
        }
        tracedFrames = queue.count
    }

    /// The device was started for `count` frames; 0: they are held, or it is full.
    @inline(never) private func traceDeparture<P: Probe>(_ count: Int, _ probe: P) {
        tracedFrames = streams.stack!.transmitQueue.count
        probe.noteShared(count > 0 ? .departed : .held, value: count)
    }

    /// What of a turn messages of other shards need, when nothing else has come: a request is answered, and a reply leaves,
    /// some 100 ns earlier than after a whole turn. Everything else waits for the next turn, which is near (`watch`).
    @inline(never)
    func exchange() {
        guard state.cycles.untilSample > 0 else {
            let probe = Observed(clock: clock, shard: state)
            return probe.end(hadWork: exchange(probe))
        }
        guard exchange(Unobserved()) else { return }
        state.cycles.untilSample &-= 1
        if !isBusy { changeBusy(true) }
    }

    @inline(__always) private func exchange<P: Probe>(_ probe: P) -> Bool {
        readClock()
        state.refreshConfig()
        probe.mark(.loop)
        guard inbound.drain(probe) else { return false }
        state.refreshConfig()
        _ = pump.resume(probe)
        probe.mark(.crossShard)
        publish(probe)
        if let stack { _ = transmit(stack, probe) }
        probe.mark(.transmit)
        lastWork = state.monotonic
        return true
    }

    // MARK: running on a thread

    /// Turns until the server stops. The calling thread must be registered with RCU.
    func run() {
        lastWork = clock.monotonic
        while !state.mesh.isStopping {
            if turn() {
                lastWork = state.monotonic
            } else if state.monotonic - lastWork > state.limits.idleSpin, !holdsAcks {
                sleep()
            } else {
                watch()
            }
            RCUThread.quiescent()
        }
        pump.closeAll()
        streams.kernel?.output(now: state.monotonic)
        if let stack { _ = transmit(stack, Unobserved()) }
        if kicks.isHolding { flush() }
    }

    /// What the stack waits for comes, or not, within microseconds.
    private var holdsAcks: Bool { hasLink && streams.stack!.heldUntil > state.monotonic }

    /// Between two turns without work: looks at the rings alone, so that a frame is answered some 100 ns earlier than
    /// after a whole turn in vain. Where every core has a shard, somebody may need this one more (a client on this
    /// machine): it is given away now and then, not between all looks, since that is a system call.
    ///
    /// Never inlined: in a profile, waiting must be told apart from working.
    @inline(never)
    private func watch() {
        // Kernel sockets can only be asked by a system call, which is the turn's.
        if hasLink && !(hasKernel && streams.kernel!.liveConnections > 0) {
            for _ in 0..<32 {
                if link!.hasReceived { return }
                if inbound.hasMessages { exchange() } else { apus_cpu_relax() }
            }
        }
        if state.sharesCore {
            state.loop.yields &+= 1
            sched_yield()
        }
    }

    /// Sleeps until a frame, a kernel socket, another shard or a timer wants this shard.
    private func sleep() {
        let waker = state.mesh.waker(of: state.id)
        waker.announceSleep()
        if waker.isAsymmetric { state.loop.barriers &+= 1 }
        defer { if waker.awake() { state.loop.wakesReceived &+= 1 } }
        if kicks.isHolding { flush() }
        // After the announcement: a message published before it would otherwise be slept over.
        guard !inbound.hasMessages, !state.mesh.isStopping, streams.kernel?.hasEvents != true else { return }
        var descriptors = (
            pollfd(fd: waker.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: link?.descriptor ?? -1, events: Int16(POLLIN), revents: 0),
            pollfd(fd: streams.kernel?.descriptor ?? -1, events: Int16(POLLIN), revents: 0)
        )
        // Timers have ticks of a millisecond; rounding down would spin through the last of it.
        let asleepFrom = clock.monotonic
        let span = max(0, nextDeadline() - asleepFrom)
        let timeout = Int32((span + 999_999) / 1_000_000)
        RCUThread.offline()
        _ = withUnsafeMutableBytes(of: &descriptors) { bytes in
            poll(bytes.baseAddress!.assumingMemoryBound(to: pollfd.self), 3, timeout)
        }
        RCUThread.online()
        state.loop.polls &+= 1
        state.cycles.slept(for: clock.monotonic - asleepFrom)
        nextKernelPoll = 0
    }
}
