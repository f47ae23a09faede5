/// Counters of one shard, summed over shards by INFO. Trivial, so that it travels between shards as plain bytes.
struct ShardStatistics: BitwiseCopyable {
    var connectionsReceived: UInt64 = 0
    var connectedClients: UInt64 = 0
    var commandsProcessed: UInt64 = 0
    var keyspaceHits: UInt64 = 0
    var keyspaceMisses: UInt64 = 0
    var expiredKeys: UInt64 = 0
    var protocolErrors: UInt64 = 0
}
