import Net
import Runtime
import Store

/// What commands and sessions see of the shard they run on; the poll loop around it is `Shard`. Used by one thread.
final class ShardState {
    /// 0..<shardCount.
    let id: Int
    let shardCount: Int
    let keyspace: Keyspace
    /// What the server is configured to be this turn; replaced through RCU by CONFIG SET.
    var config: Config
    /// Clock readings of this turn.
    var monotonic: Nanoseconds = 0
    var unixMilliseconds: Int64 = 0
    var unixMicroseconds: Int64 = 0
    var entropy: Entropy
    var statistics = ShardStatistics()
    /// Clients connected to this shard.
    let sessions: SessionTable
    /// Ids of sessions to be closed without a word (CLIENT KILL); each was marked `.closeNow`.
    var pendingClose: [UInt64] = []
    /// The server around the shards.
    let control: ServerControl

    init(id: Int, shardCount: Int, keyspace: Keyspace, config: Config, entropy: Entropy, control: ServerControl) {
        self.id = id
        self.shardCount = shardCount
        self.keyspace = keyspace
        self.config = config
        self.entropy = entropy
        self.control = control
        sessions = SessionTable(shard: id, shardCount: shardCount)
    }

    /// Link, stack and pools for INFO.
    func networkReport() -> NetworkReport { NetworkReport() }
}
