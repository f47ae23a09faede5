import Glibc
import Net
import Runtime
import Store

// INFO [section ...]. Each shard reports plain memory, a `ShardReport` and then a `DatabaseReport` for each database;
// the client's shard adds the reports up and writes the text.

/// What one shard tells.
struct ShardReport: BitwiseCopyable {
    var statistics = ShardStatistics()
    var clients: UInt64 = 0
    /// Bytes of session slabs.
    var clientMemory: UInt64 = 0
    /// Bytes of the keyspace.
    var keyMemory: UInt64 = 0
    var expiredKeys: UInt64 = 0
    var network = NetworkReport()
    var cycles = CycleReport()

    mutating func add(_ other: ShardReport) {
        statistics.add(other.statistics)
        clients &+= other.clients
        clientMemory &+= other.clientMemory
        keyMemory &+= other.keyMemory
        expiredKeys &+= other.expiredKeys
        network.add(other.network)
        cycles.add(other.cycles)
    }
}

struct DatabaseReport: BitwiseCopyable {
    var keys: UInt64 = 0
    var expires: UInt64 = 0
}

/// INFO's part on each shard.
func infoPart(_ c: inout CommandContext) {
    let shard = c.shard
    let report = ShardReport(
        statistics: shard.statistics, clients: UInt64(shard.sessions.count - shard.departed),
        clientMemory: UInt64(shard.sessions.footprint), keyMemory: UInt64(shard.keyspace.usedMemory),
        expiredKeys: shard.keyspace.expiredKeys, network: shard.networkReport(),
        cycles: shard.cycles.report(now: shard.monotonic))
    withUnsafeBytes(of: report) { c.reply.append($0.baseAddress!, $0.count) }
    for index in 0..<shard.keyspace.databaseCount {
        let database = shard.keyspace.database(index)
        let report = DatabaseReport(keys: UInt64(database.count), expires: UInt64(database.expiresCount))
        withUnsafeBytes(of: report) { c.reply.append($0.baseAddress!, $0.count) }
    }
}

func combineInfo(_ parts: UnsafeBufferPointer<ByteView>, _ c: inout CommandContext) {
    var total = ShardReport()
    var databases = [DatabaseReport](repeating: DatabaseReport(), count: c.shard.keyspace.databaseCount)
    var shards: [ShardReport] = []
    for part in parts {
        let report = part.base.loadUnaligned(as: ShardReport.self)
        total.add(report)
        shards.append(report)
        for index in databases.indices {
            let offset = MemoryLayout<ShardReport>.size + index * MemoryLayout<DatabaseReport>.stride
            let database = part.base.loadUnaligned(fromByteOffset: offset, as: DatabaseReport.self)
            databases[index].keys &+= database.keys
            databases[index].expires &+= database.expires
        }
    }
    var asked: Set<String> = []
    for index in 1..<c.arguments.count { asked.insert(c.arguments[index].string.lowercased()) }
    let text = InfoText(shard: c.shard, total: total, shards: shards, databases: databases)
    c.reply.verbatim(text.compose(InfoSection.selected(by: asked)))
}
