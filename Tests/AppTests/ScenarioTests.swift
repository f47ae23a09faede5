import Net
import Runtime
import Testing

@testable import App

/// Sessions that end while something is under way, and what becomes of it. Virtual time, several shards.
@Suite struct ScenarioEndTests {
    @Test func aProtocolErrorComesBehindTheRepliesBeforeIt() {
        let s = Scenario()
        let client = s.connect(on: 0)
        let (mine, other) = (s.key(of: 0), s.key(of: 1))
        s.ask(client, "SET \(other) v\nSET \(mine) w")
        client.send(Array("GET \(other)\r\nGET \(mine)\r\nGET \(other)\r\n*1\r\n!\r\n".utf8))
        s.run()
        let error = "-ERR Protocol error: expected '$', got '!'\r\n"
        #expect(s.heard(client) == "$1\r\nv\r\n$1\r\nw\r\n$1\r\nv\r\n" + error)
        #expect(client.isClosed)
        #expect(s.info(s.connect(), "protocol_errors") == 1)
    }

    @Test func quitWaitsForWhatIsBeforeIt() {
        let s = Scenario()
        let client = s.connect(on: 0)
        let other = s.key(of: 1)
        #expect(s.ask(client, "SET \(other) v\nGET \(other)\nQUIT\nSET \(other) w") == "+OK\r\n$1\r\nv\r\n+OK\r\n")
        #expect(client.isClosed)
        #expect(s.ask(s.connect(), "GET \(other)") == "$1\r\nv\r\n")
    }

    @Test func halfCloseIsAnsweredToTheEnd() {
        for shards in [1, 2, 3] {
            let s = Scenario(shards: shards)
            let client = s.connect(on: 0)
            let keys = (0..<shards).map { s.key(of: $0) }
            for key in keys { s.say(client, "SET \(key) v") }
            for _ in 0..<50 { for key in keys { s.say(client, "GET \(key)") } }
            client.close()
            s.run(.milliseconds(100))
            #expect(
                s.heard(client) == String(repeating: "+OK\r\n", count: shards)
                    + String(repeating: "$1\r\nv\r\n", count: 50 * shards))
            #expect(client.isClosed)
            s.run(.seconds(1))
            #expect(s.leak() == nil)
        }
    }

    @Test func aSlowReaderThatHalfClosedGetsEverything() {
        let s = Scenario(shards: 1, frames: 1024)
        let client = s.connect()
        s.ask(client, "SETRANGE big 4999999 x")
        client.isReading = false
        s.say(client, "GET big")
        client.close()
        s.run(.seconds(1))
        var count = 0
        // 15 seconds, a bit each second.
        for _ in 0..<15 {
            client.isReading = true
            s.turn()
            client.isReading = false
            s.run(.seconds(1))
            count += client.takeReplies().count
        }
        #expect(!client.isClosed || count == 5_000_012)
        client.isReading = true
        s.run(.seconds(5))
        count += client.takeReplies().count
        #expect(count == 5_000_012)
        #expect(client.isClosed)
    }

    @Test func killingASessionOfAnotherShard() {
        let s = Scenario()
        let killer = s.connect(on: 0)
        let victim = s.connect(on: 1)
        let id = s.ask(victim, "CLIENT ID").dropFirst().dropLast()
        // With requests under way.
        for _ in 0..<300 { s.say(victim, "GET \(s.key(of: 0))") }
        #expect(s.ask(killer, "CLIENT KILL ID \(id)") == ":1\r\n")
        #expect(victim.isClosed)
        #expect(s.server.liveSessions == 1)
        #expect(s.ask(killer, "CLIENT KILL ID \(id)") == ":0\r\n")
        killer.abort()
        s.run()
        #expect(s.leak() == nil)
    }

    @Test func killingOneselfIsAnswered() {
        for shards in [1, 2] {
            let s = Scenario(shards: shards)
            let client = s.connect(on: 0)
            let key = s.key(of: shards - 1)
            let id = s.ask(client, "CLIENT ID").dropFirst().dropLast()
            let heard = s.ask(client, "SET \(key) 1\nCLIENT KILL ID \(id) SKIPME no\nSET \(key) 2\nPING")
            #expect(heard == "+OK\r\n:1\r\n")
            #expect(client.isClosed)
            #expect(s.ask(s.connect(), "GET \(key)") == "$1\r\n1\r\n")
        }
    }

    @Test func vanishingWithCommandsUnderWay() {
        let s = Scenario(shards: 3)
        let keys = (0..<3).map { s.key(of: $0) }
        for turns in 0..<40 {
            let client = s.connect(on: turns % 3)
            for key in keys { s.say(client, "SET \(key) v\nGET \(key)\nDBSIZE\nEXISTS \(keys.joined(separator: " "))") }
            for _ in 0..<turns { s.turn() }
            client.abort()
            s.run()
            #expect(s.leak() == nil, "after \(turns) turns")
        }
    }

    @Test func aClientThatGoesOnTalkingAfterQuitIsEnded() {
        let s = Scenario(shards: 1)
        let client = s.connect()
        s.ask(client, "QUIT")
        for _ in 0..<30 { s.ask(client, "PING", for: .seconds(1)) }
        #expect(s.server.liveSessions == 0)
    }
}

/// What holds over shards: reply modes, limits, configuration.
@Suite struct ScenarioShardTests {
    @Test func skippingASkippedReplyWithoutCredit() {
        let s = Scenario()
        let crowd = (0..<3).map { _ in s.connect(on: 0) }
        let client = s.connect(on: 0)
        let other = s.key(of: 1)
        // More commands for the other shard than it may have at a time, then one whose reply is not wanted.
        for one in crowd { s.say(one, Array(repeating: "GET \(other)", count: 200).joined(separator: "\n")) }
        s.say(client, "CLIENT REPLY SKIP\nSET \(other) v\nGET \(other)")
        s.run()
        #expect(s.heard(client) == "$1\r\nv\r\n")
    }

    @Test func thousandsOfCommandsForOneShard() {
        let s = Scenario()
        let other = s.key(of: 1)
        let crowd = (0..<20).map { _ in s.connect(on: 0) }
        for client in crowd { s.say(client, Array(repeating: "INCR \(other)", count: 500).joined(separator: "\n")) }
        s.run(.milliseconds(200))
        var all: [Int] = []
        for client in crowd {
            let numbers = s.heard(client).split(separator: "\r\n").compactMap { Int($0.dropFirst()) }
            #expect(numbers.count == 500)
            #expect(numbers == numbers.sorted())
            all += numbers
        }
        #expect(all.sorted() == Array(1...10_000))
    }

    @Test func helloWhileRepliesAreSkipped() {
        for shards in [1, 2] {
            let s = Scenario(shards: shards)
            let client = s.connect(on: 0)
            #expect(s.ask(client, "CLIENT REPLY SKIP\nHELLO 3\nGET none\nGET \(s.key(of: shards - 1))") == "_\r\n_\r\n")
        }
    }

    @Test func helloAroundRemoteCommands() {
        let s = Scenario()
        let client = s.connect(on: 0)
        let (mine, other) = (s.key(of: 0), s.key(of: 1))
        let heard = s.ask(
            client, "GET \(other)\nHELLO 3\nGET \(other)\nGET \(mine)\nHELLO 2\nGET \(other)\nGET \(mine)")
        #expect(heard.hasPrefix("$-1\r\n%7\r\n"))
        #expect(heard.contains("*0\r\n_\r\n_\r\n*14\r\n"))
        #expect(heard.hasSuffix("*0\r\n$-1\r\n$-1\r\n"))
    }

    @Test func selectWithRemoteKeys() {
        let s = Scenario()
        let client = s.connect(on: 0)
        let other = s.key(of: 1)
        let heard = s.ask(
            client,
            "SET \(other) a\nSELECT 5\nGET \(other)\nSET \(other) b\nSELECT 0\nGET \(other)\nSELECT 5\nGET \(other)")
        #expect(heard == "+OK\r\n+OK\r\n$-1\r\n+OK\r\n+OK\r\n$1\r\na\r\n+OK\r\n$1\r\nb\r\n")
    }

    @Test func configSetFromTheOtherShard() {
        let s = Scenario()
        for shard in 0..<2 {
            let client = s.connect(on: shard)
            #expect(
                s.ask(client, "CONFIG SET timeout 7\(shard)\nCONFIG GET timeout")
                    == "+OK\r\n*2\r\n$7\r\ntimeout\r\n$2\r\n7\(shard)\r\n")
            #expect(s.ask(s.connect(on: 1 - shard), "CONFIG GET timeout").hasSuffix("7\(shard)\r\n"))
        }
    }

    @Test func theLongestBulkStringFollowsTheConfiguration() {
        let s = Scenario()
        for shard in 0..<2 {
            s.ask(s.connect(on: shard), "CONFIG SET proto-max-bulk-len 1mb")
            let client = s.connect(on: 1 - shard)
            client.send(Array("*2\r\n$4\r\nECHO\r\n$1048577\r\n".utf8))
            s.run()
            #expect(s.heard(client) == "-ERR Protocol error: invalid bulk length\r\n")
            s.ask(s.connect(on: shard), "CONFIG SET proto-max-bulk-len 2mb")
            let another = s.connect(on: 1 - shard)
            another.send(Array("*2\r\n$4\r\nECHO\r\n$1048577\r\n".utf8))
            s.run()
            #expect(s.heard(another) == "")
        }
    }

    /// A segment of a connection that no shard knows is answered by RST, wherever it arrives.
    @Test func forgottenConnections() {
        let s = Scenario(shards: 3, queues: 2)
        let clients = (0..<10).map { _ in s.connect() }
        s.server.wire.faults.loss = 1
        #expect(s.server.liveSessions == 10)
        for shard in s.server.shards {
            var walk = shard.state.sessions.first
            while let session = walk {
                shard.state.closeSoon(session)
                walk = shard.state.sessions.next(after: session)
            }
        }
        s.run()
        s.server.wire.faults.loss = 0
        #expect(s.server.liveSessions == 0)
        for client in clients {
            #expect(s.ask(client, "PING", for: .seconds(1)) == "")
            #expect(client.isClosed)
        }
        #expect(s.leak() == nil)
    }

    @Test func commandsOnAllShardsCountOnce() {
        let s = Scenario(shards: 3)
        let client = s.connect()
        let keys = (0..<3).map { s.key(of: $0) }.joined(separator: " ")
        let before = s.info(client, "total_commands_processed")!
        s.ask(client, "DBSIZE\nEXISTS \(keys)\nPING")
        #expect(s.info(client, "total_commands_processed")! == before + 4)
    }
}

/// Who has not logged in.
@Suite struct ScenarioPasswordTests {
    let s = Scenario(config: try! Config(["requirepass": "secret"]))

    @Test func nothingButLoggingIn() {
        for shard in 0..<2 {
            let client = s.connect(on: shard)
            let refused = "-NOAUTH Authentication required.\r\n"
            let lines = [
                "GET \(s.key(of: 0))", "GET \(s.key(of: 1))", "DBSIZE", "FLUSHALL", "INFO", "CONFIG GET requirepass",
                "CONFIG SET timeout 1", "CLIENT LIST", "CLIENT ID", "COMMAND COUNT", "SHUTDOWN", "SELECT 1", "PING",
                "EXISTS \(s.key(of: 0)) \(s.key(of: 1))", "CLIENT REPLY OFF",
            ]
            for line in lines { #expect(s.ask(client, line) == refused, "\(line)") }
            #expect(s.ask(client, "HELLO 3 AUTH default wrong").hasPrefix("-WRONGPASS"))
            #expect(s.ask(client, "PING") == refused)
            #expect(s.ask(client, "HELLO 3 AUTH default secret\nGET none").hasSuffix("*0\r\n_\r\n"))
            #expect(s.ask(client, "RESET\nPING") == "+RESET\r\n" + refused)
            #expect(s.ask(client, "QUIT") == "+OK\r\n")
        }
        #expect(!s.server.isShutDown)
    }

    @Test func theyMayDeclareLittle() {
        func expect(_ request: [UInt8], _ reply: String, sourceLocation: SourceLocation = #_sourceLocation) {
            let client = s.connect()
            client.send(request)
            s.run(.milliseconds(50))
            #expect(s.heard(client) == reply, sourceLocation: sourceLocation)
        }
        expect(Array("*11\r\n".utf8), "-ERR Protocol error: unauthenticated multibulk length\r\n")
        expect(Array("*2\r\n$4\r\nAUTH\r\n$16385\r\n".utf8), "-ERR Protocol error: unauthenticated bulk length\r\n")
        expect(Array("*2\r\n$4\r\nAUTH\r\n$16384\r\n".utf8), "")
        let value = [UInt8](repeating: 120, count: 100_000)
        let login = Array("*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n".utf8)
        expect(login + encode([Array("SET".utf8), Array("k".utf8), value]), "+OK\r\n+OK\r\n")
        expect(login + encode(Array(repeating: Array("EXISTS".utf8), count: 20)), "+OK\r\n:0\r\n")
    }
}

/// maxclients, timeout, output limits, memory.
@Suite struct ScenarioLimitTests {
    @Test func maxclientsCountsOverShards() throws {
        let s = Scenario(config: try Config(["maxclients": "4"]))
        let welcome = (0..<4).map { s.connect(on: $0 % 2) }
        let refused = (0..<3).map { _ in s.connect() }
        for client in refused {
            #expect(s.heard(client) == "-ERR max number of clients reached\r\n")
            #expect(client.isClosed)
        }
        // The refused ones do not close, and take nobody's place all the same.
        welcome[0].abort()
        s.run()
        let next = s.connect()
        #expect(s.ask(next, "PING") == "+PONG\r\n")
        #expect(s.info(next, "rejected_connections") == 3)
        #expect(s.info(next, "connected_clients") == 4)
        #expect(s.heard(s.connect()) == "-ERR max number of clients reached\r\n")
        for client in s.clients { client.abort() }
        s.run()
        #expect(s.leak() == nil)
    }

    @Test func silentClientsAreDisconnected() throws {
        let s = Scenario(config: try Config(["timeout": "3"]))
        let clients = (0..<6).map { _ in s.connect() }
        s.run(.seconds(2))
        s.ask(clients[0], "PING")
        s.run(.seconds(2))
        #expect(clients.map(\.isClosed) == [false, true, true, true, true, true])
        s.run(.seconds(2))
        #expect(clients[0].isClosed)
        #expect(s.leak() == nil)
    }

    @Test func aReaderThatGoesOnReadingIsNotIdle() throws {
        let s = Scenario(shards: 1, frames: 1024, config: try Config(["timeout": "3"]))
        let client = s.connect()
        s.ask(client, "SETRANGE big 3999999 x")
        client.isReading = false
        s.say(client, "GET big")
        var count = 0
        for _ in 0..<10 {
            client.isReading = true
            s.turn()
            client.isReading = false
            s.run(.seconds(1))
            count += client.takeReplies().count
        }
        #expect(!client.isClosed)
        client.isReading = true
        s.run(.seconds(2))
        #expect(count + client.takeReplies().count == 4_000_012)
        // One that has stopped is.
        client.isReading = false
        s.say(client, "GET big")
        s.run(.seconds(5))
        client.isReading = true
        s.run()
        #expect(client.isClosed)
        #expect(s.leak() == nil)
    }

    @Test func outputLimit() throws {
        let s = Scenario(config: try Config(["client-output-buffer-limit": "normal 1mb 0 0"]))
        for shard in 0..<2 {
            for owner in 0..<2 {
                let client = s.connect(on: shard)
                let key = s.key(of: owner)
                s.ask(client, "SETRANGE \(key) 299999 x")
                client.isReading = false
                for _ in 0..<8 { s.say(client, "GET \(key)") }
                s.run()
                client.isReading = true
                s.run()
                #expect(client.isClosed, "session on \(shard), key on \(owner)")
            }
        }
        let client = s.connect()
        #expect(s.info(client, "client_output_buffer_limit_disconnections") == 4)
        client.abort()
        s.run()
        #expect(s.leak() == nil)
    }

    @Test func softOutputLimit() throws {
        let s = Scenario(shards: 1, config: try Config(["client-output-buffer-limit": "normal 0 100kb 3"]))
        let client = s.connect()
        s.ask(client, "SETRANGE k 999999 x")
        client.isReading = false
        s.say(client, "GET k")
        s.run(.seconds(2))
        client.isReading = true
        s.run(.seconds(1))
        // Below the limit for a while: the seconds begin anew.
        client.isReading = false
        s.ask(client, "GET k", for: .seconds(2))
        #expect(s.server.liveSessions == 1)
        s.run(.seconds(2))
        #expect(s.server.liveSessions == 0)
    }

    @Test func idleClientsHoldNoFrame() {
        let s = Scenario(shards: 1)
        let idle = s.server.freeFrames
        let client = s.connect()
        s.ask(client, "SET k v")
        s.run(.seconds(1))
        #expect(s.server.freeFrames == idle)
        client.send(Array("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\nhalf".utf8))
        s.run(.seconds(1))
        #expect(s.server.freeFrames == idle)
    }

    @Test func slowReadersLeaveFramesForOthers() {
        let s = Scenario(shards: 1, frames: 2048)
        let other = s.connect()
        s.ask(other, "SETRANGE big 999999 x")
        for _ in 0..<60 {
            let slow = s.connect(frames: 256)
            slow.isReading = false
            s.say(slow, "GET big")
        }
        s.run(.milliseconds(200))
        #expect(s.server.freeFrames >= 2048 / 8 - 64)
        #expect(s.ask(other, "PING") == "+PONG\r\n")
        #expect(s.ask(other, "SET k v\nGET k") == "+OK\r\n$1\r\nv\r\n")
        for client in s.clients { client.abort() }
        s.run()
        #expect(s.leak() == nil)
    }

    @Test func largeValuesCrossShards() {
        let s = Scenario()
        let client = s.connect(on: 0)
        let other = s.key(of: 1)
        let value = [UInt8](repeating: 7, count: 3 << 20)
        let key = Array(other.utf8)
        for _ in 0..<2 { client.send(encode([Array("SET".utf8), key, value]) + encode([Array("GET".utf8), key])) }
        s.run(.milliseconds(500))
        let reply = Array("+OK\r\n$\(value.count)\r\n".utf8) + value + [13, 10]
        #expect(client.takeReplies() == reply + reply)
        client.abort()
        s.run()
        #expect(s.leak() == nil)
    }
}
