import Testing

@testable import App

@Suite struct ConfigCommandTests {
    private func failure(_ pairs: (String, String)..., of config: Config = Config()) -> String {
        switch config.setting(pairs.map { (name: $0.0, value: $0.1) }) {
        case .success: "no error"
        case .failure(let error): error.text
        }
    }

    private func value(_ name: String, _ config: Config) -> String? { config.matching(name).first?.value }

    @Test func getShowsValuesAsRedisDoes() throws {
        let config = try Config([
            "maxmemory": "100mb", "save": "3600 1 300 100", "appendonly": "YES", "bind": "127.0.0.1 -::1",
            "client-output-buffer-limit": "pubsub 1mb 2kb 5",
        ])
        #expect(value("maxmemory", config) == "104857600")
        #expect(value("save", config) == "3600 1 300 100")
        #expect(value("appendonly", config) == "yes")
        #expect(value("bind", config) == "127.0.0.1 -::1")
        #expect(value("maxmemory-policy", config) == "noeviction")
        #expect(
            value("client-output-buffer-limit", config)
                == "normal 0 0 0 slave 268435456 67108864 60 pubsub 1048576 2048 5")
        #expect(value("save", Config()) == "")
        #expect(value("shards", Config()) == "auto")
    }

    @Test func getTakesSeveralGlobsInAnyCase() {
        let found = Config().matching(["MAXMEMORY*", "maxmemory", "p?rt"])
        #expect(
            found.map(\.name) == [
                "port", "maxmemory", "maxmemory-policy", "maxmemory-samples", "maxmemory-eviction-tenacity",
            ])
        #expect(Config().matching("nothing").isEmpty)
        #expect(Config().matching("").isEmpty)
        #expect(Config().matching("*").count == DirectiveID.allCases.count)
    }

    @Test func setIsAllOrNothing() throws {
        let config = Config()
        let changed = try config.setting([("timeout", "30"), ("maxclients", "5"), ("LogLevel", "Debug")]).get()
        #expect(changed.limits.idleTimeout == .seconds(30))
        #expect(changed.limits.maxClients == 5)
        #expect(changed.logLevel == .debug)
        #expect(config.limits.maxClients == 10000)
        #expect(
            failure(("timeout", "30"), ("maxclients", "none"))
                == "ERR CONFIG SET failed (possibly related to argument 'maxclients') - argument couldn't be parsed "
                + "into an integer")
    }

    @Test func setRefusesInRedissWords() {
        let related = "ERR CONFIG SET failed (possibly related to argument "
        #expect(failure(("nope", "1")) == "ERR Unknown option or number of arguments for CONFIG SET - 'nope'")
        #expect(failure(("port", "1")) == related + "'port') - can't set immutable config")
        #expect(failure(("dir", "/")) == related + "'dir') - can't set protected config")
        #expect(failure(("timeout", "1"), ("TIMEOUT", "2")) == related + "'TIMEOUT') - duplicate parameter")
        #expect(failure(("activedefrag", "yes")) == related + "'activedefrag') - not supported yet")
        #expect(
            failure(("maxclients", "0")) == related
                + "'maxclients') - argument must be between 1 and 4294967295 inclusive")
        #expect(failure(("maxmemory", "lots")) == related + "'maxmemory') - argument must be a memory value")
        #expect(
            failure(("proto-max-bulk-len", "1"))
                == related
                + "'proto-max-bulk-len') - argument must be between 1048576 and 9223372036854775807 inclusive")
        #expect(failure(("appendonly", "1")) == related + "'appendonly') - argument must be 'yes' or 'no'")
        #expect(
            failure(("loglevel", "loud"))
                == related + "'loglevel') - argument(s) must be one of the following: debug, verbose, notice, warning")
        #expect(failure(("save", "1")) == related + "'save') - Invalid save parameters")
        #expect(
            failure(("client-output-buffer-limit", "normal 1"))
                == related + "'client-output-buffer-limit') - Wrong number of arguments in buffer limit configuration.")
        #expect(
            failure(("client-output-buffer-limit", "all 1 1 1"))
                == related
                + "'client-output-buffer-limit') - Invalid client class specified in buffer limit configuration.")
        #expect(
            failure(("client-output-buffer-limit", "normal x 1 1"))
                == related
                + "'client-output-buffer-limit') - Error in hard, soft or soft_seconds setting in buffer limit configuration."
        )
    }

    @Test func limitsFollowTheDirectives() throws {
        let config = try Config([
            "client-query-buffer-limit": "2mb", "proto-max-bulk-len": "3mb", "idle-spin": "7", "databases": "4",
            "tcp-keepalive": "9", "requirepass": "secret", "client-output-buffer-limit": "normal 5mb 1mb 10",
        ])
        #expect(config.limits.queryBuffer == 2 << 20)
        #expect(config.limits.protoMaxBulkLength == 3 << 20)
        #expect(config.limits.idleSpin == .microseconds(7))
        #expect(config.limits.databases == 4)
        #expect(config.limits.tcpKeepalive == .seconds(9))
        #expect(config.limits.requiresPassword)
        #expect(config.limits.output.normal == OutputLimit(hard: 5 << 20, soft: 1 << 20, softSeconds: 10))
        #expect(config.limits.output.replica.hard == 256 << 20)
        #expect(!Config().limits.requiresPassword)
    }

    @Test func setOfSaveReplaces() throws {
        let config = try Config(["save": "60 1000"])
        let changed = try config.setting([("save", "3600 1 300 100")]).get()
        #expect(changed.savePoints.map(\.seconds) == [3600, 300])
        #expect(try config.setting([("save", "")]).get().savePoints.isEmpty)
    }
}
