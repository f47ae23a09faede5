import Net
import Runtime

@testable import App

/// A server and clients on one wire in virtual time, for tests that read like sessions: clients say lines, and what
/// they hear comes back as text.
final class Scenario {
    let server: SimulatedServer
    private(set) var clients: [SimulatedClient] = []
    private var entropy: Entropy

    init(
        shards: Int = 2, queues: Int = 0, seed: UInt64 = 1, faults: MemoryWire.Faults = .init(), frames: Int = 4096,
        config: Config = Config(), ticksEachReading: UInt64 = 0
    ) {
        entropy = Entropy(seed: seed)
        server = SimulatedServer(
            shards: shards, queues: queues, seed: entropy.next(), faults: faults, frames: frames, config: config,
            clock: ManualClock(ticksEachReading: ticksEachReading))
    }

    deinit { for client in clients { client.deallocate() } }

    var now: Nanoseconds { server.clock.monotonic }

    /// A client that is connected, or refused, when this returns.
    func connect(frames: Int = 1024) -> SimulatedClient {
        let client = begin(frames: frames)
        run()
        return client
    }

    /// A client that begins to connect.
    func begin(frames: Int = 1024) -> SimulatedClient {
        let client = SimulatedClient(
            number: clients.count, wire: server.wire, entropy: Entropy(seed: entropy.next()), frames: frames, now: now)
        clients.append(client)
        client.keepsReplies = true
        client.connect(now: now)
        return client
    }

    /// A client whose session is on `shard`: others are tried and leave again.
    func connect(on shard: Int) -> SimulatedClient {
        while true {
            let before = server.shards[shard].state.sessions.count
            let client = connect()
            if server.shards[shard].state.sessions.count > before { return client }
            client.abort()
            run()
        }
    }

    /// A key that `shard` owns.
    func key(of shard: Int, _ prefix: String = "key") -> String {
        let slots = server.shards[0].state.slots
        for number in 0... {
            let name = prefix + "\(number)"
            let owner = Array(name.utf8).withUnsafeBytes { slots.owner(of: ByteView($0.baseAddress!, $0.count)) }
            if owner == shard { return name }
        }
        fatalError()
    }

    /// One turn of everybody. Whether anybody had something to do.
    @discardableResult
    func turn() -> Bool {
        server.wire.advance(now: now)
        var work = server.turn()
        for client in clients { work = client.turn(now: now) || work }
        return work
    }

    /// Lets everybody work for a while.
    func run(_ span: Nanoseconds = .milliseconds(20)) {
        let end = now + span
        while now < end {
            if !turn() { server.clock.advance(to: min(end, max(nextDeadline, now + 1000))) }
            if now < end { server.clock.advance(by: 1000) }
        }
    }

    private var nextDeadline: Nanoseconds {
        var deadline = server.nextDeadline
        if let next = server.wire.nextDeadline { deadline = min(deadline, next) }
        for client in clients where !client.isSilent {
            if let next = client.stack.nextDeadline { deadline = min(deadline, next) }
        }
        return deadline
    }

    /// Lines of requests, each an inline command, in one piece; and what is heard in answer.
    @discardableResult
    func ask(_ client: SimulatedClient, _ lines: String, for span: Nanoseconds = .milliseconds(20)) -> String {
        say(client, lines)
        run(span)
        return heard(client)
    }

    func say(_ client: SimulatedClient, _ lines: String) {
        client.send(Array((lines + "\n").replacing("\n", with: "\r\n").utf8))
    }

    func heard(_ client: SimulatedClient) -> String { String(decoding: client.takeReplies(), as: UTF8.self) }

    /// Of INFO: the sum over shards of a counter, or nil if there is none of this name.
    func info(_ client: SimulatedClient, _ name: String) -> Int? {
        // A long reply may need an acknowledgement that is delayed.
        ask(client, "INFO", for: .milliseconds(200)).split(separator: "\r\n").first { $0.hasPrefix(name + ":") }
            .flatMap { Int($0.dropFirst(name.count + 1)) }
    }

    /// What is left behind although every client is gone; nil when all is clean.
    func leak() -> String? {
        if server.liveSessions != 0 { return "\(server.liveSessions) sessions" }
        if server.liveConnections != 0 { return "\(server.liveConnections) connections" }
        if server.requestsUnderWay != 0 { return "\(server.requestsUnderWay) requests" }
        if server.freeFrames != server.allFrames { return "\(server.allFrames - server.freeFrames) frames" }
        if server.partialRequests != 0 { return "\(server.partialRequests) partial requests" }
        let clients = server.shards[0].state.mesh.clients
        return clients == 0 ? nil : "\(clients) clients counted"
    }
}
