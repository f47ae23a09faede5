import Net
import Testing

@testable import App

@Suite struct CommandsServerTests {
    let s = CommandSession()

    /// The fields of an INFO reply.
    private func info(_ line: String) -> [Substring: Substring] {
        var fields: [Substring: Substring] = [:]
        for row in s.run(line).split(separator: "\r\n") {
            guard let colon = row.firstIndex(of: ":"), !row.hasPrefix("#") else { continue }
            fields[row[..<colon]] = row[row.index(after: colon)...]
        }
        return fields
    }

    private func titles(_ line: String) -> [Substring] {
        s.run(line).split(separator: "\r\n").filter { $0.hasPrefix("# ") }
    }

    @Test func infoSections() {
        let usual: [Substring] = [
            "# Server", "# Clients", "# Memory", "# Persistence", "# Stats", "# Replication", "# CPU", "# Cluster",
            "# Network", "# TCP", "# Shards", "# Keyspace",
        ]
        let all = usual.dropLast() + ["# Network_shards", "# TCP_shards", "# Cycles", "# Cycles_shards", "# Keyspace"]
        #expect(titles("INFO") == usual)
        #expect(titles("INFO default") == usual)
        #expect(titles("INFO all") == Array(all))
        #expect(titles("INFO everything").count == all.count + 1)
        #expect(titles("INFO SERVER") == ["# Server"])
        #expect(titles("INFO keyspace server keyspace") == ["# Server", "# Keyspace"])
        s.expect("INFO nothing", "$0\r\n\r\n")
    }

    @Test func infoFields() {
        let fields = info("INFO everything")
        #expect(fields["redis_version"] == "7.2.4")
        #expect(fields["apus_version"] == Substring(Config.version))
        #expect(fields["run_id"]?.count == 40)
        #expect(fields["tcp_port"] == "6379")
        #expect(fields["uptime_in_seconds"] == "90061")
        #expect(fields["uptime_in_days"] == "1")
        #expect(fields["connected_clients"] == "1")
        #expect(fields["role"] == "master")
        #expect(fields["cluster_enabled"] == "0")
        #expect(fields["loading"] == "0")
        #expect(fields["link"] == "memory")
        #expect(fields["tcp_bad_checksum"] == "0")
        #expect(fields["link_received_frames"] == "0")
        #expect(fields["shard0"]?.hasPrefix("clients=1,") == true)
        #expect(Int(fields["used_memory"] ?? "")! > 10_000)
        #expect(Int(fields["used_memory_rss"] ?? "")! > 1_000_000)
    }

    @Test func infoCounts() {
        s.run("SET a 1")
        s.run("SET b 1 EX 100")
        s.run("GET a")
        s.run("GET none")
        s.run("EXISTS a b none")
        s.run("SELECT 3")
        s.run("SET c 1")
        var fields = info("INFO")
        #expect(fields["db0"] == "keys=2,expires=1,avg_ttl=0")
        #expect(fields["db3"] == "keys=1,expires=0,avg_ttl=0")
        #expect(fields["db1"] == nil)
        #expect(fields["keyspace_hits"] == "3")
        #expect(fields["keyspace_misses"] == "2")
        s.expect("CONFIG RESETSTAT", "+OK\r\n")
        fields = info("INFO stats")
        #expect(fields["keyspace_hits"] == "0")
        #expect(fields["keyspace_misses"] == "0")
        #expect(fields["expired_keys"] == "0")
    }

    @Test func infoIsVerbatimInRESP3() {
        s.run("HELLO 3")
        let reply = s.run("INFO replication")
        #expect(reply == "=52\r\ntxt:# Replication\r\nrole:master\r\nconnected_slaves:0\r\n\r\n", "\(reply)")
    }

    @Test func humanSizes() {
        #expect(humanBytes(0) == "0B")
        #expect(humanBytes(1023) == "1023B")
        #expect(humanBytes(1024) == "1.00K")
        #expect(humanBytes(1_572_864) == "1.50M")
        #expect(humanBytes(917_080) == "895.59K")
        #expect(humanBytes(25_276_514_304) == "23.54G")
    }

    @Test func configErrors() {
        s.expect("CONFIG", "-ERR wrong number of arguments for 'config' command\r\n")
        s.expect("CONFIG FOO", "-ERR unknown subcommand 'FOO'. Try CONFIG HELP.\r\n")
        s.expect("CONFIG GET", "-ERR wrong number of arguments for 'config|get' command\r\n")
        s.expect("CONFIG SET port", "-ERR wrong number of arguments for 'config|set' command\r\n")
        s.expect("CONFIG SET port 1 bind", "-ERR syntax error\r\n")
        s.expect("CONFIG SET foo bar", "-ERR Unknown option or number of arguments for CONFIG SET - 'foo'\r\n")
        s.expect(
            "CONFIG SET maxmemory 1 maxmemory 2",
            "-ERR CONFIG SET failed (possibly related to argument 'maxmemory') - duplicate parameter\r\n")
        s.expect(
            "CONFIG SET maxmemory foo",
            "-ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value\r\n")
        s.expect(
            "CONFIG SET timeout 5 databases 4",
            "-ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config\r\n")
        s.expect("CONFIG RESETSTAT a", "-ERR wrong number of arguments for 'config|resetstat' command\r\n")
        s.expect("CONFIG REWRITE a", "-ERR wrong number of arguments for 'config|rewrite' command\r\n")
        s.expect("CONFIG REWRITE", "-ERR The server is running without a config file\r\n")
        s.expect("CONFIG GET nothing-like-this", "*0\r\n")
        s.expect(
            "CONFIG HELP",
            """
            *11\r\n+CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n+GET <pattern>\r\n\
            +    Return parameters matching the glob-like <pattern> and their values.\r\n\
            +SET <directive> <value>\r\n+    Set the configuration <directive> to <value>.\r\n+RESETSTAT\r\n\
            +    Reset statistics reported by the INFO command.\r\n+REWRITE\r\n\
            +    Rewrite the configuration file.\r\n+HELP\r\n+    Prints this help.\r\n
            """)
    }

    @Test func configGetAndSet() {
        s.expect("CONFIG GET timeout", "*2\r\n$7\r\ntimeout\r\n$1\r\n0\r\n")
        s.expect("CONFIG GET TIMEOUT timeou? timeout", "*2\r\n$7\r\nTIMEOUT\r\n$1\r\n0\r\n")
        s.expect("CONFIG SET timeout 5", "+OK\r\n")
        s.expect("CONFIG GET timeout", "*2\r\n$7\r\ntimeout\r\n$1\r\n5\r\n")
        s.expect("CONFIG SET timeout 0 maxmemory 100mb", "+OK\r\n")
        s.expect("CONFIG GET maxmemory", "*2\r\n$9\r\nmaxmemory\r\n$9\r\n104857600\r\n")
        s.expect("CONFIG SET maxmemory 0", "+OK\r\n")
        s.run("HELLO 3")
        s.expect("CONFIG GET timeout", "%1\r\n$7\r\ntimeout\r\n$1\r\n0\r\n")
        s.expect("CONFIG GET nothing-like-this", "%0\r\n")
    }

    @Test func configRewrite() {
        s.server.control.rewriteError = nil
        let reply = s.run("CONFIG REWRITE")
        #expect(reply == "+OK\r\n")
    }
}
