import Runtime

/// What looks on while a turn is done. The loop and the sessions are generic over it: the copy for `Unobserved`, which runs
/// nearly always, has nothing of it left.
protocol Probe {
    /// The time since the last mark was `stage`'s.
    func mark(_ stage: CycleAccount.Stage)
}

struct Unobserved: Probe {
    @inline(__always) func mark(_ stage: CycleAccount.Stage) {}
}

/// Attributes the turn's time to its stages.
struct Observed<C: Clock>: Probe {
    private let clock: C
    private unowned(unsafe) let shard: ShardState

    /// The turn begins.
    init(clock: C, shard: ShardState) {
        self.clock = clock
        self.shard = shard
        shard.cycles.beginTurn(ticks: clock.ticks)
    }

    @inline(__always) func mark(_ stage: CycleAccount.Stage) { shard.cycles.mark(stage, ticks: clock.ticks) }

    func end(hadWork: Bool) { shard.cycles.endTurn(hadWork: hadWork) }
}
