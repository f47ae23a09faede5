import Runtime
import Store

/// All that a command may use. It lives on the stack of the shard that executes it, which for a command on a key is
/// the key's owner and not always the shard of the client's session.
struct CommandContext {
    var arguments: Arguments
    var reply: ReplyWriter
    /// The keys of the selected database that the executing shard owns.
    var database: Database
    /// The executing shard.
    unowned(unsafe) let shard: ShardState
    /// The client's session; nil exactly when this shard executes for a client of another one.
    let session: Session?
    /// The client's id, also when its session is on another shard; 0 in a run of commands on keys, none of which asks.
    let clientID: UInt64

    /// Milliseconds since the Unix epoch, the same for the whole turn.
    var now: Int64 { shard.unixMilliseconds }
}
