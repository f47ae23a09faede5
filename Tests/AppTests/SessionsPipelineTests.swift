import Net
import Runtime
import Testing

@testable import App

/// Pipelines of inline commands through the whole server on a simulated wire: what the client reads, to the byte, and
/// whether the server closes. Each with one shard and with several. The texts are those of redis-server.
@Suite struct SessionsPipelineTests {
    /// Several lines of requests against the bytes that come back. `closed`: the server ends the connection.
    private func expect(
        _ lines: String, _ replies: String, closed: Bool = false, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        for shards in [1, 3] {
            let server = SimulatedServer(shards: shards, seed: 1)
            let client = SimulatedClient(
                number: 0, wire: server.wire, entropy: Entropy(seed: 2), now: server.clock.monotonic)
            defer { client.deallocate() }
            client.keepsReplies = true
            client.connect(now: server.clock.monotonic)
            client.send(Array(lines.replacing("\n", with: "\r\n").utf8))
            for _ in 0..<100 {
                server.clock.advance(by: .microseconds(100))
                server.wire.advance(now: server.clock.monotonic)
                _ = server.turn()
                _ = client.turn(now: server.clock.monotonic)
            }
            let received = String(decoding: client.takeReplies(), as: UTF8.self)
            #expect(received == replies, "\(shards) shards: \(lines)", sourceLocation: sourceLocation)
            #expect(client.isClosed == closed, "\(shards) shards: \(lines)", sourceLocation: sourceLocation)
        }
    }

    @Test func replyModes() {
        expect(
            """
            CLIENT REPLY SKIP
            CLIENT REPLY SKIP
            PING 1
            PING 2
            CLIENT REPLY OFF
            PING 3
            CLIENT REPLY SKIP
            PING
            CLIENT REPLY ON
            PING 4

            """, "$1\r\n2\r\n+OK\r\n$1\r\n4\r\n")
        expect("CLIENT REPLY OFF\nPING\nRESET\nPING 4\n", "+RESET\r\n$1\r\n4\r\n")
        expect("CLIENT REPLY SKIP\nRESET\nPING\n", "+PONG\r\n")
        expect("CLIENT REPLY SKIP\nGET k\nGET k\nPING\n", "$-1\r\n+PONG\r\n")
        expect("CLIENT REPLY SKIP\nDBSIZE\nDBSIZE\n", ":0\r\n")
        expect("CLIENT REPLY SKIP\nGET\nPING\n", "+PONG\r\n")
        expect(
            "CLIENT REPLY SKIP\nFOO\nFOO\n", "-ERR unknown command 'FOO', with args beginning with: \r\n")
        expect("CLIENT REPLY OFF\nCLIENT REPLY SKIP\nCLIENT REPLY ON\nPING\nPING\n", "+OK\r\n+PONG\r\n+PONG\r\n")
        expect(
            "SET a 1\nSET b 2\nSET c 3\nCLIENT REPLY SKIP\nDEL a b c\nEXISTS a b c\n",
            "+OK\r\n+OK\r\n+OK\r\n:0\r\n")
    }

    @Test func nothingRunsAfterTheEnd() {
        expect("PING\nQUIT x\nPING\n", "+PONG\r\n+OK\r\n", closed: true)
        expect("SET a 1\nQUIT\nSET a 2\n", "+OK\r\n+OK\r\n", closed: true)
        expect("CLIENT KILL TYPE normal SKIPME no\nPING\n", ":1\r\n", closed: true)
        expect("CLIENT KILL TYPE normal\nPING\n", ":0\r\n+PONG\r\n")
    }

    @Test func databasesOfAPipeline() {
        expect(
            "SELECT 3\nSET kk 1\nSELECT 0\nEXISTS kk\nSELECT 3\nEXISTS kk\nDBSIZE\nRESET\nEXISTS kk\n",
            "+OK\r\n+OK\r\n+OK\r\n:0\r\n+OK\r\n:1\r\n:1\r\n+RESET\r\n:0\r\n")
    }

    @Test func protocolOfAPipeline() {
        expect("GET a\nRESET\nGET a\n", "$-1\r\n+RESET\r\n$-1\r\n")
        expect("HELLO 9\nGET a\n", "-NOPROTO unsupported protocol version\r\n$-1\r\n")
    }

    @Test func passwords() {
        expect(
            """
            CONFIG SET requirepass foo
            PING
            RESET
            PING
            GET a
            FOO
            GET
            AUTH x
            AUTH foo
            PING
            CONFIG SET requirepass ""
            RESET
            PING

            """,
            """
            +OK\r\n+PONG\r\n+RESET\r\n-NOAUTH Authentication required.\r\n-NOAUTH Authentication required.\r\n\
            -ERR unknown command 'FOO', with args beginning with: \r\n\
            -ERR wrong number of arguments for 'get' command\r\n\
            -WRONGPASS invalid username-password pair or user is disabled.\r\n+OK\r\n+PONG\r\n+OK\r\n+RESET\r\n\
            +PONG\r\n
            """)
    }

    @Test func configOfAPipeline() {
        expect(
            "CONFIG SET timeout 9\nCONFIG GET timeout\nCONFIG SET nosuch 1\nCONFIG RESETSTAT\n",
            """
            +OK\r\n*2\r\n$7\r\ntimeout\r\n$1\r\n9\r\n\
            -ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'\r\n+OK\r\n
            """)
    }
}
