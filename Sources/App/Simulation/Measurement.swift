import Net
import Runtime

/// The way of a command from frame to frame, over and over, for counting instructions: one shard or two, a perfect wire,
/// clients that each wait for their replies before they go on. What is counted is `SimulatedServer.measuredTurn`; what
/// clients and wire cost is outside of it.
public struct Measurement {
    public enum Command: String, Sendable, CaseIterable { case get, set }

    /// Where commands and their keys are.
    public enum Layout: Sendable, Equatable {
        /// There is one shard.
        case single
        /// Two shards with a queue each; all keys are on the shard of the first client. `moved`: all frames of the
        /// connections come to the other shard's queue. Both shards do a turn whenever one does.
        case queues(moved: Bool)
        /// Two shards with a queue each; each client's key is on its own shard, or (`remote`) on the other one. A shard does a
        /// turn when a frame waits for it, and exchanges messages when these do, as in the server, where it looks at its
        /// rings alone until then (`Shard.watch`): so the cost of a request is that of the turns that it needs, on both
        /// shards, and of no other.
        case keys(remote: Bool)
    }

    /// Runs `requests` requests over all clients, each with `pipeline` at a time, and returns how many turns of the
    /// server they took. With one client each turn is for one segment; with many, segments share turns.
    /// - Parameters:
    ///   - size: bytes of the value.
    ///   - keyCount: of `single`: all requests go through so many keys in turn, which are there before. 1: each client
    ///     has one key.
    public static func run(
        _ command: Command, clients count: Int, pipeline: Int, requests: Int, layout: Layout = .single, size: Int = 64,
        keys keyCount: Int = 1
    ) -> Int {
        precondition(keyCount == 1 || layout == .single)
        let server = SimulatedServer(shards: layout == .single ? 1 : 2, seed: 1)
        let clients = (0..<count).map {
            SimulatedClient(
                number: $0, wire: server.wire, entropy: Entropy(seed: UInt64($0 + 2)), now: server.clock.monotonic)
        }
        defer { for client in clients { client.deallocate() } }
        let value = [UInt8](repeating: UInt8(ascii: "v"), count: size)
        var keys = connect(clients, server, layout)
        let ok = Array("+OK\r\n".utf8)
        let found = Array("$\(size)\r\n".utf8) + value + Array("\r\n".utf8)
        for (client, key) in zip(clients, keys) { client.send(encode([Array("SET".utf8), key, value]), expecting: ok) }
        settle(server, clients, layout)
        if layout == .queues(moved: true) { server.wire.moveFlows() }
        if keyCount > 1 {
            keys = numberedKeys(keyCount)
            for key in keys {
                clients[0].send(encode([Array("SET".utf8), key, value]), expecting: ok)
                settle(server, clients, layout, isMeasured: false)
            }
        }
        let answer = Array(repeatElement(command == .get ? found : ok, count: pipeline).joined())
        let texts = keys.map { encode(command == .get ? [Array("GET".utf8), $0] : [Array("SET".utf8), $0, value]) }
        var next = 0
        var turns = 0
        for _ in 0..<(requests / pipeline / count) {
            for (number, client) in clients.enumerated() {
                for _ in 0..<pipeline {
                    client.send(texts[keyCount > 1 ? next : number])
                    next = (next + 1) % texts.count
                }
                client.send([], expecting: answer)
            }
            turns += settle(server, clients, layout)
        }
        for client in clients { precondition(client.failure == nil, "a reply was wrong: \(client.failure ?? "")") }
        return turns
    }

    /// Returns the key of each client.
    private static func connect(
        _ clients: [SimulatedClient], _ server: SimulatedServer, _ layout: Layout
    ) -> [[UInt8]] {
        switch layout {
        case .single:
            for client in clients { client.connect(now: server.clock.monotonic) }
            return clients.map { _ in Array("key:000000000042".utf8) }
        case .queues:
            let home = connect(clients[0], server, layout)
            for client in clients.dropFirst() { client.connect(now: server.clock.monotonic) }
            return clients.map { _ in key(on: home, server) }
        case .keys(let remote):
            return clients.map {
                let home = connect($0, server, layout)
                return key(on: remote ? 1 - home : home, server)
            }
        }
    }

    /// Returns the shard on which the client's session appears.
    private static func connect(_ client: SimulatedClient, _ server: SimulatedServer, _ layout: Layout) -> Int {
        let before = server.shards.map { $0.state.sessions.count }
        client.connect(now: server.clock.monotonic)
        client.send(Array("PING\r\n".utf8), expecting: Array("+PONG\r\n".utf8))
        settle(server, [client], layout)
        return server.shards.firstIndex { $0.state.sessions.count > before[$0.state.id] }!
    }

    /// As a load generator names them.
    private static func numberedKeys(_ count: Int) -> [[UInt8]] {
        (0..<count).map { number in
            let digits = "\(number)"
            return Array("key:\(String(repeating: "0", count: 12 - digits.count))\(digits)".utf8)
        }
    }

    private static func key(on shard: Int, _ server: SimulatedServer) -> [UInt8] {
        let slots = server.shards[0].state.slots
        for number in 10_042..<11_042 {
            let key = Array("key:0000000\(number)".utf8)
            let owner = key.withUnsafeBytes { slots.owner(of: ByteView($0.baseAddress!, $0.count)) }
            if owner == shard { return key }
        }
        preconditionFailure("a shard owns no slot")
    }

    /// Until the clients have their answers. Time moves a little each turn, as it does in the real server. Only what is
    /// asked of one shard can be left out of what is measured.
    @discardableResult
    private static func settle(
        _ server: SimulatedServer, _ clients: [SimulatedClient], _ layout: Layout, isMeasured: Bool = true
    ) -> Int {
        var turns = 0
        while true {
            server.wire.advance(now: server.clock.monotonic)
            for client in clients { _ = client.turn(now: server.clock.monotonic) }
            if clients.allSatisfy({ $0.isSettled }) { return turns }
            server.clock.advance(by: .microseconds(10))
            server.wire.advance(now: server.clock.monotonic)
            switch layout {
            case .single: _ = isMeasured ? server.measuredTurn() : server.turn()
            case .queues: _ = server.measuredTurnOfAll()
            case .keys:
                turns += server.turnsOfThoseWithWork()
                continue
            }
            turns += 1
        }
    }
}

extension SimulatedServer {
    /// A turn under a name that a profiler can find.
    @inline(never)
    func measuredTurn() -> Bool { firstShard._withUnsafeGuaranteedRef { $0.turn() } }

    @inline(never)
    func measuredTurnOfAll() -> Bool { turn() }

    /// Each shard does what its loop would do now. Returns how many had something to do. The look for it is not measured.
    func turnsOfThoseWithWork() -> Int {
        var turns = 0
        for shard in shards {
            let reason = shard.reason
            guard reason != .nothing else { continue }
            turns += 1
            measuredTurn(of: Unmanaged.passUnretained(shard), isWhole: reason == .turn)
        }
        return turns
    }

    @inline(never)
    private func measuredTurn(of shard: Unmanaged<Shard<MemoryLink, ManualClock>>, isWhole: Bool) {
        shard._withUnsafeGuaranteedRef { if isWhole { $0.turn() } else { $0.exchange() } }
    }
}
