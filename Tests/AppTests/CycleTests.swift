import Net
import Runtime
import Testing

@testable import App

/// INFO cycles in virtual time: where the shards' time goes, of all and of each.
@Suite struct CycleTests {
    private func fields(_ s: Scenario, _ client: SimulatedClient, _ section: String) -> [String: Int] {
        var found: [String: Int] = [:]
        for line in s.ask(client, "INFO \(section)", for: .milliseconds(200)).split(separator: "\r\n") {
            let parts = line.split(separator: ":")
            if parts.count == 2, let number = Int(parts[1]) { found[String(parts[0])] = number }
        }
        return found
    }

    private let stages = CycleAccount.Stage.allCases.map { "cycles_\($0.name)_usec" }

    @Test func sharesAddUpToTheWhole() throws {
        let s = Scenario(shards: 1, ticksEachReading: 100)
        let client = s.connect()
        for _ in 0..<50 { s.ask(client, "SET k v\nGET k\nGET k") }
        let seen = fields(s, client, "cycles")
        let value = { (name: String) in seen["cycles_\(name)"] ?? -1 }
        // From the server's start to the turn of INFO, all of it.
        #expect(value("elapsed_usec") >= 50 * 20_000)
        #expect(value("busy_usec") + value("spinning_usec") + value("asleep_usec") == value("elapsed_usec"))
        #expect(value("sampled_turns") > 0 && value("turns") > value("sampled_turns"))
        #expect(value("busy_usec") > 0)
        #expect(stages.reduce(0) { $0 + seen[$1]! } == value("busy_usec"))
        for stage in ["receive", "tcp", "parse", "execute", "transmit", "timers", "loop"] {
            #expect(value("\(stage)_usec") > 0, "\(stage)")
        }
        #expect(value("cross_shard_usec") == 0)
    }

    @Test func theTimeOfOtherShardsCommandsIsSeen() {
        let s = Scenario(shards: 2, ticksEachReading: 100)
        let client = s.connect(on: 0)
        let key = s.key(of: 1)
        for _ in 0..<20 {
            for shard in s.server.shards { shard.state.cycles.untilSample = 0 }
            s.ask(client, "GET \(key)", for: .milliseconds(1))
        }
        let lines = s.ask(client, "INFO cycles_shards", for: .milliseconds(200)).split(separator: "\r\n")
        let shards = lines.filter { $0.hasPrefix("cycles_shard") }
        #expect(shards.count == 2)
        for line in shards {
            #expect(line.contains(",cycles_cross_shard_usec=") && !line.contains(",cycles_cross_shard_usec=0,"))
        }
        // The owner executes, the other one parses.
        #expect(!shards[1].contains(",cycles_execute_usec=0,"))
        #expect(!shards[0].contains(",cycles_parse_usec=0,"))
    }

    @Test func totalsAreTheSumOfTheShards() {
        let s = Scenario(shards: 2, ticksEachReading: 100)
        let client = s.connect()
        for _ in 0..<50 { s.ask(client, "SET a 1\nSET b 2\nGET a") }
        let text = s.ask(client, "INFO cycles cycles_shards", for: .milliseconds(200))
        var total: [Substring: Int] = [:]
        var sum: [Substring: Int] = [:]
        for line in text.split(separator: "\r\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            if parts[0].hasPrefix("cycles_shard"), parts[1].contains("=") {
                for field in parts[1].split(separator: ",") {
                    let pair = field.split(separator: "=")
                    sum[pair[0], default: 0] += Int(pair[1])!
                }
            } else if let number = Int(parts[1]) {
                total[parts[0]] = number
            }
        }
        #expect(total == sum && total.count == 4 + stages.count + 2)
    }

    @Test func onlyOnRequest() {
        let s = Scenario(shards: 1)
        let client = s.connect()
        #expect(!s.ask(client, "INFO", for: .milliseconds(200)).contains("# Cycles"))
        for section in ["all", "everything", "cycles"] {
            #expect(s.ask(client, "INFO \(section)", for: .milliseconds(200)).contains("# Cycles\r\n"), "\(section)")
        }
    }

    @Test func resetstatForgets() {
        let s = Scenario(shards: 2, ticksEachReading: 100)
        let client = s.connect()
        for _ in 0..<50 { s.ask(client, "SET k v") }
        #expect(s.ask(client, "CONFIG RESETSTAT") == "+OK\r\n")
        let seen = fields(s, client, "cycles")
        #expect(seen["cycles_elapsed_usec"]! < 2 * 50_000)
        #expect(seen["cycles_turns"]! < 100)
    }

    /// As a stopwatch beside it sees it: the clock stands still within a turn, so a turn's time is that until the next.
    @Test func busyTimeIsWhatATestMeasures() {
        let s = Scenario(shards: 1)
        let shard = s.server.shards[0]
        _ = s.connect()
        let before = shard.state.cycles.report(now: s.now)
        var busy: Nanoseconds = 0
        for _ in 0..<1_000 {
            s.server.wire.advance(now: s.now)
            let start = s.now
            let work = shard.turn()
            s.server.clock.advance(by: .microseconds(7))
            if work { busy += s.now - start }
        }
        let after = shard.state.cycles.report(now: s.now)
        #expect(after.elapsed - before.elapsed >= 6_999 && after.elapsed - before.elapsed <= 7_001)
        #expect(abs(Int64(after.busy - before.busy) - busy / 1_000) <= 8)
    }
}
