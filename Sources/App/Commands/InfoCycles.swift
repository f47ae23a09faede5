import Runtime

/// INFO's `# Cycles` and `# Cycles_shards`: where the shards' time goes. The stages' times are what busy time is divided
/// into; their sum is that.
extension CycleReport {
    var lines: [(String, String)] {
        [
            ("cycles_elapsed_usec", "\(elapsed)"), ("cycles_busy_usec", "\(busy)"),
            ("cycles_spinning_usec", "\(spinning)"), ("cycles_asleep_usec", "\(asleep)"),
        ]
            + CycleAccount.Stage.allCases.map { ("cycles_\($0.name)_usec", "\(self[$0])") }
            + [("cycles_turns", "\(turns)"), ("cycles_sampled_turns", "\(sampledTurns)")]
    }
}

extension CycleAccount.Stage {
    /// As INFO writes it.
    var name: String {
        switch self {
        case .receive: "receive"
        case .tcp: "tcp"
        case .parse: "parse"
        case .execute: "execute"
        case .crossShard: "cross_shard"
        case .transmit: "transmit"
        case .timers: "timers"
        case .loop: "loop"
        }
    }
}
