import Net
import Runtime
import Testing

@testable import App

/// CLIENT LIST and CLIENT KILL with several clients.
@Suite struct SessionsListTests {
    let server = CommandServer()
    let first: CommandSession
    let second: CommandSession
    let third: CommandSession

    init() {
        func client(_ port: UInt16, _ server: CommandServer) -> CommandSession {
            CommandSession(server, remote: Endpoint(address: IPv4Address(10, 77, 0, 1), port: port))
        }
        first = client(1001, server)
        second = client(1002, server)
        server.advance(milliseconds: 5500)
        third = client(1003, server)
    }

    @Test func lineFormat() {
        first.run("CLIENT SETNAME joe")
        first.run("SELECT 2")
        let line = """
            id=1 addr=10.77.0.1:1001 laddr=10.77.0.2:6379 fd=-1 name=joe age=5 idle=5 flags=N db=2 sub=0 psub=0 \
            ssub=0 multi=-1 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 \
            tot-mem=
            """
        let reply = first.run("CLIENT INFO")
        #expect(reply.hasPrefix("$"))
        #expect(reply.contains(line), "\(reply)")
        #expect(reply.contains(" events=r cmd=client|info user=default redir=-1 resp=2 lib-name= lib-ver=\n\r\n"))
        first.run("HELLO 3")
        let verbatim = first.run("CLIENT INFO")
        #expect(verbatim.hasPrefix("="))
        #expect(verbatim.contains("\r\ntxt:id=1 addr="))
    }

    @Test func list() {
        second.run("GET k")
        let all = first.clientLines("CLIENT LIST")
        #expect(all.map { $0.prefix(5) } == ["id=1 ", "id=2 ", "id=3 "])
        #expect(all[0].contains(" cmd=client|list "))
        #expect(all[1].contains(" cmd=get "))
        #expect(all[2].contains(" cmd=NULL "))
        #expect(all[1].contains(" age=5 "))
        #expect(all[2].contains(" age=0 "))
        #expect(first.clientLines("CLIENT LIST TYPE normal").count == 3)
        #expect(first.clientLines("CLIENT LIST ID 3 1 77 3").map { $0.prefix(5) } == ["id=3 ", "id=1 ", "id=3 "])
    }

    @Test func listErrors() {
        let s = first
        s.expect("CLIENT LIST TYPE master", "$0\r\n\r\n")
        s.expect("CLIENT LIST TYPE replica", "$0\r\n\r\n")
        s.expect("CLIENT LIST TYPE SLAVE", "$0\r\n\r\n")
        s.expect("CLIENT LIST TYPE pubsub", "$0\r\n\r\n")
        s.expect("CLIENT LIST ID 999999", "$0\r\n\r\n")
        s.expect("CLIENT LIST TYPE foo", "-ERR Unknown client type 'foo'\r\n")
        s.expect("CLIENT LIST TYPE", "-ERR syntax error\r\n")
        s.expect("CLIENT LIST ID", "-ERR syntax error\r\n")
        s.expect("CLIENT LIST ID a", "-ERR Invalid client ID\r\n")
        s.expect("CLIENT LIST ID 1 a", "-ERR Invalid client ID\r\n")
        s.expect("CLIENT LIST foo", "-ERR syntax error\r\n")
        s.expect("CLIENT LIST foo bar", "-ERR syntax error\r\n")
    }

    @Test func killErrors() {
        let s = first
        s.expect("CLIENT KILL", "-ERR wrong number of arguments for 'client|kill' command\r\n")
        s.expect("CLIENT KILL 1.2.3.4:5", "-ERR No such client\r\n")
        s.expect("CLIENT KILL ID", "-ERR No such client\r\n")
        s.expect("CLIENT KILL ID 0", "-ERR client-id should be greater than 0\r\n")
        s.expect("CLIENT KILL ID -1", "-ERR client-id should be greater than 0\r\n")
        s.expect("CLIENT KILL ID a", "-ERR client-id should be greater than 0\r\n")
        s.expect("CLIENT KILL ID 99999", ":0\r\n")
        s.expect("CLIENT KILL ID 99999 TYPE", "-ERR syntax error\r\n")
        s.expect("CLIENT KILL FOO bar", "-ERR syntax error\r\n")
        s.expect("CLIENT KILL TYPE foo", "-ERR Unknown client type 'foo'\r\n")
        s.expect("CLIENT KILL TYPE replica", ":0\r\n")
        s.expect("CLIENT KILL USER joe", "-ERR No such user 'joe'\r\n")
        s.expect("CLIENT KILL SKIPME maybe", "-ERR syntax error\r\n")
        s.expect("CLIENT KILL ADDR 1.2.3.4:5", ":0\r\n")
        s.expect("CLIENT KILL LADDR 1.2.3.4:5", ":0\r\n")
        s.expect("CLIENT KILL ID 99999 ADDR 1.2.3.4:5 SKIPME no", ":0\r\n")
    }

    // MAXAGE is of Redis 7.4: not for comparison.
    @Test func killByAge() {
        first.expect("CLIENT KILL MAXAGE x", "-ERR maxage is not an integer or out of range\r\n")
        first.expect("CLIENT KILL MAXAGE 0", "-ERR maxage should be greater than 0\r\n")
        first.expect("CLIENT KILL MAXAGE 6", ":0\r\n")
        first.expect("CLIENT KILL MAXAGE 5", ":1\r\n")
        #expect(server.shard.pendingClose.map(\.id) == [2])
    }

    // Kills: not for comparison.
    @Test func killByAddress() {
        first.expect("CLIENT KILL 10.77.0.1:1003", "+OK\r\n")
        #expect(server.shard.pendingClose.map(\.id) == [3])
        #expect(third.session.state.pointee.flags.contains(.closeNow))
        // Only once.
        first.expect("CLIENT KILL 10.77.0.1:1003", "-ERR No such client\r\n")
        first.expect("CLIENT KILL ADDR 10.77.0.1:1002 LADDR 10.77.0.2:6379 ID 2 USER default TYPE normal", ":1\r\n")
        #expect(server.shard.pendingClose.map(\.id) == [3, 2])
    }

    // Kills: not for comparison.
    @Test func killingOneself() {
        first.expect("CLIENT KILL ID 1", ":0\r\n")
        first.expect("CLIENT KILL TYPE normal", ":2\r\n")
        #expect(server.shard.pendingClose.map(\.id) == [2, 3])
        first.expect("CLIENT KILL ADDR 10.77.0.1:1001 SKIPME no", ":1\r\n")
        #expect(first.session.state.pointee.flags.contains(.closeAfterReply))
        #expect(server.shard.pendingClose.map(\.id) == [2, 3])
    }

    // Kills: not for comparison.
    @Test func theOldFormKillsItsOwnClient() {
        first.expect("CLIENT KILL 10.77.0.1:1001", "+OK\r\n")
        #expect(first.session.state.pointee.flags.contains(.closeAfterReply))
    }
}
