import Glibc
import Net
import Runtime

/// The load generator's poll loop: connections, requests, replies, latencies. Generic over the transport and the clock, so
/// that tests run it in virtual time over a wire in memory. One thread calls it.
///
/// The clock is read once a turn. A request is stamped with the time of the turn that sends it (open loop: with its
/// intended time), and its reply counts as received at the time of the turn that finds it. What the generator itself takes
/// for a turn is therefore part of the latency, never missing from it.
///
/// Use: `open` and turns until `isOpen`; for each test `begin` and turns until `isFinished`. After a `failure` nothing more.
final class BenchLoop<T: BenchTransport, C: Clock> {
    typealias Client = UnsafeMutablePointer<BenchClient<T.Connection>>

    let transport: T
    let reference: Unmanaged<T>
    let clock: C
    let settings: BenchSettings
    /// The time of this turn.
    var now: Nanoseconds = 0
    /// What ended everything.
    var failure: BenchError?

    // Connections
    let clients: Client
    let greeting: BenchGreeting
    /// Clients below this number shall have a connection.
    var wanted = 0
    var readyCount = 0
    var connectingCount = 0
    /// Clients below this number were looked at by `tendConnections` since one was lost.
    var nextToOpen = 0
    /// When a connection was last opened, or one could not be.
    var lastOpened: Nanoseconds = 0
    /// What the client that was asked has said (see `ask`), and how many replies are still due from it.
    var collected: [UInt8] = []
    var collecting = 0
    /// Connections lost in a row without a single reply.
    var fruitless = 0

    // Load
    var workload: BenchWorkload?
    var shape = ReplyShape()
    /// Instants from which the latencies of requests under way count: `ring` places for each client.
    let stamps: UnsafeMutablePointer<Nanoseconds>
    let ring: Int
    var state = BenchState()
    var recorder = BenchRecorder()
    /// Where every reply is checked.
    let verifier: Verifier?
    /// Of a test with two kinds of request.
    var mix: BenchMix?
    /// Of the open loop; nil in a closed one.
    var schedule: ArrivalSchedule?
    /// Clients with room that wait for a request, the one that has waited longest first; each at most once. Of the open
    /// loop, and of a closed one with a bound on what is in flight.
    var idle: IndexQueue
    /// That bound, and the requests in flight; without a bound 0 and not counted.
    let flightLimit: Int
    var inFlight = 0

    /// - Parameter run: a number that other runs do not have, for values that can be recognised.
    init(_ settings: BenchSettings, transport: T, clock: C, run: UInt32) {
        self.settings = settings
        self.transport = transport
        self.clock = clock
        reference = .passUnretained(transport)
        greeting = BenchGreeting(settings)
        clients = .allocate(capacity: settings.clients)
        clients.initialize(repeating: BenchClient(), count: settings.clients)
        var ring = 1
        while ring < settings.pipeline { ring *= 2 }
        self.ring = ring
        stamps = .allocate(capacity: settings.clients * ring)
        idle = IndexQueue(capacity: settings.clients)
        flightLimit = settings.inFlight ?? 0
        verifier = settings.verifies ? Verifier(settings, ring: ring, run: run) : nil
    }

    deinit {
        clients.deallocate()
        stamps.deallocate()
        idle.deallocate()
        workload?.deallocate()
    }

    /// One turn. Whether there was anything to do.
    @discardableResult func turn() -> Bool {
        now = clock.monotonic
        var work = reference._withUnsafeGuaranteedRef { $0.poll(now: now) }
        if now >= state.boundary { passBoundary() }
        while let ready = reference._withUnsafeGuaranteedRef({ $0.takeReady() }) {
            serve(ready)
            work = true
        }
        if readyCount < wanted || collecting > 0 { work = tendConnections() || work }
        if state.starting < wanted { work = startClients() || work }
        if !idle.isEmpty, state.isSending { work = sendQueued() || work }
        reference._withUnsafeGuaranteedRef { $0.finishTurn(now: now) }
        return work
    }

    /// When the next turn is due even if nothing arrives.
    var nextDeadline: Nanoseconds {
        var deadline = min(state.boundary, now + .milliseconds(100))
        if let next = transport.nextDeadline { deadline = min(deadline, next) }
        if state.isSending, let schedule, !idle.isEmpty { deadline = min(deadline, schedule.next) }
        return deadline
    }

    func fail(_ sentence: String) {
        if failure == nil { failure = BenchError(sentence) }
        state.isSending = false
    }

    @inline(__always) private func serve(_ ready: BenchReady<T.Connection>) {
        let client = clients + ready.client
        if ready.events == .readable, client.pointee.phase == .ready {
            receive(client, ready.connection)
        } else {
            serveOther(client, ready)
        }
    }

    /// A ready client has replies.
    @inline(__always) func receive(_ client: Client, _ connection: T.Connection) {
        var result = ScanResult()
        while true {
            let view = reference._withUnsafeGuaranteedRef { $0.received(connection) }
            if view.count == 0 { break }
            let errors = result.errors
            let count = client.pointee.scanner.scan(view, shape: &shape, into: &result)
            if result.errors != errors { noteError(client, &result) }
            if let verifier { verify(verifier, client, ByteView(view.base, count)) }
            reference._withUnsafeGuaranteedRef { $0.consume(connection, count) }
            if result.isBroken { return failUnreadable() }
        }
        if result.replies > 0 { complete(client, connection, result.replies, errors: result.errors) }
    }

    @inline(__always)
    private func complete(_ client: Client, _ connection: T.Connection, _ replies: Int, errors: Int) {
        guard replies <= client.pointee.underWay else { return failUnasked() }
        if let mix { record(mix, client, replies) }
        let place = stamps + (client - clients) &* ring
        var answered = Int(client.pointee.answered)
        for _ in 0..<replies {
            let stamp = place[answered & (ring &- 1)]
            if stamp >= state.countsFrom { recorder.record(now &- stamp) }
            answered &+= 1
        }
        client.pointee.answered = UInt32(truncatingIfNeeded: answered)
        state.errors &+= errors
        state.lastReply = now
        if schedule != nil {
            if !client.pointee.isQueued { queue(client) }
        } else {
            if flightLimit > 0 { inFlight &-= replies }
            if client.pointee.underWay == 0, state.isSending { goOn(client, connection) }
        }
    }

    /// What `complete` records for all, for each kind by itself.
    @inline(never) private func record(_ mix: BenchMix, _ client: Client, _ replies: Int) {
        let number = client - clients
        var answered = Int(client.pointee.answered)
        for _ in 0..<replies {
            let stamp = stamps[number &* ring &+ answered & (ring &- 1)]
            if stamp >= state.countsFrom { mix.answered(client: number, position: answered, latency: now &- stamp) }
            answered &+= 1
        }
    }

    /// Closed loop: a client's whole batch was answered.
    @inline(__always) private func goOn(_ client: Client, _ connection: T.Connection) {
        if !settings.keepsAlive { return renew(client, connection) }
        if flightLimit > 0 { queue(client) } else { sendBatch(client, connection) }
    }

    /// Runs ahead of `complete`, which sees the same replies.
    @inline(never) private func verify(_ verifier: Verifier, _ client: Client, _ view: ByteView) {
        let number = client - clients
        verifier.receive(view, client: number) { reply in
            let position = Int(client.pointee.verified)
            guard Int(client.pointee.verified &- client.pointee.answered) < client.pointee.underWay else { return }
            client.pointee.verified &+= 1
            guard let problem = verifier.check(reply, client: number, position: position) else { return }
            // An error reply is an error, and counted as such.
            if reply[0] == UInt8(ascii: "-") { return }
            state.wrong &+= 1
            mix?.answeredWrongly(client: number, position: position)
            if state.wrongText == nil { state.wrongText = problem }
        }
    }

    func failUnreadable() { fail("The server sent something that is no reply of Redis's protocol.") }

    private func failUnasked() {
        let text = state.errorText.map { ": \($0)" } ?? "."
        fail("The server sent a reply that nobody asked for\(text)")
    }

    /// The last reply of those that were found is an error.
    @inline(never) private func noteError(_ client: Client, _ result: inout ScanResult) {
        mix?.failed(client: client - clients, position: Int(client.pointee.answered) &+ result.replies &- 1)
        guard let text = result.errorText else { return }
        result.errorText = nil
        if settings.showsErrors { state.shown(text.string) }
        if state.errorText == nil { state.errorText = text.string }
    }

    func queue(_ client: Client) {
        client.pointee.isQueued = true
        idle.push(UInt32(truncatingIfNeeded: client - clients))
    }
}

/// Numbers below a bound, each at most once, first in, first out.
struct IndexQueue {
    private let slots: UnsafeMutablePointer<UInt32>
    private let capacity: Int
    private var head = 0
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = capacity
        slots = .allocate(capacity: capacity)
    }

    func deallocate() { slots.deallocate() }

    var isEmpty: Bool { count == 0 }

    @inline(__always) mutating func push(_ number: UInt32) {
        precondition(count < capacity, "a number was queued twice")
        var place = head &+ count
        if place >= capacity { place &-= capacity }
        slots[place] = number
        count &+= 1
    }

    @inline(__always) mutating func pop() -> UInt32? {
        guard count > 0 else { return nil }
        let number = slots[head]
        head = head &+ 1 == capacity ? 0 : head &+ 1
        count &-= 1
        return number
    }

    mutating func removeAll() { (head, count) = (0, 0) }
}
