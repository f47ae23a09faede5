import Net
import Runtime

/// One simulated run: a server, some clients, a bad network, and the check that every reply is right.
public struct Simulation {
    public struct Options: Sendable {
        public var shards = 2
        /// Shards with a queue of the device; 0: all.
        public var queues = 0
        public var clients = 4
        public var commandsPerClient = 200
        /// Requests that a client has under way at most.
        public var pipeline = 16
        public var faults = MemoryWire.Faults()
        public init() {}
    }

    /// What a run found. `failure` nil: everything was as it should be.
    public struct Result {
        public var failure: String?
        public var commands: UInt64
        /// Virtual time that passed.
        public var time: Nanoseconds
        /// Frames that shards gave to each other.
        public var handedFrames: UInt64
    }

    /// A run may take this much virtual time; longer means that something is stuck.
    private static let limit = Nanoseconds.seconds(1800)
    /// Between looks at everything that must hold of the stacks, which take a while.
    private static let turnsPerCheck = 997

    private let server: SimulatedServer
    private let clients: [SimulatedClient]
    private var workloads: [Workload]
    /// Commands that each client has yet to send.
    private var left: [Int]
    private let options: Options
    private let start: Nanoseconds

    private init(seed: UInt64, _ options: Options) {
        var entropy = Entropy(seed: seed)
        self.options = options
        server = SimulatedServer(
            shards: options.shards, queues: options.queues, seed: entropy.next(), faults: options.faults)
        start = server.clock.monotonic
        var clients: [SimulatedClient] = []
        var workloads: [Workload] = []
        for number in 0..<options.clients {
            let stackEntropy = Entropy(seed: entropy.next())
            clients.append(SimulatedClient(number: number, wire: server.wire, entropy: stackEntropy, now: start))
            workloads.append(Workload(client: number, entropy: Entropy(seed: entropy.next())))
        }
        self.clients = clients
        self.workloads = workloads
        left = Array(repeating: options.commandsPerClient, count: options.clients)
    }

    /// The whole run for one seed.
    public static func run(seed: UInt64, _ options: Options = Options()) -> Result {
        var simulation = Simulation(seed: seed, options)
        let failure = simulation.run()
        let result = Result(
            failure: failure, commands: simulation.server.commandsProcessed,
            time: simulation.server.clock.monotonic - simulation.start,
            handedFrames: simulation.server.handedFrames)
        for client in simulation.clients { client.deallocate() }
        return result
    }

    private mutating func run() -> String? {
        for client in clients { client.connect(now: server.clock.monotonic) }
        if let failure = advance(until: { $0.allAnswered }) { return failure }
        for client in clients { client.close() }
        // The server must let everything go: sessions at once, control blocks and frames after TIME-WAIT.
        return advance(until: { $0.isClean }) ?? leak()
    }

    private var allAnswered: Bool { left.allSatisfy { $0 == 0 } && clients.allSatisfy { $0.isSettled } }

    private var isClean: Bool {
        server.liveConnections == 0 && server.liveSessions == 0 && clients.allSatisfy { $0.stack.liveConnections == 0 }
            && server.wire.nextDeadline == nil
    }

    private func leak() -> String? {
        // The last frames may still be on the wire, and what they cause.
        for _ in 0..<20 {
            server.clock.advance(by: .milliseconds(10))
            server.wire.advance(now: server.clock.monotonic)
            _ = server.turn()
            for client in clients { _ = client.turn(now: server.clock.monotonic) }
        }
        guard server.freeFrames == server.allFrames else {
            return "the server lost \(server.allFrames - server.freeFrames) frames"
        }
        guard server.requestsUnderWay == 0 else { return "\(server.requestsUnderWay) requests never came back" }
        for client in clients where client.pool.freeCount != client.pool.count {
            return "a client lost \(client.pool.count - client.pool.freeCount) frames"
        }
        return nil
    }

    /// Turns and time until `done`; a sentence when something is wrong or stuck.
    private mutating func advance(until done: (Simulation) -> Bool) -> String? {
        var turns = 0
        while !done(self) {
            turns += 1
            if turns % Self.turnsPerCheck == 0, let wrong = server.findViolation() { return wrong }
            server.wire.advance(now: server.clock.monotonic)
            var work = server.turn()
            for index in clients.indices {
                feed(index)
                work = clients[index].turn(now: server.clock.monotonic) || work
                if let failure = clients[index].failure { return "client \(index): \(failure)" }
                if clients[index].isClosed && !clients[index].isSettled { return "client \(index) was disconnected" }
            }
            if work { continue }
            server.clock.advance(to: max(nextDeadline, server.clock.monotonic + 1))
            if server.clock.monotonic - start > Self.limit { return "stuck: \(state)" }
        }
        return nil
    }

    private mutating func feed(_ index: Int) {
        guard left[index] > 0, clients[index].isSettled else { return }
        for _ in 0..<min(options.pipeline, left[index]) {
            let (request, reply) = workloads[index].next()
            clients[index].send(request, expecting: reply)
            left[index] -= 1
        }
    }

    private var nextDeadline: Nanoseconds {
        var deadline = server.nextDeadline
        if let next = server.wire.nextDeadline { deadline = min(deadline, next) }
        for client in clients {
            if let next = client.stack.nextDeadline { deadline = min(deadline, next) }
        }
        return deadline
    }

    private var state: String {
        "\(left) commands left, \(server.liveConnections) connections, \(server.liveSessions) sessions, "
            + "\(server.requestsUnderWay) requests under way"
    }
}
