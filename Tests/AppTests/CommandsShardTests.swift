import Net
import Testing

@testable import App

/// Commands that every shard does a part of.
@Suite struct CommandsShardTests {
    let server = CommandServer(shards: 3)
    let clients: [CommandSession]

    init() {
        let server = server
        clients = [2, 0, 1].map {
            CommandSession(
                server, shard: $0, remote: Endpoint(address: IPv4Address(10, 77, 0, 1), port: UInt16(100 + $0)))
        }
    }

    @Test func sizesAddUp() {
        clients[0].run("SET a 1")
        clients[1].run("SET b 1 EX 10")
        clients[1].run("SET c 1")
        clients[2].run("SELECT 4")
        clients[2].run("SET d 1")
        clients[0].expect("DBSIZE", ":3\r\n")
        clients[2].expect("DBSIZE", ":1\r\n")
        let info = clients[1].run("INFO keyspace")
        #expect(info.contains("db0:keys=3,expires=1,avg_ttl=0\r\ndb4:keys=1,expires=0,avg_ttl=0\r\n"))
        let shards = clients[1].run("INFO shards")
        #expect(shards.contains("\r\nshard2:clients=1,"))
        #expect(clients[1].run("INFO clients").contains("connected_clients:3\r\n"))
    }

    @Test func flushReachesAllShards() {
        for client in clients { client.run("SET a 1") }
        clients[0].run("SELECT 1")
        clients[0].run("SET a 1")
        clients[1].expect("FLUSHDB nonsense", "-ERR syntax error\r\n")
        clients[1].expect("DBSIZE", ":3\r\n")
        clients[1].expect("FLUSHDB", "+OK\r\n")
        clients[1].expect("DBSIZE", ":0\r\n")
        clients[0].expect("DBSIZE", ":1\r\n")
        clients[1].expect("FLUSHALL", "+OK\r\n")
        clients[0].expect("DBSIZE", ":0\r\n")
    }

    @Test func listIsInTheOrderOfIDs() {
        #expect(clients.map(\.session.id) == [3, 1, 2])
        let lines = clients[0].clientLines("CLIENT LIST")
        #expect(lines.map { $0.prefix(5) } == ["id=1 ", "id=2 ", "id=3 "])
        let asked = clients[0].clientLines("CLIENT LIST ID 2 3 1 2")
        #expect(asked.map { $0.prefix(5) } == ["id=2 ", "id=3 ", "id=1 ", "id=2 "])
    }

    @Test func killReachesAllShardsButTheCaller() {
        clients[0].expect("CLIENT KILL TYPE normal", ":2\r\n")
        #expect(server.shards.map { $0.pendingClose.map(\.id) } == [[1], [2], []])
        clients[0].expect("CLIENT KILL ID 3 SKIPME no", ":1\r\n")
        #expect(clients[0].session.state.pointee.flags.contains(.closeAfterReply))
        clients[0].expect("CLIENT KILL 10.77.0.1:100", "-ERR No such client\r\n")
    }

    @Test func resetstatReachesAllShards() {
        for client in clients { client.run("GET nothing") }
        #expect(clients[0].run("INFO stats").contains("keyspace_misses:3\r\n"))
        clients[0].expect("CONFIG RESETSTAT", "+OK\r\n")
        #expect(clients[0].run("INFO stats").contains("keyspace_misses:0\r\n"))
    }

    @Test func everyShardSeesAChangedConfig() {
        clients[1].expect("CONFIG SET timeout 7", "+OK\r\n")
        clients[1].expect("CONFIG GET timeout", "*2\r\n$7\r\ntimeout\r\n$1\r\n7\r\n")
        clients[2].expect("CONFIG GET timeout", "*2\r\n$7\r\ntimeout\r\n$1\r\n7\r\n")
    }
}
