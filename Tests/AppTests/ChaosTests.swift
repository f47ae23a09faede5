import Net
import Runtime
import Testing

@testable import App

/// Clients that connect, say anything, and vanish at any moment, on a bad network, beside one that does nothing wrong
/// and must get every reply right. In the end nothing may be left of them.
@Suite struct ChaosTests {
    @Test(arguments: 0..<30)
    func vanishingClients(block: UInt64) {
        for seed in (block * 5)..<(block * 5 + 5) {
            var chaos = Chaos(seed: seed)
            let failure = chaos.run()
            #expect(failure == nil, "seed \(seed): \(failure ?? "")")
        }
    }
}

private struct Chaos {
    private let s: Scenario
    private var entropy: Entropy
    private let good: SimulatedClient
    private var workload: Workload
    private var bad: [SimulatedClient] = []
    private var left = 14

    init(seed: UInt64) {
        entropy = Entropy(seed: seed)
        var faults = MemoryWire.Faults()
        faults.delay = .microseconds(Int64(entropy.next(below: 400)))
        if entropy.chance(0.7) {
            faults.loss = 0.03
            faults.duplication = 0.03
            faults.reordering = 0.05
        }
        let shards = 1 + entropy.next(below: 3)
        let queues = shards == 1 ? 1 : 1 + entropy.next(below: shards)
        s = Scenario(
            shards: shards, queues: queues, seed: entropy.next(), faults: faults, frames: 1024,
            config: try! Config(["timeout": "40", "client-output-buffer-limit": "normal 600kb 0 0"]))
        good = s.begin()
        good.keepsReplies = false
        workload = Workload(client: 0, entropy: Entropy(seed: entropy.next()))
    }

    mutating func run() -> String? {
        s.run(.seconds(1))
        while left > 0 || !bad.isEmpty {
            step()
            s.run(.microseconds(Int64(1 + entropy.next(below: 3000))))
            if let failure = good.failure { return failure }
            if good.isClosed { return "the good client was disconnected" }
        }
        for _ in 0..<200 where !good.isSettled { s.run(.milliseconds(500)) }
        if !good.isSettled { return "the good client waits for ever" }
        good.close()
        // What vanished silently is noticed by `timeout` and by TCP's patience.
        for _ in 0..<400 where s.leak() != nil { s.run(.seconds(1)) }
        return s.leak().map { "left: \($0)" }
    }

    private mutating func step() {
        if good.isSettled {
            for _ in 0..<entropy.next(below: 8) {
                let (request, reply) = workload.next()
                good.send(request, expecting: reply)
            }
        }
        if bad.count < 4 && left > 0 {
            left -= 1
            bad.append(s.begin(frames: 256))
        }
        let index = entropy.next(below: bad.count)
        let client = bad[index]
        _ = client.takeReplies()
        if client.isClosed || !entropy.chance(0.3) {
            if client.isClosed { bad.remove(at: index) } else { talk(client) }
            return
        }
        switch entropy.next(below: 5) {
        case 0: client.abort()
        case 1: client.close()
        case 2: client.isSilent = true
        case 3:
            // Never reads again.
            client.isReading = false
            talk(client)
        default:
            talk(client)
            client.close()
        }
        bad.remove(at: index)
    }

    private mutating func talk(_ client: SimulatedClient) {
        var bytes: [UInt8] = []
        for _ in 0..<(1 + entropy.next(below: 20)) { bytes += Array((request() + "\r\n").utf8) }
        // Sometimes the last is not whole.
        if entropy.chance(0.2) { bytes.removeLast(1 + entropy.next(below: min(20, bytes.count - 1))) }
        client.send(bytes)
    }

    private mutating func request() -> String {
        let key = "k\(entropy.next(below: 30))"
        switch entropy.next(below: 24) {
        case 0...4: return "SET \(key) v"
        case 5...8: return "GET \(key)"
        case 9, 10: return "DEL k1 k2 k3 \(key)"
        case 11: return "SETRANGE big\(entropy.next(below: 3)) \(entropy.next(below: 80_000)) x"
        case 12, 13: return "GET big\(entropy.next(below: 3))"
        case 14: return "*3\r\n$3\r\nSET\r\n$2\r\nk1\r\n$90000\r\n" + String(repeating: "y", count: 90_000)
        case 15: return ["DBSIZE", "INFO", "CLIENT LIST", "CONFIG RESETSTAT"][entropy.next(below: 4)]
        case 16: return "SELECT \(entropy.next(below: 17))"
        case 17: return "HELLO \(2 + entropy.next(below: 3))"
        case 18: return "CLIENT REPLY \(["ON", "OFF", "SKIP"][entropy.next(below: 3)])"
        case 19: return "CLIENT KILL ID \(10 + entropy.next(below: 40)) SKIPME no"
        case 20: return "CONFIG SET tcp-keepalive \(entropy.next(below: 100))"
        case 21: return entropy.chance(0.2) ? ["*1\r\n!", "*-5 x", "*1\r\n$-2", "\"a"][entropy.next(below: 4)] : "PING"
        case 22: return entropy.chance(0.2) ? "QUIT" : "RESET"
        default: return "EXPIRE \(key) \(entropy.next(below: 3))"
        }
    }
}
