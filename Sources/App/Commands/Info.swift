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

    mutating func add(_ other: ShardReport) {
        statistics.add(other.statistics)
        clients &+= other.clients
        clientMemory &+= other.clientMemory
        keyMemory &+= other.keyMemory
        expiredKeys &+= other.expiredKeys
        network.add(other.network)
    }
}

/// A shard's link, stack and pools. Whoever runs the shard fills it in (`ShardState.networkReport`).
struct NetworkReport: BitwiseCopyable {
    var stack = CounterBlock<StackStatistics>()
    var link = CounterBlock<LinkStatistics>()
    var kernel = CounterBlock<KernelStatistics>()
    /// Payload over both.
    var bytesReceived: UInt64 = 0
    var bytesSent: UInt64 = 0
    /// Frames of all pools, those that are free, and the fewest that ever were.
    var frames: UInt64 = 0
    var framesFree: UInt64 = 0
    var framesLowestFree: UInt64 = 0
    var connections: UInt64 = 0
    var kernelConnections: UInt64 = 0
    /// Requests to other shards under way.
    var remoteRequests: UInt64 = 0

    mutating func add(_ other: NetworkReport) {
        stack.add(other.stack)
        link.add(other.link)
        kernel.add(other.kernel)
        bytesReceived &+= other.bytesReceived
        bytesSent &+= other.bytesSent
        frames &+= other.frames
        framesFree &+= other.framesFree
        framesLowestFree &+= other.framesLowestFree
        connections &+= other.connections
        kernelConnections &+= other.kernelConnections
        remoteRequests &+= other.remoteRequests
    }
}

/// A struct of nothing but `UInt64` counters, seen as so many numbers: INFO then shows every counter that a module
/// has, by its name, without a list kept by hand.
struct CounterBlock<Counters>: BitwiseCopyable {
    /// The words of a `Counters`, then zeros.
    private var words = InlineArray<96, UInt64>(repeating: 0)

    init() {}

    init(_ counters: Counters) {
        precondition(MemoryLayout<Counters>.size <= 96 * 8, "more counters than CounterBlock has room for")
        withUnsafeBytes(of: counters) { source in
            for index in 0..<(source.count / 8) {
                words[index] = source.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)
            }
        }
    }

    mutating func add(_ other: CounterBlock) {
        for index in 0..<96 { words[index] &+= other.words[index] }
    }

    /// Names in the order of declaration, as INFO writes them: `tcpOutOfOrder` is `tcp_out_of_order`.
    func named(like sample: Counters) -> [(name: String, value: UInt64)] {
        Mirror(reflecting: sample).children.enumerated().map { index, child in
            precondition(child.value is UInt64, "a counter must be a UInt64")
            var name = ""
            for character in child.label ?? "" {
                if character.isUppercase { name += "_" }
                name += character.lowercased()
            }
            return (name, words[index])
        }
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
        expiredKeys: shard.keyspace.expiredKeys, network: shard.networkReport())
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
