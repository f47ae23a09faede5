import Net
import Runtime
import Testing

@testable import App

/// Commands about connections, and the table of sessions behind them.
@Suite struct SessionsTests {
    let s = CommandSession(remote: Endpoint(address: IPv4Address(10, 77, 0, 1), port: 40000))

    @Test func pingAndEcho() {
        s.expect("PING", "+PONG\r\n")
        s.expect("PING hello", "$5\r\nhello\r\n")
        s.expect("PING a b", "-ERR wrong number of arguments for 'ping' command\r\n")
        s.expect("ECHO hello", "$5\r\nhello\r\n")
        s.expect("ECHO", "-ERR wrong number of arguments for 'echo' command\r\n")
        s.expect("foo bar", "-ERR unknown command 'foo', with args beginning with: 'bar' \r\n")
    }

    @Test func select() {
        s.expect("SELECT", "-ERR wrong number of arguments for 'select' command\r\n")
        s.expect("SELECT a", "-ERR value is not an integer or out of range\r\n")
        s.expect("SELECT 16", "-ERR DB index is out of range\r\n")
        s.expect("SELECT -1", "-ERR DB index is out of range\r\n")
        s.expect(
            "SELECT 2147483648", "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n")
        s.expect("SELECT 15", "+OK\r\n")
        s.run("SET k v")
        s.expect("SELECT 0", "+OK\r\n")
        s.expect("GET k", "$-1\r\n")
        s.expect("SELECT 15", "+OK\r\n")
        s.expect("GET k", "$1\r\nv\r\n")
    }

    @Test func time() {
        s.expect("TIME x", "-ERR wrong number of arguments for 'time' command\r\n")
        s.server.advance(milliseconds: 1234)
        let reply = s.run("TIME")
        #expect(reply == "*2\r\n$10\r\n1700000001\r\n$6\r\n234000\r\n")
    }

    @Test func quit() {
        s.expect("QUIT", "+OK\r\n")
        #expect(s.session.state.pointee.flags.contains(.closeAfterReply))
    }

    @Test func helloErrors() {
        s.expect("HELLO 1", "-NOPROTO unsupported protocol version\r\n")
        s.expect("HELLO 4", "-NOPROTO unsupported protocol version\r\n")
        s.expect("HELLO two", "-ERR Protocol version is not an integer or out of range\r\n")
        s.expect("HELLO 3 FOO", "-ERR Syntax error in HELLO option 'FOO'\r\n")
        s.expect("HELLO 3 AUTH default", "-ERR Syntax error in HELLO option 'AUTH'\r\n")
        s.expect("HELLO 3 SETNAME", "-ERR Syntax error in HELLO option 'SETNAME'\r\n")
        s.expect(
            "HELLO 3 SETNAME \"a b\"",
            "-ERR Client names cannot contain spaces, newlines or special characters.\r\n")
        s.expect("HELLO 3 AUTH joe x", "-WRONGPASS invalid username-password pair or user is disabled.\r\n")
        // None of them changed the protocol.
        s.expect("GET none", "$-1\r\n")
    }

    @Test func hello() {
        let id = s.session.id
        let facts = { (proto: Int) in
            """
            $6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.2.4\r\n$5\r\nproto\r\n:\(proto)\r\n$2\r\nid\r\n\
            :\(id)\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n
            """
        }
        #expect(s.run("HELLO") == "*14\r\n" + facts(2))
        #expect(s.run("HELLO 3") == "%7\r\n" + facts(3))
        #expect(s.run("HELLO") == "%7\r\n" + facts(3))
        #expect(s.run("HELLO 2 SETNAME joe AUTH default anything") == "*14\r\n" + facts(2))
        s.expect("CLIENT GETNAME", "$3\r\njoe\r\n")
    }

    @Test func authWithoutPassword() {
        s.expect(
            "AUTH secret",
            "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?\r\n"
        )
        s.expect("AUTH default secret", "+OK\r\n")
        s.expect("AUTH joe secret", "-WRONGPASS invalid username-password pair or user is disabled.\r\n")
        s.expect("AUTH a b c", "-ERR syntax error\r\n")
        s.expect("AUTH", "-ERR wrong number of arguments for 'auth' command\r\n")
    }

    // A server of its own with a password: not for comparison with the real one.
    @Test func authWithPassword() throws {
        let s = CommandSession(CommandServer(try Config(["requirepass": "secret"])))
        #expect(!s.session.isAuthenticated)
        s.expect("AUTH wrong", "-WRONGPASS invalid username-password pair or user is disabled.\r\n")
        s.expect("AUTH default wrongs", "-WRONGPASS invalid username-password pair or user is disabled.\r\n")
        s.expect("AUTH joe secret", "-WRONGPASS invalid username-password pair or user is disabled.\r\n")
        let refusal = s.run("HELLO 3")
        #expect(refusal.hasPrefix("-NOAUTH HELLO must be called with the client already authenticated, otherwise the"))
        #expect(!s.session.isRESP3)
        #expect(!s.session.isAuthenticated)
        s.expect("AUTH secret", "+OK\r\n")
        #expect(s.session.isAuthenticated)
        s.expect("RESET", "+RESET\r\n")
        #expect(!s.session.isAuthenticated)
        #expect(s.run("HELLO 3 AUTH default secret").hasPrefix("%7\r\n"))
        #expect(s.session.isAuthenticated)
    }

    @Test func reset() {
        s.run("HELLO 3 SETNAME joe")
        s.run("CLIENT SETINFO lib-name lib")
        s.run("CLIENT NO-EVICT on")
        s.run("SELECT 3")
        s.run("CLIENT REPLY OFF")
        s.expect("RESET", "+RESET\r\n")
        s.expect("CLIENT GETNAME", "$-1\r\n")
        let line = s.run("CLIENT INFO")
        #expect(line.contains(" db=0 "))
        #expect(line.contains(" flags=N "))
        #expect(line.contains(" resp=2 "))
        #expect(line.contains(" lib-name=lib "))
        s.expect("RESET x", "-ERR wrong number of arguments for 'reset' command\r\n")
    }

    @Test func namesOfClients() {
        s.expect("CLIENT GETNAME", "$-1\r\n")
        s.expect("CLIENT SETNAME joe", "+OK\r\n")
        s.expect("CLIENT GETNAME", "$3\r\njoe\r\n")
        s.expect(
            "CLIENT SETNAME \"a b\"", "-ERR Client names cannot contain spaces, newlines or special characters.\r\n")
        s.expect(
            "CLIENT SETNAME \"a\\nb\"", "-ERR Client names cannot contain spaces, newlines or special characters.\r\n")
        s.expect("CLIENT GETNAME", "$3\r\njoe\r\n")
        s.expect("CLIENT SETNAME \"\"", "+OK\r\n")
        s.expect("CLIENT GETNAME", "$-1\r\n")
        #expect(s.session.state.pointee.extras == nil)
        s.expect("CLIENT SETNAME", "-ERR wrong number of arguments for 'client|setname' command\r\n")
        s.expect("CLIENT GETNAME x", "-ERR wrong number of arguments for 'client|getname' command\r\n")
        s.run("HELLO 3")
        s.expect("CLIENT GETNAME", "_\r\n")
    }

    // CLIENT SETINFO and NO-TOUCH are of Redis 7.2: not for comparison with 7.0.
    @Test func setinfo() {
        s.expect("CLIENT SETINFO lib-name redis-py", "+OK\r\n")
        s.expect("CLIENT SETINFO LIB-VER 5.0", "+OK\r\n")
        #expect(s.run("CLIENT INFO").hasSuffix(" lib-name=redis-py lib-ver=5.0\n\r\n"))
        s.expect("CLIENT SETINFO foo bar", "-ERR Unrecognized option 'foo'\r\n")
        s.expect(
            "CLIENT SETINFO lib-name \"a b\"",
            "-ERR lib-name cannot contain spaces, newlines or special characters.\r\n")
        s.expect("CLIENT SETINFO lib-name \"\"", "+OK\r\n")
        s.expect("CLIENT SETINFO lib-ver \"\"", "+OK\r\n")
        #expect(s.session.state.pointee.extras == nil)
        s.expect("CLIENT SETINFO lib-name", "-ERR wrong number of arguments for 'client|setinfo' command\r\n")
        s.expect("CLIENT NO-TOUCH on", "+OK\r\n")
        #expect(s.run("CLIENT INFO").contains(" flags=T "))
        s.expect("CLIENT NO-TOUCH off", "+OK\r\n")
        s.expect("CLIENT NO-TOUCH maybe", "-ERR syntax error\r\n")
    }

    @Test func noEvict() {
        s.expect("CLIENT NO-EVICT on", "+OK\r\n")
        #expect(s.run("CLIENT INFO").contains(" flags=e "))
        s.expect("CLIENT NO-EVICT OFF", "+OK\r\n")
        s.expect("CLIENT NO-EVICT maybe", "-ERR syntax error\r\n")
        s.expect("CLIENT NO-EVICT", "-ERR wrong number of arguments for 'client|no-evict' command\r\n")
    }

    @Test func replies() {
        s.expect("CLIENT REPLY ON", "+OK\r\n")
        s.expect("CLIENT REPLY maybe", "-ERR syntax error\r\n")
        s.expect("CLIENT REPLY", "-ERR wrong number of arguments for 'client|reply' command\r\n")
        s.expect("CLIENT REPLY SKIP", "")
        s.expect("PING", "")
        s.expect("PING", "+PONG\r\n")
        s.expect("CLIENT REPLY SKIP", "")
        s.expect("CLIENT REPLY SKIP", "")
        s.expect("PING", "")
        s.expect("PING", "+PONG\r\n")
        s.expect("CLIENT REPLY OFF", "")
        s.expect("PING", "")
        s.expect("CLIENT REPLY SKIP", "")
        s.expect("SET k v", "")
        s.expect("CLIENT REPLY ON", "+OK\r\n")
        s.expect("GET k", "$1\r\nv\r\n")
        s.expect("CLIENT REPLY SKIP", "")
        s.expect("CLIENT REPLY ON", "+OK\r\n")
        s.expect("PING", "+PONG\r\n")
    }

    @Test func unknownSubcommands() {
        s.expect("CLIENT", "-ERR wrong number of arguments for 'client' command\r\n")
        s.expect("CLIENT FOO", "-ERR unknown subcommand 'FOO'. Try CLIENT HELP.\r\n")
        s.expect("CLIENT ID x", "-ERR wrong number of arguments for 'client|id' command\r\n")
        s.expect("CLIENT INFO x", "-ERR wrong number of arguments for 'client|info' command\r\n")
        #expect(s.run("CLIENT HELP").hasPrefix("*"))
    }

    @Test func shutdown() {
        s.expect("SHUTDOWN foo", "-ERR syntax error\r\n")
        s.expect("SHUTDOWN SAVE NOSAVE", "-ERR syntax error\r\n")
        s.expect("SHUTDOWN ABORT NOW", "-ERR syntax error\r\n")
        s.expect("SHUTDOWN ABORT", "-ERR No shutdown in progress.\r\n")
        #expect(s.server.control.shutdowns == 0)
    }

    // Ends a server: not for comparison.
    @Test func shutdownNow() {
        for line in ["SHUTDOWN", "SHUTDOWN NOSAVE", "SHUTDOWN SAVE", "SHUTDOWN NOW FORCE NOSAVE"] {
            s.expect(line, "")
        }
        #expect(s.server.control.shutdowns == 4)
    }
}

@Suite struct SessionsTableTests {
    @Test func sessionsAreSmall() {
        #expect(MemoryLayout<SessionState>.stride <= 128)
    }

    @Test func idsAreUniqueOverShards() {
        let tables = [SessionTable(shard: 0, shardCount: 2), SessionTable(shard: 1, shardCount: 2)]
        defer { for table in tables { table.deallocate() } }
        let ids = (0..<6).map {
            tables[$0 % 2].add(remote: .none, local: .none, authenticated: true, now: 0).id
        }
        #expect(ids == [1, 2, 3, 4, 5, 6])
    }

    @Test func sessionsKeepTheirOrder() {
        let table = SessionTable(shard: 0, shardCount: 1)
        defer { table.deallocate() }
        var all = (0..<200).map { _ in table.add(remote: .none, local: .none, authenticated: true, now: 0) }
        func walk() -> [UInt64] {
            var ids: [UInt64] = []
            var next = table.first
            while let session = next {
                ids.append(session.id)
                next = table.next(after: session)
            }
            return ids
        }
        #expect(walk() == Array(1...200))
        for index in [199, 100, 0] { table.remove(all.remove(at: index)) }
        #expect(walk() == all.map(\.id))
        #expect(table.count == 197)
        #expect(table.find(id: 50) == all[48])
        #expect(table.find(id: 101) == nil)
        #expect(table.add(remote: .none, local: .none, authenticated: true, now: 0).id == 201)
    }
}
