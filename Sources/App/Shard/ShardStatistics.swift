import Runtime

/// Counters of one shard, summed over shards by INFO. Trivial, so that it travels between shards as plain bytes.
struct ShardStatistics: BitwiseCopyable {
    var connectionsReceived: UInt64 = 0
    /// Refused because of `maxclients`.
    var rejectedConnections: UInt64 = 0
    /// Closed because of `client-output-buffer-limit`.
    var outputLimitCloses: UInt64 = 0
    var commandsProcessed: UInt64 = 0
    var keyspaceHits: UInt64 = 0
    var keyspaceMisses: UInt64 = 0
    var protocolErrors: UInt64 = 0
    /// Pipelined reads of two shards that were sent together (SessionPump+Volley.swift), and those of them that had to be done
    /// again in order.
    var volleys: UInt64 = 0
    var repeatedVolleys: UInt64 = 0
    /// `Keyspace.expiredKeys` when the statistics were last reset.
    var expiredKeysBefore: UInt64 = 0
    var rate = CommandRate()

    /// CONFIG RESETSTAT.
    mutating func reset(expiredKeys: UInt64) {
        self = ShardStatistics()
        expiredKeysBefore = expiredKeys
    }

    mutating func add(_ other: ShardStatistics) {
        connectionsReceived &+= other.connectionsReceived
        rejectedConnections &+= other.rejectedConnections
        outputLimitCloses &+= other.outputLimitCloses
        commandsProcessed &+= other.commandsProcessed
        keyspaceHits &+= other.keyspaceHits
        keyspaceMisses &+= other.keyspaceMisses
        protocolErrors &+= other.protocolErrors
        volleys &+= other.volleys
        repeatedVolleys &+= other.repeatedVolleys
        expiredKeysBefore &+= other.expiredKeysBefore
        rate.perSecond += other.rate.perSecond
    }
}

/// Commands a second, smoothed over some samples: INFO's instantaneous_ops_per_sec.
struct CommandRate: BitwiseCopyable {
    fileprivate(set) var perSecond: Double = 0
    /// Of the last sample.
    private var commands: UInt64 = 0
    private var instant: Nanoseconds = 0

    /// To be called about ten times a second.
    mutating func sample(commands total: UInt64, now: Nanoseconds) {
        let span = now - instant
        guard span >= .milliseconds(50) else { return }
        let isFirst = instant == 0 || total < commands
        let current = isFirst ? 0 : Double(total - commands) * 1e9 / Double(span)
        // A weight of 1/4 forgets an old load in about a second and a half. A shard that slept long forgets at once.
        perSecond = isFirst || span > .seconds(2) ? current : perSecond + (current - perSecond) / 4
        commands = total
        instant = now
    }
}
