import Runtime

/// What commands may ask of the server around the shards. Abstract: the server, the simulator and the tests each have
/// their own. Calls come from the thread of any shard, except where said otherwise.
class ServerControl: @unchecked Sendable {
    /// Constant while the server runs.
    let facts: ServerFacts

    init(facts: ServerFacts) { self.facts = facts }

    /// CONFIG SET: makes `config` the one that all shards see from their next turn on. Only from shard 0, so that no
    /// two changes meet.
    func publish(_ config: Config) { fatalError("abstract") }

    /// CONFIG REWRITE. The error reply, or nil when it is done. Only from shard 0.
    func rewriteConfigFile() -> String? {
        facts.configFile.isEmpty
            ? "ERR The server is running without a config file" : "ERR CONFIG REWRITE is not supported yet"
    }

    /// SHUTDOWN: every shard ends after its present turn; connections are closed by that.
    func shutDown() { fatalError("abstract") }
}

/// What INFO says of the process.
struct ServerFacts: Sendable {
    /// 40 hexadecimal digits, another in each run.
    var runID = String(repeating: "0", count: 40)
    /// Unix milliseconds.
    var startedAt: Int64 = 0
    var executable = ""
    /// Empty: started without one.
    var configFile = ""
    /// Port of both listeners; 0: none.
    var port: UInt16 = 0
    /// How the link came out ("xdp zero-copy", "packet", "kernel", ...), its interface and our address.
    var link = "none"
    var interface = ""
    var address = ""
}

/// The version of Redis whose replies and error texts these are.
let redisVersion = "7.2.4"
