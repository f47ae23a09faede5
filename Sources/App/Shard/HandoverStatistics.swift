/// What went round between shards because a device's queue and a flow's shard were not the same (docs/architecture.md,
/// "Frames on the wrong shard"). INFO shows each as `handover_...`.
struct HandoverStatistics: BitwiseCopyable {
    /// Frames given to another shard: those of unknown flows, and neighbours' news, once for each shard that got it.
    var sentFrames: UInt64 = 0
    /// Frames taken from another shard into our stack.
    var receivedFrames: UInt64 = 0
    /// The other shard is behind: its ring has no room for frames, or too many of ours are with others. Senders repeat.
    var ringFullDrops: UInt64 = 0
    /// Few frames were free: here for lending one to another shard, or there for the copy.
    var scarceFrameDrops: UInt64 = 0
}
