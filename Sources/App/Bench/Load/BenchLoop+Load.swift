import Glibc
import Net
import Runtime

/// Sending requests, and the course of a test.
extension BenchLoop {
    /// Clients that get their first requests in one turn: a stack's queue of frames has an end.
    private static var startsPerTurn: Int { 256 }
    /// Requests of the open loop in one turn.
    private static var sendsPerTurn: Int { 256 }

    /// Begins a test; all clients are connected. The loop owns the workload from now on.
    func begin(_ workload: BenchWorkload) {
        precondition(isOpen && failure == nil)
        self.workload?.deallocate()
        self.workload = workload
        mix = workload.parts.map {
            BenchMix($0.names, second: $0.second, clients: settings.clients, ring: ring)
        }
        recorder.reset()
        shape = ReplyShape()
        idle.removeAll()
        inFlight = 0
        for number in 0..<wanted { clients[number].isQueued = false }
        state = BenchState()
        state.isLoaded = true
        state.isSending = true
        state.starting = 0
        state.target = Int.max
        now = clock.monotonic
        state.lastReply = now
        let warmEnd = now + Nanoseconds(settings.warmup * 1e9)
        if let rate = settings.rate {
            schedule = ArrivalSchedule(
                rate: rate, arrivals: settings.arrivals, start: now, seed: settings.seed &+ 0x5EED)
        }
        state.boundary = warmEnd
        if settings.warmup == 0 { passBoundary() }
    }

    /// The warm-up is over, or the time of the test.
    func passBoundary() {
        guard state.isLoaded else {
            state.boundary = .max
            return
        }
        if state.countsFrom == .max {
            // In a closed loop requests count from this turn on, which may have come late.
            state.countsFrom = schedule == nil ? now : state.boundary
            state.start = state.countsFrom
            state.usageAtStart = ProcessUsage.seconds
            state.countersAtStart = transport.counters
            state.target = settings.duration == nil ? settings.requests : .max
            state.boundary = .max
            if let duration = settings.duration {
                state.sendUntil = state.start + Nanoseconds(duration * 1e9)
                state.boundary = state.sendUntil
            }
        } else {
            state.boundary = .max
            // In an open loop what is due by now is still sent, however late.
            if schedule.map({ $0.next >= state.sendUntil }) ?? true { state.isSending = false }
        }
    }

    /// Every counted request was answered or lost.
    var isFinished: Bool {
        state.isLoaded && !state.isSending && recorder.count + state.lost >= state.issued
    }

    /// The next clients get their first requests of this test.
    func startClients() -> Bool {
        var left = Self.startsPerTurn
        while left > 0, state.starting < wanted {
            let client = clients + state.starting
            state.starting += 1
            if client.pointee.phase == .ready { startClient(client) }
            left -= 1
        }
        if state.starting >= wanted { state.starting = .max }
        return true
    }

    func startClient(_ client: Client) {
        if schedule != nil || flightLimit > 0 {
            if !client.pointee.isQueued { queue(client) }
        } else if state.isSending {
            sendBatch(client, client.pointee.connection!)
        }
    }

    /// Closed loop: as many requests as a pipeline has, at once.
    @inline(__always) func sendBatch(_ client: Client, _ connection: T.Connection) {
        let counts = state.countsFrom <= now
        let count = counts ? min(settings.pipeline, state.target &- state.issued) : settings.pipeline
        guard count > 0 else { return }
        var writer = RequestWriter(reference, connection)
        let place = stamps + (client - clients) &* ring
        var sent = Int(client.pointee.sent)
        for _ in 0..<count {
            let kind = workload!.write(to: &writer)
            place[sent & (ring &- 1)] = now
            if remembers { remember(kind, client, sent) }
            sent &+= 1
        }
        writer.finish()
        client.pointee.sent = UInt32(truncatingIfNeeded: sent)
        if flightLimit > 0 { inFlight &+= count }
        guard counts else { return }
        state.issued &+= count
        if state.issued == state.target { state.isSending = false }
    }

    /// Requests of clients that wait for them.
    func sendQueued() -> Bool {
        if schedule != nil { return sendDue() }
        var left = Self.sendsPerTurn
        while left > 0, state.isSending, inFlight &+ settings.pipeline <= flightLimit, let number = idle.pop() {
            let client = clients + Int(number)
            client.pointee.isQueued = false
            sendBatch(client, client.pointee.connection!)
            left -= 1
        }
        return left < Self.sendsPerTurn
    }

    /// Open loop: the requests whose time has come, as far as clients have room. What finds none waits, and its waiting is
    /// part of its latency.
    private func sendDue() -> Bool {
        var left = Self.sendsPerTurn
        while left > 0, state.isSending, schedule!.next <= now {
            let intended = schedule!.next
            guard intended < state.sendUntil else {
                state.isSending = false
                break
            }
            guard let number = idle.pop() else { break }
            let client = clients + Int(number)
            sendOne(client, client.pointee.connection!, intended)
            if client.pointee.underWay < settings.pipeline {
                idle.push(number)
            } else {
                client.pointee.isQueued = false
            }
            schedule!.advance()
            left -= 1
            guard intended >= state.countsFrom else { continue }
            state.issued &+= 1
            if state.issued == state.target { state.isSending = false }
        }
        return left < Self.sendsPerTurn
    }

    /// What was asked matters when the reply comes.
    @inline(__always) private var remembers: Bool { verifier != nil || mix != nil }

    @inline(never) private func remember(_ kind: RequestKind, _ client: Client, _ position: Int) {
        mix?.sent(kind, client: client - clients, position: position)
        verifier?.sent(kind, client: client - clients, position: position, key: workload!.source.lastKey)
    }

    private func sendOne(_ client: Client, _ connection: T.Connection, _ intended: Nanoseconds) {
        var writer = RequestWriter(reference, connection)
        let kind = workload!.write(to: &writer)
        writer.finish()
        if remembers { remember(kind, client, Int(client.pointee.sent)) }
        stamps[(client - clients) &* ring &+ Int(client.pointee.sent) & (ring &- 1)] = intended
        client.pointee.sent &+= 1
    }
}

/// What this process has used.
enum ProcessUsage {
    /// Processor time in user space and in the kernel.
    static var seconds: Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }
}
