import Net
import Runtime

/// A load generator's whole run over one transport, in real time: connect, each test with its progress, the reports.
struct BenchRun<T: BenchTransport> {
    private let settings: BenchSettings
    private let plans: [BenchPlan]
    private let loop: BenchLoop<T, SystemClock>
    private let runner: LoadRunner<BenchLoop<T, SystemClock>>

    init(_ settings: BenchSettings, _ plans: [BenchPlan], transport: T) {
        self.settings = settings
        self.plans = plans
        loop = BenchLoop(
            settings, transport: transport, clock: SystemClock(),
            run: UInt32(truncatingIfNeeded: Entropy.systemSecret().0))
        runner = LoadRunner(loop, settings)
    }

    /// Returns the exit status.
    func run() throws(BenchError) -> Int32 {
        let server = try connect()
        var output = BenchOutput(settings, server: server, link: loop.transport.link, mode: loop.transport.mode)
        output.begin()
        repeat {
            for (number, plan) in plans.enumerated() where !runner.isStopped {
                loop.begin(plan.workload(settings, seed: settings.seed &+ UInt64(number), verifier: loop.verifier))
                try runner.turns(until: { $0.isFinished }, shows: plan.name)
                output.add(loop.takeResult(), errors: loop.state.texts)
            }
        } while settings.isLooping && !runner.isStopped
        loop.closeAll()
        return try output.finish()
    }

    /// One connection first, which tells who the server is, then all.
    private func connect() throws(BenchError) -> String {
        loop.open(1)
        try runner.turns(until: { $0.isOpen })
        loop.ask(BenchGreeting.request(["INFO", "server"]), replies: 1)
        try runner.turns(until: { $0.collecting <= 0 })
        let server = ServerName.find(in: loop.collected)
        loop.open(settings.clients)
        try runner.turns(until: { $0.isOpen })
        return server
    }
}

extension BenchLoop: LoadLoop {
    var openings: (open: Int, wanted: Int) { (readyCount, wanted) }
    var isWaiting: Bool { state.isSending && schedule == nil || recorder.count + state.lost < state.issued }
    func wait(until deadline: Nanoseconds) { transport.wait(until: deadline, now: now) }
}

/// What INFO says of the server.
enum ServerName {
    /// "apus 0.3.0", "valkey 8.0.1", "redis 7.0.15"; empty when it does not say.
    static func find(in reply: [UInt8]) -> String {
        var fields: [Substring: Substring] = [:]
        let text = String(decoding: reply, as: UTF8.self)
        for line in text.split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[line[..<colon]] = line[line.index(after: colon)...]
        }
        for name in ["apus", "valkey", "keydb", "dragonfly", "redis"] {
            if let version = fields["\(name)_version"] { return "\(name) \(version)" }
        }
        return ""
    }
}

/// The same for datagrams over a bare link.
struct DatagramRun<L: Link> {
    private let settings: BenchSettings
    private let loop: DatagramLoop<L, SystemClock>

    init(_ settings: BenchSettings, link: L) {
        self.settings = settings
        loop = DatagramLoop(settings, link: link, clock: SystemClock())
    }

    /// Returns the exit status.
    func run() throws(BenchError) -> Int32 {
        let driver = loop.link.driver.split(separator: " ", maxSplits: 1).map(String.init)
        var output = BenchOutput(
            settings, server: "apus echo", link: driver[0], mode: driver.count > 1 ? driver[1] : "")
        output.begin()
        try LoadRunner(loop, settings).turns(until: { $0.isFinished }, shows: "UDP_ECHO")
        output.add(loop.takeResult(), errors: [])
        return try output.finish()
    }
}
