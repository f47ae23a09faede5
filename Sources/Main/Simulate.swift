import App
import ArgumentParser

struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sim",
        abstract: "The whole server under simulated faults and virtual time.",
        discussion: """
            Shards, stack, sessions and store run in one thread over an in-memory wire. Every reply is checked, and at \
            the end nothing may be left. A seed always gives the same run. Exit status 1: a run failed.
            """)

    @Option(help: "The first run's seed.")
    var seed: UInt64 = 1
    @Option(help: "How many runs, with consecutive seeds.")
    var runs: UInt64 = 1
    @Option(help: "Shards of the server.")
    var shards = 2
    @Option(help: "Shards that have a queue of the device; 0 means all.")
    var queues = 0
    @Option(help: "Clients (4; the measurement has 1).")
    var clients: Int?
    @Option(help: "Commands of each client.")
    var commands = 200
    @Option(help: "Requests that a client, or the measurement, has under way.")
    var pipeline = 16
    @Option(help: "Share of frames that are lost, 0...1.")
    var loss = 0.05
    @Option(help: "Share of frames that come twice.")
    var duplication = 0.05
    @Option(help: "Share of frames that come late.")
    var reordering = 0.05
    @Option(help: "Share of frames that have a bit flipped.")
    var corruption = 0.0
    @Option(help: "Share of frames that arrive on any queue, whatever their flow.")
    var scatter = 0.0
    @Option(help: ArgumentHelp("Instead: one command (get, set) over a perfect wire, for counting instructions."))
    var measure: String?
    @Option(help: "The measurement has two shards, and every frame comes to the other one's queue (or not: false).")
    var moved: Bool?
    @Option(help: "The measurement has two shards, and each client's key is on the other one (or its own: false).")
    var remote: Bool?
    @Option(help: "Bytes of the measurement's value.")
    var size = 64
    @Option(help: "Keys that the measurement asks for in turn (1: each client has one), or of --scale (100000).")
    var keys: Int?
    @Option(help: "Instead: so many idle clients of one shard, what they cost and hold (perf/connections).")
    var connections: Int?
    @Flag(help: "With --connections: nothing but the opens, for counting instructions.")
    var opensOnly = false
    @Flag(help: "Instead: how long a message takes between two busy threads (perf/rings).")
    var rings = false
    @Flag(help: "Instead: two shards beside one, on real cores, with the load made inside of each (perf/shards).")
    var scale = false
    @Option(help: "Rounds of --scale.")
    var rounds = 5
    @Option(help: "Of --scale only two shards, with keys of the own one (own) or of any (random), for --seconds.")
    var only: String?
    @Option(help: "Seconds of --scale with --only.")
    var seconds = 5.0
    @Option(help: "Requests of the measurement.")
    var requests = 10000

    func validate() throws {
        guard shards >= 1, queues >= 0, queues <= shards, clients.map({ $0 >= 1 && $0 <= 200 }) ?? true, commands >= 0,
            pipeline >= 1, requests >= 1, rounds >= 1, (0...1 << 20).contains(size),
            (1...1 << 20).contains(keys ?? 1), scale || (keys ?? 1) == 1 || moved == nil && remote == nil,
            connections.map({ (1...10_000_000).contains($0) }) ?? true
        else { throw ValidationError("Counts must be positive, and queues no more than shards.") }
        guard [loss, duplication, reordering, corruption, scatter].allSatisfy({ (0...1).contains($0) }) else {
            throw ValidationError("Shares of frames are between 0 and 1.")
        }
        guard !scale || pipeline <= ShardScale.longestPipeline else {
            throw ValidationError("--scale has at most \(ShardScale.longestPipeline) requests in a pipeline.")
        }
        if let measure, Measurement.Command(rawValue: measure) == nil {
            throw ValidationError("What can be measured: get, set.")
        }
        guard only.map({ ["own", "random"].contains($0) }) ?? true, seconds > 0, !scale || (keys ?? 16) >= 16 else {
            throw ValidationError("Only own or random, for more than 0 seconds, and at least 16 keys.")
        }
        guard moved == nil || remote == nil else { throw ValidationError("Either --moved or --remote.") }
    }

    func run() throws {
        if rings { return try printRings() }
        if scale { return try runScale() }
        if let connections {
            let report = ConnectionScale.run(connections: connections, opensOnly: opensOnly)
            return opensOnly ? print("\(connections) opens") : try printScale(report)
        }
        if let command = measure.flatMap({ Measurement.Command(rawValue: $0) }) {
            let layout: Measurement.Layout =
                if let remote { .keys(remote: remote) } else if let moved { .queues(moved: moved) } else { .single }
            let turns = Measurement.run(
                command, clients: clients ?? 1, pipeline: pipeline, requests: requests, layout: layout, size: size,
                keys: keys ?? 1)
            print("\(requests) requests of \(clients ?? 1) clients, \(pipeline) at a time, in \(turns) turns")
            return
        }
        var options = Simulation.Options()
        options.shards = shards
        options.queues = queues
        options.clients = clients ?? options.clients
        options.commandsPerClient = commands
        options.pipeline = pipeline
        options.faults.loss = loss
        options.faults.duplication = duplication
        options.faults.reordering = reordering
        options.faults.corruption = corruption
        options.faults.scatter = scatter
        for run in 0..<runs {
            let result = Simulation.run(seed: seed &+ run, options)
            let time = Double(result.time) / 1e9
            print("seed \(seed &+ run): \(result.commands) commands in \(time) s of virtual time")
            if let failure = result.failure { throw Failure(text: "seed \(seed &+ run): \(failure)") }
        }
    }

    private func runScale() throws {
        var load = ShardScale.Case(shards: shards, randomKeys: only == "random", pipeline: pipeline)
        load.clients = clients ?? load.clients
        load.keys = keys ?? load.keys
        try only == nil ? printShardScale(load, rounds: rounds) : printShardRate(load, seconds: seconds)
    }
}
