import Net
import Runtime
import Testing

@testable import App

/// Requests are looked at ahead of the one that runs (SessionPump+Ahead.swift), once there are many keys: a model of the keys
/// tells every reply, in order, whatever comes together, and whosever the keys are.
@Suite struct AheadTests {
    private struct Model {
        var values: [String: String] = [:]

        /// Returns the reply to the command, and changes as it does.
        mutating func run(_ words: [String]) -> String {
            switch words[0] {
            case "SET":
                values[words[1]] = words[2]
                return "+OK\r\n"
            case "GET":
                guard let value = values[words[1]] else { return "$-1\r\n" }
                return "$\(value.utf8.count)\r\n\(value)\r\n"
            case "APPEND":
                values[words[1], default: ""] += words[2]
                return ":\(values[words[1]]!.utf8.count)\r\n"
            case "DEL": return values.removeValue(forKey: words[1]) == nil ? ":0\r\n" : ":1\r\n"
            default: preconditionFailure(words[0])
            }
        }
    }

    private static func words(_ entropy: inout Entropy, keys: UInt64) -> [String] {
        let key = "key:\(entropy.next() % keys)"
        let value = String(repeating: "x", count: Int(entropy.next() % 90)) + "\(entropy.next() % 10)"
        return switch entropy.next() % 10 {
        case 0..<5: ["GET", key]
        case 5..<8: ["SET", key, value]
        case 8: ["APPEND", key, "1"]
        default: ["DEL", key]
        }
    }

    /// Two shards and one; keys of all sizes of a table, while it grows and afterwards.
    @Test(arguments: [1, 2]) func pipelinesOfAllLengths(shards: Int) {
        let s = Scenario(shards: shards)
        let client = s.connect()
        var model = Model()
        var entropy = Entropy(seed: UInt64(shards))
        var filled = 0
        for _ in 0..<220 {
            var request: [UInt8] = []
            var expected = ""
            let count = [1, 2, 7, 8, 9, 16, 17, 40, 60][Int(entropy.next() % 9)]
            for _ in 0..<count {
                // Most of it once fills up.
                let words =
                    filled < 9_000 ? ["SET", "key:\(filled)", "v\(filled)"] : Self.words(&entropy, keys: 12_000)
                if filled < 9_000 { filled += 1 }
                request += encoded(words.map { Array($0.utf8) })
                expected += model.run(words)
            }
            while filled < 9_000, filled % 60 != 0 {
                let words = ["SET", "key:\(filled)", "v\(filled)"]
                filled += 1
                request += encoded(words.map { Array($0.utf8) })
                expected += model.run(words)
            }
            client.send(request)
            s.run(.milliseconds(5))
            let heard = s.heard(client)
            #expect(heard == expected)
            guard heard == expected else { return }
        }
        for shard in s.server.shards { #expect(shard.state.keyspace.checkInvariants() == nil) }
    }

    /// Many clients with one request each in one burst.
    @Test(arguments: [1, 2]) func bursts(shards: Int) {
        let s = Scenario(shards: shards)
        let clients = (0..<12).map { _ in s.connect(frames: 128) }
        var model = Model()
        var entropy = Entropy(seed: 3)
        for chunk in 0..<200 {
            var request: [UInt8] = []
            for number in chunk * 50..<chunk * 50 + 50 {
                let words = ["SET", "key:\(number)", "v\(number)"]
                request += encoded(words.map { Array($0.utf8) })
                _ = model.run(words)
            }
            clients[0].send(request)
            s.run(.milliseconds(2))
        }
        _ = s.heard(clients[0])
        #expect(s.server.shards.allSatisfy { $0.state.keyspace.database(0).outgrowsCaches })
        for _ in 0..<150 {
            // Each client has keys of its own to write, so that the order between them does not matter.
            var expected: [String] = []
            for (index, client) in clients.enumerated() {
                var words = Self.words(&entropy, keys: 800)
                words[1] = "key:\(index * 800 + Int(words[1].dropFirst(4))!)"
                expected.append(model.run(words))
                client.send(encoded(words.map { Array($0.utf8) }))
            }
            s.run(.milliseconds(1))
            for (client, reply) in zip(clients, expected) { #expect(s.heard(client) == reply) }
        }
    }
}
