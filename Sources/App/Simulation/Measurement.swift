import Net
import Runtime

/// The way of a command from frame to frame, over and over, for counting instructions: one shard, a perfect wire,
/// clients that each wait for their replies before they go on. What is counted is `SimulatedServer.measuredTurn`; what
/// clients and wire cost is outside of it.
public struct Measurement {
    public enum Command: String, Sendable, CaseIterable { case get, set }

    /// Runs `requests` requests over all clients, each with `pipeline` at a time, and returns how many turns of the
    /// server they took. With one client each turn is for one segment; with many, segments share turns.
    ///
    /// `moved`: the server has two shards with a queue each, and all frames of the connections come to the other shard's
    /// queue. nil: there is one shard. `size`: bytes of the value.
    public static func run(
        _ command: Command, clients count: Int, pipeline: Int, requests: Int, moved: Bool? = nil, size: Int = 64
    ) -> Int {
        let server = SimulatedServer(shards: moved == nil ? 1 : 2, seed: 1)
        let clients = (0..<count).map {
            SimulatedClient(
                number: $0, wire: server.wire, entropy: Entropy(seed: UInt64($0 + 2)), now: server.clock.monotonic)
        }
        defer { for client in clients { client.deallocate() } }
        let value = [UInt8](repeating: UInt8(ascii: "v"), count: size)
        for client in clients { client.connect(now: server.clock.monotonic) }
        let key = moved == nil ? Array("key:000000000042".utf8) : ownKey(server, clients)
        let set = encode([Array("SET".utf8), key, value])
        let get = encode([Array("GET".utf8), key])
        let ok = Array("+OK\r\n".utf8)
        let found = Array("$\(size)\r\n".utf8) + value + Array("\r\n".utf8)
        for client in clients { client.send(set, expecting: ok) }
        settle(server, clients)
        if moved == true { server.wire.moveFlows() }
        let request = command == .get ? get : set
        let reply = command == .get ? found : ok
        let batch = Array(repeatElement(request, count: pipeline).joined())
        let answer = Array(repeatElement(reply, count: pipeline).joined())
        var turns = 0
        for _ in 0..<(requests / pipeline / count) {
            for client in clients { client.send(batch, expecting: answer) }
            turns += settle(server, clients)
        }
        for client in clients { precondition(client.failure == nil, "a reply was wrong: \(client.failure ?? "")") }
        return turns
    }

    /// A key on the shard of the first client's session, so that its commands need no other shard.
    private static func ownKey(_ server: SimulatedServer, _ clients: [SimulatedClient]) -> [UInt8] {
        clients[0].send(Array("PING\r\n".utf8), expecting: Array("+PONG\r\n".utf8))
        settle(server, clients)
        let shard = server.shards.firstIndex { $0.state.sessions.count > 0 }
        let slots = server.shards[0].state.slots
        for number in 10_042..<11_042 {
            let key = Array("key:0000000\(number)".utf8)
            let owner = key.withUnsafeBytes { slots.owner(of: ByteView($0.baseAddress!, $0.count)) }
            if owner == shard { return key }
        }
        preconditionFailure("a shard owns no slot")
    }

    /// Until the clients have their answers. Time moves a little each turn, as it does in the real server.
    @discardableResult
    private static func settle(_ server: SimulatedServer, _ clients: [SimulatedClient]) -> Int {
        var turns = 0
        while true {
            server.wire.advance(now: server.clock.monotonic)
            for client in clients { _ = client.turn(now: server.clock.monotonic) }
            if clients.allSatisfy({ $0.isSettled }) { return turns }
            server.clock.advance(by: .microseconds(10))
            server.wire.advance(now: server.clock.monotonic)
            if server.shards.count == 1 { _ = server.measuredTurn() } else { _ = server.measuredTurnOfAll() }
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
}
