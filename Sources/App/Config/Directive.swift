/// One directive's name as redis.conf spells it. The table of what each means is in DirectiveTable.swift.
enum DirectiveID: String, CaseIterable, Sendable {
    // The network.
    case port, bind, timeout, maxclients
    case tcpBacklog = "tcp-backlog"
    case tcpKeepalive = "tcp-keepalive"
    case protectedMode = "protected-mode"
    case clientOutputBufferLimit = "client-output-buffer-limit"
    case clientQueryBufferLimit = "client-query-buffer-limit"
    case protoMaxBulkLength = "proto-max-bulk-len"
    // The server.
    case databases, requirepass, loglevel, logfile, daemonize, hz, dir
    case dynamicHz = "dynamic-hz"
    case ioThreads = "io-threads"
    case ioThreadsDoReads = "io-threads-do-reads"
    case slowlogLogSlowerThan = "slowlog-log-slower-than"
    case slowlogMaxLength = "slowlog-max-len"
    case latencyMonitorThreshold = "latency-monitor-threshold"
    case enableDebugCommand = "enable-debug-command"
    // Memory.
    case maxmemory
    case maxmemoryPolicy = "maxmemory-policy"
    case maxmemorySamples = "maxmemory-samples"
    case maxmemoryEvictionTenacity = "maxmemory-eviction-tenacity"
    // Persistence.
    case save, dbfilename, appendonly, appendfsync, appendfilename
    // Apus's own.
    case link, interface, address, gateway, shards
    case xdpMode = "xdp-mode"
    case idleSpin = "idle-spin"
    case tcpReceiveWindow = "tcp-receive-window"
    case tcpReceiveWindowMax = "tcp-receive-window-max"
    case tcpSendFrames = "tcp-send-frames"
    case tcpUserTimeout = "tcp-user-timeout"
    case tcpCongestion = "tcp-congestion"
    case tcpECN = "tcp-ecn"
    case shardFrames = "shard-frames"
}

/// What a directive's value may be.
enum DirectiveKind: Sendable {
    case integer(ClosedRange<Int>)
    /// Bytes, written with Redis's units: b, k = 1000, kb = 1024, m, mb, g, gb.
    case memory(ClosedRange<Int>)
    /// yes or no.
    case toggle
    /// One of these words, in any case.
    case choice([String])
    /// One word; "" is allowed.
    case text
    /// Any number of words.
    case words
    /// Pairs of seconds and changes.
    case savePoints
    /// Groups of class, hard limit, soft limit, soft seconds.
    case outputLimits
    /// "auto" or a number from 1 on.
    case shardCount
    /// "" or an IPv4 address with a prefix length: 10.9.0.9/24.
    case subnetAddress
    /// "" or an IPv4 address.
    case ipv4Address
    /// Only "no" for now, with this reason.
    case alwaysNo(String)
}

/// When a directive may be changed.
enum DirectiveChange: Sendable {
    /// By CONFIG SET too.
    case anyTime
    /// In the file or on the command line only.
    case startOnly
    /// As `startOnly`; Redis words the refusal differently, because these could write files anywhere.
    case protected
}

/// Whether anything in Apus acts on a directive.
enum DirectiveEffect: Sendable {
    case active
    /// Kept and shown by CONFIG GET, and nothing acts on it; one line in the log says why.
    case none(String)
}

/// One line of the directive table.
struct Directive: Sendable {
    let id: DirectiveID
    let kind: DirectiveKind
    /// As it would be written in the file.
    let defaultValue: String
    let change: DirectiveChange
    let effect: DirectiveEffect
    /// One sentence for --help and the documentation.
    let summary: String

    var name: String { id.rawValue }

    init(
        _ id: DirectiveID, _ kind: DirectiveKind, _ defaultValue: String, change: DirectiveChange = .anyTime,
        effect: DirectiveEffect = .active, _ summary: String
    ) {
        self.id = id
        self.kind = kind
        self.defaultValue = defaultValue
        self.change = change
        self.effect = effect
        self.summary = summary
    }
}
