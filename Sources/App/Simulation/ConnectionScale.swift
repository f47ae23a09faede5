import Glibc
import Net
import Runtime

/// Very many clients of one shard that connect and then say nothing: what opening them costs, what they hold, and what
/// they cost while nothing happens. Times are CPU time of this thread within the server's turns; the peers' side is
/// outside of them. Time of the simulation moves by 10 microseconds a turn.
public struct ConnectionScale {
    public struct Report: Sendable {
        public var connections = 0
        /// Server's CPU time for all opens.
        public var openingTime: Nanoseconds = 0
        public var longestOpeningTurn: Nanoseconds = 0
        /// At 1,000, 100,000 and all connections: one look-up of a random connection, in nanoseconds.
        public var lookups: [(connections: Int, nanoseconds: Double)] = []
        public var parts = ConnectionBytes()
        /// By the kernel's and by malloc's account, over all connections.
        public var residentBytes = 0
        public var heapBytes = 0
        /// A turn without frames, in nanoseconds on average, chores included; and the longest.
        public var idleTurn: Double = 0
        public var longestIdleTurn: Nanoseconds = 0
        /// The longest turn while the timers of all connections fire: that of the handshake, then keepalive.
        public var longestTimerTurn: Nanoseconds = 0
        /// Keepalive's probes; and timers in the wheel while all are idle, those of neighbours included.
        public var timersFired = 0
        public var timersScheduled = 0
        public var closingTime: Nanoseconds = 0
        public var longestClosingTurn: Nanoseconds = 0
        /// What is left when all have been reset.
        public var leftConnections = 0
        public var leftSessions = 0
        public var leftFrames = 0
        public var opensPerSecond: Double { Double(connections) * 1e9 / Double(max(1, openingTime)) }
    }

    private let server: SimulatedServer
    private let peer: RawPeer
    private let count: Int
    private var report = Report()
    /// Whether the last turn had anything to do.
    private var hadWork = false
    /// Frames in a turn.
    private static let burst = 64

    private init(_ count: Int) {
        self.count = count
        // `timeout` and keepalive are on: both are about every idle client.
        guard let config = try? Config(["maxclients": "\(count)", "timeout": "600"]) else {
            preconditionFailure("the configuration is a constant")
        }
        server = SimulatedServer(shards: 1, seed: 1, frames: 8192, config: config)
        server.shards[0].state.streams.stack!.setKeepalive(.seconds(300))
        peer = RawPeer(wire: server.wire)
    }

    /// - Parameter opensOnly: nothing else, for counting instructions.
    public static func run(connections: Int, opensOnly: Bool = false) -> Report {
        var scale = ConnectionScale(connections)
        scale.report.connections = connections
        scale.meetNeighbours()
        if opensOnly { scale.open(from: 0, to: connections) } else { scale.run() }
        scale.peer.deallocate()
        return scale.report
    }

    private mutating func run() {
        let (resident, heap) = (ProcessFacts.residentBytes, ProcessFacts.heapBytes)
        var opened = 0
        for step in Set([1_000, 100_000, count]).filter({ $0 <= count }).sorted() {
            open(from: opened, to: step)
            opened = step
            report.lookups.append((step, lookupTime(among: step)))
        }
        report.residentBytes = ProcessFacts.residentBytes - resident
        report.heapBytes = ProcessFacts.heapBytes - heap
        report.parts = stack.connectionBytes
        report.parts.session = server.shards[0].state.sessions.bytesPerSession
        measureIdleTurns()
        measureTimers()
        close()
    }

    private var stack: Stack { server.shards[0].state.streams.stack! }

    /// ARP is not what is measured.
    private mutating func meetNeighbours() {
        let addresses = (count + RawPeer.portsPerAddress - 1) / RawPeer.portsPerAddress
        for address in 0..<addresses {
            peer.open(address * RawPeer.portsPerAddress)
            for _ in 0..<3 { _ = turn() }
            for (number, _) in peer.unanswered { peer.reset(number) }
            peer.dropUnanswered()
            for _ in 0..<2 { _ = turn() }
        }
        precondition(stack.controlBlocks == 0, "a neighbour was not found")
    }

    /// SYNs of the next and ACKs of the last.
    private mutating func open(from first: Int, to end: Int) {
        var next = first
        while next < end || stack.statistics.tcpEstablished < UInt64(end) || server.liveSessions < end {
            for _ in 0..<min(Self.burst / 2, end - next) {
                peer.open(next)
                next += 1
            }
            peer.answer()
            let time = turn()
            report.openingTime += time
            report.longestOpeningTurn = max(report.longestOpeningTurn, time)
        }
        precondition(server.liveSessions == end, "\(server.liveSessions) sessions of \(end)")
    }

    /// The server's CPU time for one turn with what the peer has sent.
    @discardableResult
    private mutating func turn() -> Nanoseconds {
        peer.flush()
        server.clock.advance(by: .microseconds(10))
        server.wire.advance(now: server.clock.monotonic)
        let start = threadTime()
        hadWork = server.measuredTurn()
        let time = threadTime() - start
        server.wire.advance(now: server.clock.monotonic)
        peer.receive()
        return time
    }

    private func lookupTime(among connections: Int) -> Double {
        var entropy = Entropy(seed: 3)
        let rounds = 200_000
        let numbers = (0..<rounds).map { _ in entropy.next(below: connections) }
        let start = threadTime()
        var found = 0
        for number in numbers {
            let (address, port) = (RawPeer.address(number), RawPeer.port(number))
            if stack.hasConnection(address, port, SimulatedServer.port) { found += 1 }
        }
        let time = threadTime() - start
        precondition(found == rounds, "a connection was not found")
        return Double(time) / Double(rounds)
    }

    /// A second of turns without frames, half a millisecond each.
    private mutating func measureIdleTurns() {
        let turns = 2_000
        var total: Nanoseconds = 0
        // The handshake's timers go first.
        fireTimers(until: server.clock.monotonic + .seconds(2))
        for _ in 0..<turns {
            server.clock.advance(by: .microseconds(490))
            let time = turn()
            total += time
            report.longestIdleTurn = max(report.longestIdleTurn, time)
        }
        report.timersScheduled = stack.scheduledTimers
        report.idleTurn = Double(total) / Double(turns)
    }

    /// As the server's loop does it: time goes on to the next deadline when a turn had nothing to do.
    private mutating func fireTimers(until end: Nanoseconds) {
        while true {
            let time = turn()
            report.longestTimerTurn = max(report.longestTimerTurn, time)
            if hadWork { continue }
            if server.clock.monotonic >= end { return }
            server.clock.advance(to: min(max(server.nextDeadline, server.clock.monotonic), end))
        }
    }

    /// Until each connection was asked once whether it is still there.
    private mutating func measureTimers() {
        let before = stack.statistics.tcpKeepaliveProbes
        fireTimers(until: server.clock.monotonic + .seconds(302))
        report.timersFired = Int(stack.statistics.tcpKeepaliveProbes - before)
    }

    private mutating func close() {
        var next = 0
        var rounds = 0
        while next < count || server.liveSessions > 0, rounds < count {
            for _ in 0..<min(Self.burst, count - next) {
                peer.reset(next)
                next += 1
            }
            let time = turn()
            report.closingTime += time
            report.longestClosingTurn = max(report.longestClosingTurn, time)
            rounds += 1
        }
        report.leftConnections = stack.controlBlocks
        report.leftSessions = server.liveSessions
        report.leftFrames = server.allFrames - server.freeFrames
    }

    private func threadTime() -> Nanoseconds {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}
