import Net
import Runtime
import Testing

@testable import App

/// DEBUG TRACE in virtual time: a command's steps, in order and at their times, on one shard and over two.
@Suite struct TraceTests {
    private func scenario(shards: Int = 1) throws -> Scenario {
        Scenario(shards: shards, config: try Config(["enable-debug-command": "yes"]))
    }

    private func id(_ s: Scenario, _ client: SimulatedClient) -> String {
        String(s.ask(client, "CLIENT ID").dropFirst().filter { $0.isNumber })
    }

    /// The records of the bulk string that GET replies with.
    private func records(_ s: Scenario, _ client: SimulatedClient, _ count: String = "") -> [TraceLine] {
        s.ask(client, "DEBUG TRACE GET \(count)", for: .milliseconds(200)).split(whereSeparator: \.isNewline).compactMap
        {
            TraceLine($0)
        }
    }

    /// What was recorded of `command`, which another client asks for.
    private func trace(_ s: Scenario, _ traced: SimulatedClient, _ command: String) -> [TraceLine] {
        let operatorClient = s.connect()
        #expect(s.ask(operatorClient, "DEBUG TRACE ON CLIENT \(id(s, traced))") == "+OK\r\n")
        s.ask(traced, command)
        #expect(s.ask(operatorClient, "DEBUG TRACE OFF") == "+OK\r\n")
        return records(s, operatorClient)
    }

    @Test func isOffAtFirst() throws {
        let s = try scenario(shards: 2)
        let client = s.connect()
        s.ask(client, "SET k v\nGET k")
        #expect(records(s, client) == [])
        #expect(s.server.shards.allSatisfy { !$0.state.trace.isOn })
    }

    @Test func theWayOfAGet() throws {
        let s = try scenario()
        let client = s.connect()
        s.ask(client, "SET k v")
        let lines = trace(s, client, "GET k")
        #expect(
            lines.map(\.event) == [
                .arrived, .input, .session, .parsed, .executed, .written, .segment, .departed,
            ])
        let number = UInt64(id(s, client))!
        for line in lines where [.session, .parsed, .executed, .written].contains(line.event) {
            #expect(line.client == number)
        }
        #expect(lines[2]["bytes"] == "7" && lines[3]["words"] == "2" && lines[4].command == "get")
        #expect(lines[0]["bytes"] == "\(14 + 20 + 32 + 7)" && lines[6]["bytes"] == "\(14 + 20 + 32 + 7)")
        #expect(lines[0]["addr"] == lines[6]["addr"] && lines[0]["addr"]!.hasPrefix("10.0.0.2:"))
        #expect(lines[7]["frames"] == "1")
        // Virtual time stands still within a turn: all steps of the request are at once, in one turn.
        #expect(Set(lines.map(\.time)).count == 1 && Set(lines.map(\.turn)).count == 1)
    }

    @Test func stepsAreStampedAtTheTicksOfTheClock() throws {
        let s = Scenario(
            shards: 1, config: try Config(["enable-debug-command": "yes"]), ticksEachReading: 1_000)
        let client = s.connect()
        let times = trace(s, client, "GET k").prefix(8).map(\.time)
        #expect(zip(times, times.dropFirst()).allSatisfy { $0 < $1 || $0 == $1 })
        #expect(times.last! - times.first! >= 5_000)
    }

    @Test func theWayOfAGetOverTwoShards() throws {
        let s = try scenario(shards: 2)
        let client = s.connect(on: 0)
        let key = s.key(of: 1)
        s.ask(client, "SET \(key) v")
        let lines = trace(s, client, "GET \(key)")
        let origin = lines.filter { $0.shard == 0 }.map(\.event)
        let owner = lines.filter { $0.shard == 1 }
        #expect(
            origin.prefix(9) == [
                .arrived, .input, .session, .parsed, .sent, .published, .delivered, .written, .segment,
            ])
        #expect(owner.map(\.event) == [.taken, .executed, .published])
        #expect(owner.map(\.command) == ["get", "get", ""])
        #expect(owner[0]["from"] == "0" && owner[1]["for"] == "0")
        #expect(lines.first { $0.event == .sent }?["to"] == "1")
        #expect(lines.first { $0.event == .delivered }?["from"] == "1")
        // Sent, executed there, delivered here: in this order of time.
        let order: [TraceEvent] = [.sent, .taken, .executed, .delivered, .departed]
        let times = order.map { event in lines.first { $0.event == event }!.time }
        #expect(times == times.sorted())
    }

    @Test func allClientsWhereNoneIsNamed() throws {
        let s = try scenario()
        let (a, b) = (s.connect(), s.connect())
        s.ask(a, "DEBUG TRACE ON")
        s.ask(b, "PING")
        let lines = records(s, a)
        #expect(Set(lines.map(\.client)).isSuperset(of: [UInt64(id(s, a))!, UInt64(id(s, b))!]))
        #expect(lines.contains { $0.command == "ping" })
        #expect(records(s, a, "3").count == 3)
        #expect(s.ask(a, "DEBUG TRACE RESET") == "+OK\r\n")
        #expect(!records(s, a).contains { $0.command == "ping" })
    }

    @Test func unknownCommandsHaveNoName() throws {
        let s = try scenario()
        let client = s.connect()
        s.ask(client, "GET k")
        let lines = trace(s, client, "NOSUCH k")
        #expect(lines.first { $0.event == .executed }?.command == "")
    }

    @Test func endsByItself() throws {
        let s = try scenario()
        let client = s.connect()
        s.ask(client, "DEBUG TRACE ON")
        s.run(TraceRing.longest + .seconds(1))
        #expect(!s.server.shards[0].state.trace.isOn)
        // The sampling of time goes on.
        for _ in 0..<10 { s.ask(client, "PING") }
        #expect(s.server.shards[0].state.cycles.untilSample > 0)
    }

    @Test func whoMayUseIt() throws {
        let refusal = "-ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", "
        for (value, isAllowed) in [("no", false), ("local", false), ("yes", true)] {
            let s = Scenario(shards: 2, config: try Config(["enable-debug-command": value]))
            let client = s.connect()
            let reply = s.ask(client, "DEBUG TRACE ON")
            #expect(isAllowed ? reply == "+OK\r\n" : reply.hasPrefix(refusal), "\(value): \(reply)")
            #expect(s.server.shards.allSatisfy { $0.state.trace.isOn == isAllowed })
        }
    }

    @Test func wrongWords() throws {
        let s = try scenario(shards: 2)
        let client = s.connect()
        for words in ["FOO", "TRACE", "TRACE FOO", "TRACE ON CLIENT", "TRACE ON 3", "TRACE OFF x", "TRACE GET 1 2"] {
            #expect(
                s.ask(client, "DEBUG \(words)").hasPrefix("-ERR unknown subcommand or wrong number of arguments for '"),
                "\(words)")
        }
        #expect(s.ask(client, "DEBUG TRACE ON CLIENT x") == "-ERR client-id should be greater than 0\r\n")
        #expect(s.ask(client, "DEBUG TRACE GET -1") == "-ERR count should be greater than or equal to 0\r\n")
        #expect(s.ask(client, "DEBUG HELP").hasPrefix("*11\r\n+DEBUG <subcommand> [<arg> [value] [opt] ...]."))
    }

    @Test func linesAreReadAsTheyAreWritten() throws {
        let s = try scenario(shards: 2)
        let client = s.connect(on: 0)
        for line in trace(s, client, "GET \(s.key(of: 1))") { #expect(TraceLine(line.text) == line) }
        #expect(TraceLine("what") == nil && TraceLine("ns=1 shard=0 turn=1 event=nothing") == nil)
    }

    /// As `apus trace` prints it: one command, without what turned the trace off.
    @Test func theTimeline() {
        let timeline = TraceTimeline(
            """
            ns=500 shard=0 turn=4 event=delivered client=7 command=debug from=1
            ns=600 shard=0 turn=4 event=departed
            ns=1000 shard=0 turn=5 event=polled sockets=1
            ns=1200 shard=0 turn=5 event=session client=7 bytes=20
            ns=1250 shard=0 turn=5 event=parsed client=7 words=2
            ns=1300 shard=0 turn=5 event=sent client=7 command=get to=1
            ns=1900 shard=1 turn=9 event=taken client=7 command=get from=0
            ns=2100 shard=1 turn=9 event=executed client=7 command=get for=0
            ns=2500 shard=0 turn=6 event=delivered client=7 command=get from=1
            ns=2550 shard=0 turn=6 event=written client=7
            ns=4000 shard=0 turn=6 event=departed
            ns=9000 shard=0 turn=7 event=polled sockets=1
            ns=9100 shard=0 turn=7 event=session client=7 bytes=31
            ns=9150 shard=0 turn=7 event=parsed client=7 words=3
            """)
        let expected = """
                    ns    step  shard
                     0              0  epoll named 1 socket
                   200    +200      0  20 bytes of client 7 at hand for its session
                   250     +50      0  a request of 2 words parsed
                   300     +50      0  GET sent to shard 1
                   900    +600      1  GET taken from shard 0
                  1100    +200      1  GET executed for shard 0
                  1500    +400      0  the reply is back from shard 1
                  1550     +50      0  the reply is in the stream
                  3000   +1450      0  written to the socket

            """
        #expect(timeline.text == expected)
    }
}
