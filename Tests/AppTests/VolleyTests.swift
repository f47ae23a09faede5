import Net
import Runtime
import Testing

@testable import App

/// Pipelines of reads whose keys two shards own by turns: done at once where nobody can tell, and in order otherwise.
@Suite struct VolleyTests {
    /// A client of shard 0, a key of each shard, and another client that writes.
    private final class Setting {
        let s = Scenario(shards: 2)
        let reader: SimulatedClient
        let writer: SimulatedClient
        let own: String
        let foreign: String

        init() {
            reader = s.connect(on: 0)
            writer = s.connect(on: 0)
            (own, foreign) = (s.key(of: 0), s.key(of: 1))
            // The shards learn what the requests look like.
            for client in [reader, writer] {
                client.send(["GET", "STRLEN", "TYPE", "TTL"].flatMap { encoded($0, "x") } + encoded("SET", "x", "1"))
                s.run()
                client.send(encoded("SET", own, "1") + encoded("SET", foreign, "1") + encoded("INCR", "n"))
                s.run()
                _ = client.takeReplies()
            }
        }

        var states: [ShardState] { s.server.shards.map { $0.state } }
        var volleys: Int { states.reduce(0) { $0 + Int($1.statistics.volleys) } }
        var repeated: Int { states.reduce(0) { $0 + Int($1.statistics.repeatedVolleys) } }

        /// Sends the reader's requests and lets only shard 0 work until a volley is under way.
        func begin(_ requests: [[UInt8]]) {
            let before = volleys
            reader.send(requests.flatMap { $0 })
            for _ in 0..<100 where volleys == before {
                s.server.clock.advance(by: 1000)
                s.server.wire.advance(now: s.now)
                for client in s.clients { _ = client.turn(now: s.now) }
                s.server.shards[0].turn()
            }
            #expect(volleys == before + 1, "no volley")
        }

        /// Lets shard 0 alone work on what the writer says.
        func write(_ requests: [UInt8]...) {
            writer.send(requests.flatMap { $0 })
            for _ in 0..<20 {
                s.server.clock.advance(by: 1000)
                s.server.wire.advance(now: s.now)
                for client in s.clients { _ = client.turn(now: s.now) }
                s.server.shards[0].turn()
            }
        }

        func replies() -> String {
            s.run()
            return s.heard(reader)
        }

        /// Everybody leaves; what is left behind.
        func leak() -> String? {
            for client in s.clients { client.close() }
            s.run(.seconds(70))
            return s.leak()
        }
    }

    private func bulk(_ text: String) -> String { "$\(text.utf8.count)\r\n\(text)\r\n" }

    @Test func repliesAreInTheOrderOfTheRequests() {
        let t = Setting()
        t.begin([
            encoded("GET", t.foreign), encoded("GET", t.own), encoded("STRLEN", t.foreign),
            encoded("GET", "none" + t.own),
            encoded("TYPE", t.own), encoded("STRLEN", t.foreign),
        ])
        #expect(t.replies() == bulk("1") + bulk("1") + ":1\r\n$-1\r\n+string\r\n:1\r\n")
        #expect(t.repeated == 0)
        #expect(t.leak() == nil)
    }

    /// What a read is told of the time must not be told by two clocks.
    @Test func whatDependsOnTheTimeIsNoVolleys() {
        let t = Setting()
        t.reader.send([encoded("TTL", t.foreign), encoded("TTL", t.own), encoded("TTL", t.foreign)].flatMap { $0 })
        #expect(t.replies() == ":-1\r\n:-1\r\n:-1\r\n")
        #expect(t.volleys == 0)
    }

    /// What notes changes goes by the flag `write`: a command on keys either has it or changes nothing.
    @Test func everyCommandOnKeysReadsOrWrites() {
        let table = CommandTable.shared
        for number in 0..<CommandTable.allSpecs.count where table.entries[number].firstKey > 0 {
            let flags = table.entries[number].flags
            let name = String(decoding: table.entries[number].name.array, as: UTF8.self)
            #expect(flags.contains(.write) != flags.contains(.readonly), "\(name)")
            #expect(!flags.contains(.timeless) || flags.contains(.readonly), "\(name)")
        }
    }

    /// What was changed by others meanwhile does not matter as long as it is none of the volley's own keys.
    @Test func otherKeysMayChange() {
        let t = Setting()
        t.begin([encoded("GET", t.foreign), encoded("GET", t.own)])
        t.write(encoded("SET", t.s.key(of: 0, "other"), "2"))
        #expect(t.replies() == bulk("1") + bulk("1"))
        #expect(t.repeated == 0)
    }

    /// The own key is read in order, after the other one, when it was changed: anything else could be an order in which
    /// nothing happened.
    @Test(arguments: [
        ["SET", "2"], ["APPEND", "2"], ["INCR"], ["DEL"], ["EXPIRE", "100"], ["GETDEL"], ["SETRANGE", "0", "2"],
    ])
    func aChangedKeyIsReadAgain(command: [String]) {
        let t = Setting()
        t.begin([encoded("GET", t.foreign), encoded("GET", t.own), encoded("GET", t.foreign)])
        t.write(encoded([command[0], t.own].map { Array($0.utf8) } + command.dropFirst().map { Array($0.utf8) }))
        let after = ["SET": "2", "APPEND": "12", "INCR": "2", "EXPIRE": "1", "SETRANGE": "2"][command[0]]
        #expect(t.replies() == bulk("1") + (after.map { bulk($0) } ?? "$-1\r\n") + bulk("1"), "\(command)")
        #expect(t.repeated == 1, "\(command)")
        // And the next one is a volley again.
        t.begin([encoded("GET", t.foreign), encoded("GET", t.own)])
        #expect(t.replies() == bulk("1") + (after.map { bulk($0) } ?? "$-1\r\n"))
        #expect(t.leak() == nil)
    }

    @Test func flushingChangesEveryKey() {
        let t = Setting()
        t.begin([encoded("GET", t.foreign), encoded("GET", t.own)])
        t.write(encoded("FLUSHALL"))
        let replies = t.replies()
        #expect(replies == bulk("1") + "$-1\r\n" || replies == "$-1\r\n$-1\r\n", "\(replies)")
        #expect(t.repeated == 1)
    }

    /// Both keys have the same deadline, which passes after the other shard has done its part: the other key must not be told
    /// alive behind the own one that is told dead.
    @Test func deadlinesPass() {
        let t = Setting()
        let clock = t.s.server.clock
        let deadline = clock.unixMilliseconds + 100
        t.writer.send([t.own, t.foreign].flatMap { encoded("PEXPIREAT", $0, "\(deadline)") })
        t.s.run(.milliseconds(20))
        while clock.unixMilliseconds < deadline - 1 { clock.advance(by: .microseconds(100)) }
        t.begin([encoded("GET", t.foreign), encoded("GET", t.own), encoded("GET", t.foreign)])
        t.s.server.shards[1].turn()
        clock.advance(by: .milliseconds(2))
        #expect(t.replies() == "$-1\r\n$-1\r\n$-1\r\n")
        #expect(t.repeated == 1)
    }

    /// A millisecond that passes changes nothing for keys without a deadline.
    @Test func timePasses() {
        let t = Setting()
        t.begin([encoded("GET", t.foreign), encoded("GET", t.own)])
        t.s.server.clock.advance(by: .milliseconds(3))
        #expect(t.replies() == bulk("1") + bulk("1"))
        #expect(t.repeated == 0)
    }

    /// Replies that fill more than the request's block and more than a chunk.
    @Test(arguments: [900, 3_000, 40_000]) func longReplies(length: Int) {
        let t = Setting()
        let value = String(repeating: "v", count: length)
        t.writer.send(encoded("SET", t.foreign, value) + encoded("SET", t.own, value))
        t.s.run()
        t.begin(
            (0..<5).flatMap { _ in [encoded("GET", t.foreign), encoded("GET", t.own), encoded("STRLEN", t.foreign)] })
        t.s.run(.milliseconds(200))
        let round = bulk(value) + bulk(value) + ":\(length)\r\n"
        #expect(t.s.heard(t.reader) == String(repeating: round, count: 5))
        #expect(t.leak() == nil)
    }

    /// What comes behind a volley waits for it, in the same segment or in a later one, also if it is no read.
    @Test func whatComesBehind() {
        let t = Setting()
        t.begin([
            encoded("GET", t.foreign), encoded("GET", t.own), encoded("SET", t.own, "2"), encoded("GET", t.own),
            encoded("SET", t.foreign, "3"),
        ])
        t.reader.send(encoded("GET", t.foreign) + Array("PING\r\n".utf8))
        #expect(
            t.replies() == bulk("1") + bulk("1") + "+OK\r\n" + bulk("2") + "+OK\r\n" + bulk("3") + "+PONG\r\n")
        #expect(t.leak() == nil)
    }

    /// The client ends its direction, is killed, or resets the connection while its volley is under way.
    @Test(arguments: ["close", "kill", "reset"]) func theClientGoes(how: String) {
        let t = Setting()
        t.begin([encoded("GET", t.foreign), encoded("GET", t.own)])
        switch how {
        case "close": t.reader.close()
        case "reset": t.reader.abort()
        default: t.write(encoded("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))
        }
        let replies = t.replies()
        if how == "close" { #expect(replies == bulk("1") + bulk("1")) }
        #expect(t.leak() == nil)
    }

    /// Commands count once, whether a volley was repeated or not.
    @Test(arguments: [false, true]) func commandsAreCountedOnce(isRepeated: Bool) {
        let t = Setting()
        let before = t.states.reduce(0) { $0 + $1.statistics.commandsProcessed }
        t.begin([encoded("GET", t.foreign), encoded("GET", t.own), encoded("GET", t.foreign)])
        if isRepeated { t.write(encoded("SET", t.own, "2")) }
        _ = t.replies()
        #expect(t.repeated == (isRepeated ? 1 : 0))
        #expect(t.states.reduce(0) { $0 + $1.statistics.commandsProcessed } - before == (isRepeated ? 4 : 3))
    }

    /// A writer counts up in two keys of different shards, the first always first, and each over a connection of its own to the
    /// key's shard, so that nothing but the replies orders its writes. A reader asks for both by turns in one pipeline. Whatever
    /// it is told must fit one order of all: the second key is never ahead of a later look at the first, and no more than one
    /// behind an earlier one.
    @Test(arguments: 1...20) func nobodySeesThemOutOfOrder(seed: UInt64) {
        let s = Scenario(shards: 2, seed: seed)
        let home = Int(seed % 2)
        let (reader, writers) = (s.connect(on: Int(seed / 2 % 2)), [s.connect(on: home), s.connect(on: 1 - home)])
        let (first, second) = (s.key(of: home), s.key(of: 1 - home))
        var entropy = Entropy(seed: seed)
        var (written, seen) = (0, 0)
        // The reader's replies; four when it may ask again.
        var numbers = [0, 0, 0, 0]
        while seen < 400 {
            // One shard may be slow for a while.
            let slow = entropy.next(below: 4)
            for _ in 0..<entropy.next(below: 60) {
                s.server.clock.advance(by: 500)
                s.server.wire.advance(now: s.now)
                for (id, shard) in s.server.shards.enumerated() where id != slow || entropy.next(below: 20) == 0 {
                    shard.turn()
                }
                for client in s.clients { _ = client.turn(now: s.now) }
                if written == 0 || !s.heard(writers[(written - 1) % 2]).isEmpty {
                    let (key, number) = (written % 2 == 0 ? first : second, written / 2 + 1)
                    writers[written % 2].send(encoded("SET", key, "\(number)"))
                    written += 1
                }
                let text = s.heard(reader)
                numbers += text.split(separator: "\r\n").filter { !$0.hasPrefix("$") || $0 == "$-1" }.map {
                    Int($0) ?? 0
                }
                guard numbers.count == 4 else { continue }
                let (earlySecond, earlyFirst, lateSecond, lateFirst) = (numbers[0], numbers[1], numbers[2], numbers[3])
                #expect(earlySecond <= earlyFirst && lateSecond <= lateFirst, "\(numbers)")
                #expect(
                    lateSecond >= earlyFirst - 1 && lateSecond >= earlySecond && lateFirst >= earlyFirst, "\(numbers)")
                seen = lateFirst
                numbers = []
                reader.send([second, first, second, first].flatMap { encoded("GET", $0) })
            }
        }
        let states = s.server.shards.map { $0.state.statistics }
        #expect(states.reduce(0) { $0 + $1.volleys } > 100, "no volleys")
        #expect(states.reduce(0) { $0 + $1.repeatedVolleys } > 0, "nothing was changed meanwhile")
    }
}
