import Net
import Runtime

/// The way of a command from frame to frame, over and over, for counting instructions: one shard, a perfect wire, one
/// client. What is counted is `SimulatedServer.measuredTurn`; what the client costs is outside of it.
public struct Measurement {
    public enum Command: String, Sendable, CaseIterable { case get, set }

    /// Runs `requests` requests, `pipeline` at a time, and returns how many turns of the server they took.
    public static func run(_ command: Command, pipeline: Int, requests: Int) -> Int {
        let server = SimulatedServer(shards: 1, seed: 1)
        let client = SimulatedClient(
            number: 0, wire: server.wire, entropy: Entropy(seed: 2), now: server.clock.monotonic)
        let value = [UInt8](repeating: UInt8(ascii: "v"), count: 64)
        let key = Array("key:000000000042".utf8)
        let set = encode([Array("SET".utf8), key, value])
        let get = encode([Array("GET".utf8), key])
        let ok = Array("+OK\r\n".utf8)
        let found = Array("$64\r\n".utf8) + value + Array("\r\n".utf8)
        client.connect(now: server.clock.monotonic)
        client.send(set, expecting: ok)
        settle(server, client)
        let request = command == .get ? get : set
        let reply = command == .get ? found : ok
        let batch = Array(repeatElement(request, count: pipeline).joined())
        let answer = Array(repeatElement(reply, count: pipeline).joined())
        var turns = 0
        for _ in 0..<(requests / pipeline) {
            client.send(batch, expecting: answer)
            turns += settle(server, client)
        }
        precondition(client.failure == nil, "a reply was wrong: \(client.failure ?? "")")
        return turns
    }

    /// Until the client has its answers. Time moves a little each turn, as it does in the real server.
    @discardableResult
    private static func settle(_ server: SimulatedServer, _ client: SimulatedClient) -> Int {
        var turns = 0
        while true {
            server.wire.advance(now: server.clock.monotonic)
            _ = client.turn(now: server.clock.monotonic)
            if client.isSettled { return turns }
            server.clock.advance(by: .microseconds(10))
            server.wire.advance(now: server.clock.monotonic)
            _ = server.measuredTurn()
            turns += 1
        }
    }
}

extension SimulatedServer {
    /// A turn under a name that a profiler can find.
    @inline(never)
    func measuredTurn() -> Bool { firstShard._withUnsafeGuaranteedRef { $0.turn() } }
}
