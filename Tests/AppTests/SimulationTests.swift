import Net
import Runtime
import Testing

@testable import App

/// The complete server on a bad network, in virtual time: every reply is verified, and nothing is left behind.
@Suite struct SimulationTests {
    @Test func perfectWire() {
        let result = Simulation.run(seed: 1)
        #expect(result.failure == nil, "seed 1: \(result.failure ?? "")")
    }

    @Test(arguments: 0..<20)
    func lossDuplicationAndReordering(block: UInt64) {
        var options = Simulation.Options()
        options.shards = 2
        options.clients = 4
        options.commandsPerClient = 60
        options.faults.loss = 0.05
        options.faults.duplication = 0.05
        options.faults.reordering = 0.05
        options.faults.delay = .milliseconds(1)
        for seed in (block * 10)..<(block * 10 + 10) {
            let result = Simulation.run(seed: seed, options)
            #expect(result.failure == nil, "seed \(seed): \(result.failure ?? "")")
        }
    }

    @Test(arguments: 1...5)
    func fewerQueuesThanShards(seed: UInt64) {
        var options = Simulation.Options()
        options.shards = 3
        options.queues = 1
        options.faults.loss = 0.02
        options.faults.delay = .milliseconds(1)
        let result = Simulation.run(seed: seed, options)
        #expect(result.failure == nil, "seed \(seed): \(result.failure ?? "")")
    }

    @Test(arguments: 1...5)
    func corruption(seed: UInt64) {
        var options = Simulation.Options()
        options.commandsPerClient = 60
        options.faults.corruption = 0.05
        options.faults.delay = .milliseconds(1)
        let result = Simulation.run(seed: seed, options)
        #expect(result.failure == nil, "seed \(seed): \(result.failure ?? "")")
    }

    @Test func theSameSeedGivesTheSameRun() {
        var options = Simulation.Options()
        options.commandsPerClient = 40
        options.faults.loss = 0.1
        options.faults.delay = .milliseconds(1)
        let (first, second) = (Simulation.run(seed: 7, options), Simulation.run(seed: 7, options))
        #expect(first.time == second.time)
        #expect(first.commands == second.commands)
        #expect(first.failure == nil && second.failure == nil)
    }
}

/// What another client sees of a pipeline whose keys lie on different shards: its effects in the order sent.
@Suite struct PipelineOrderTests {
    @Test(arguments: 1...20)
    func effectsInOrder(seed: UInt64) {
        var faults = MemoryWire.Faults()
        faults.delay = .microseconds(50)
        faults.reordering = 0.1
        faults.reorderSpan = .microseconds(200)
        let server = SimulatedServer(shards: 2, seed: seed, faults: faults)
        let slots = SlotTable(shardCount: 2)
        let names = (0..<100).map { "key\($0)" }
        let first = names.first { owner($0, slots) == 0 }!
        let second = names.first { owner($0, slots) == 1 }!
        let clients = (0..<2).map {
            SimulatedClient(
                number: $0, wire: server.wire, entropy: Entropy(seed: seed &+ UInt64($0)), now: server.clock.monotonic)
        }
        defer { for client in clients { client.deallocate() } }
        let (writer, reader) = (clients[0], clients[1])
        writer.keepsReplies = true
        reader.keepsReplies = true
        for client in clients { client.connect(now: server.clock.monotonic) }
        // The writer counts up in both keys, always the first key first.
        for number in 1...200 {
            for key in [first, second] { writer.send(request("SET", key, "\(number)")) }
        }
        var seen = 0
        for _ in 0..<300 {
            // The second key is read first: it must never be ahead of what the first key then shows.
            let later = number(ask(reader, request("GET", second), server, clients))
            let earlier = number(ask(reader, request("GET", first), server, clients))
            #expect(earlier >= later, "seed \(seed): \(second) was \(later) while \(first) was \(earlier)")
            seen = max(seen, earlier)
        }
        #expect(seen == 200, "the writer did not finish")
    }

    private func owner(_ key: String, _ slots: SlotTable) -> Int {
        Array(key.utf8).withUnsafeBytes { slots.owner(of: ByteView($0.baseAddress!, $0.count)) }
    }

    private func request(_ words: String...) -> [UInt8] { encode(words.map { Array($0.utf8) }) }

    private func ask(
        _ client: SimulatedClient, _ request: [UInt8], _ server: SimulatedServer, _ clients: [SimulatedClient]
    ) -> String {
        client.send(request)
        for _ in 0..<10_000 {
            server.clock.advance(by: .microseconds(10))
            server.wire.advance(now: server.clock.monotonic)
            _ = server.turn()
            for client in clients { _ = client.turn(now: server.clock.monotonic) }
            let reply = client.takeReplies()
            if !reply.isEmpty { return String(decoding: reply, as: UTF8.self) }
        }
        return ""
    }

    /// Of a bulk reply; 0 for nil.
    private func number(_ reply: String) -> Int {
        reply.hasPrefix("$-1") ? 0 : Int(reply.split(separator: "\r\n").last ?? "") ?? -1
    }
}
