import Net

private let maximum32 = Int(Int32.max)
private let megabyte = 1 << 20

private let noPersistence = "Apus keeps its data in memory only, nothing is written to disk"
private let noMemoryLimit = "memory is not limited yet"
private let notMeasured = "slow commands are not recorded yet"
private let noTimerRate = "Apus has no periodic task, it wakes when something is due"

extension Directive {
    /// Every directive that Apus keeps, in the order of CONFIG GET *.
    static let table: [Directive] = network + server + memory + persistence + own

    private static let byID = Dictionary(uniqueKeysWithValues: table.map { ($0.id, $0) })
    private static let byName = Dictionary(uniqueKeysWithValues: table.map { ($0.name, $0) })

    static func of(_ id: DirectiveID) -> Directive { byID[id]! }
    /// Names are compared without regard to case. nil: Apus does not keep this directive.
    static func named(_ name: String) -> Directive? { byName[name.lowercased()] }

    private static let network: [Directive] = [
        Directive(
            .port, .integer(0...65535), "6379", change: .startOnly,
            "TCP port, of the kernel listener and of the stack; 0 turns the kernel listener off."),
        Directive(
            .bind, .words, "127.0.0.1", change: .startOnly,
            "Addresses of the kernel listener: IPv4, IPv6, * for all; a leading - ignores addresses that the "
                + "machine does not have; \"\" turns the listener off."),
        Directive(
            .tcpBacklog, .integer(0...maximum32), "511", change: .startOnly,
            "Connections of the kernel listener that may wait to be accepted."),
        Directive(
            .tcpKeepalive, .integer(0...maximum32), "300",
            "Seconds of silence after which TCP asks whether the peer still lives; 0 never asks."),
        Directive(
            .timeout, .integer(0...maximum32), "0", "Seconds after which an idle client is disconnected; 0 never."),
        Directive(.maxclients, .integer(1...Int(UInt32.max)), "10000", "How many clients may be connected at a time."),
        Directive(
            .protectedMode, .toggle, "no",
            effect: .none("Apus has no protected mode; bind and requirepass decide who may connect"),
            "Redis's protected mode."),
        Directive(
            .clientOutputBufferLimit, .outputLimits,
            "normal 0 0 0 slave 256mb 64mb 60 pubsub 32mb 8mb 60",
            "Class, hard limit, soft limit and soft seconds: a client whose unsent replies exceed them is closed."),
        Directive(
            .clientQueryBufferLimit, .memory(megabyte...Int.max), "1gb", "Longest command that may be in assembly."),
        Directive(.protoMaxBulkLength, .memory(megabyte...Int.max), "512mb", "Longest bulk string in a request."),
    ]

    private static let server: [Directive] = [
        Directive(.databases, .integer(1...65535), "16", change: .startOnly, "How many databases SELECT can reach."),
        Directive(.requirepass, .text, "", "The password that clients must give; \"\" asks for none."),
        Directive(
            .loglevel, .choice(LogLevel.allCases.map(\.name)), "notice", "The least severe level that is logged."),
        Directive(.logfile, .text, "", change: .startOnly, "Where the log goes; \"\" is the standard output."),
        Directive(
            .daemonize, .alwaysNo("Apus stays in the foreground; use a service manager"), "no", change: .startOnly,
            "Only no."),
        Directive(.dir, .text, ".", change: .protected, "The working directory."),
        Directive(.hz, .integer(0...maximum32), "10", effect: .none(noTimerRate), "Rate of Redis's periodic task."),
        Directive(.dynamicHz, .toggle, "yes", effect: .none(noTimerRate), "Adapts hz to the number of clients."),
        Directive(
            .ioThreads, .integer(1...128), "1", change: .startOnly,
            effect: .none("Apus's shards do their own input and output; see the directive shards"),
            "Redis's input and output threads."),
        Directive(
            .ioThreadsDoReads, .toggle, "no", change: .startOnly,
            effect: .none("Apus's shards do their own input and output; see the directive shards"),
            "Redis's threads read as well."),
        Directive(
            .slowlogLogSlowerThan, .integer(-1...Int.max), "10000", effect: .none(notMeasured),
            "Microseconds from which a command is slow; -1 never."),
        Directive(.slowlogMaxLength, .integer(0...Int.max), "128", effect: .none(notMeasured), "Slow commands kept."),
        Directive(
            .latencyMonitorThreshold, .integer(0...Int.max), "0", effect: .none(notMeasured),
            "Milliseconds from which an event is recorded; 0 never."),
        Directive(
            .enableDebugCommand, .choice(["no", "yes", "local"]), "local", change: .startOnly,
            "Who may use DEBUG: nobody, everybody, or clients of this machine's loopback addresses."),
    ]

    private static let memory: [Directive] = [
        Directive(.maxmemory, .memory(0...Int.max), "0", effect: .none(noMemoryLimit), "Bytes; 0 has no limit."),
        Directive(
            .maxmemoryPolicy,
            .choice([
                "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "allkeys-lru", "allkeys-lfu",
                "allkeys-random", "noeviction",
            ]),
            "noeviction", effect: .none(noMemoryLimit), "What is removed when memory is full."),
        Directive(
            .maxmemorySamples, .integer(1...maximum32), "5", effect: .none(noMemoryLimit), "Keys looked at a removal."),
        Directive(
            .maxmemoryEvictionTenacity, .integer(0...100), "10", effect: .none(noMemoryLimit),
            "How much time removals may take."),
    ]

    private static let persistence: [Directive] = [
        Directive(
            .save, .savePoints, "", effect: .none(noPersistence),
            "Seconds and changes after which a snapshot is written."),
        Directive(
            .dbfilename, .text, "dump.rdb", change: .protected, effect: .none(noPersistence), "The snapshot's name."),
        Directive(.appendonly, .toggle, "no", effect: .none(noPersistence), "Keeps a log of all changes."),
        Directive(
            .appendfsync, .choice(["everysec", "always", "no"]), "everysec", effect: .none(noPersistence),
            "When the log of changes is forced to disk."),
        Directive(
            .appendfilename, .text, "appendonly.aof", change: .startOnly, effect: .none(noPersistence),
            "The name of the log of changes."),
    ]

    private static let own: [Directive] = [
        Directive(
            .link, .choice(LinkKind.allCases.map(\.rawValue)), "auto", change: .startOnly,
            "The driver that feeds the stack; kernel serves kernel sockets at bind only."),
        Directive(
            .interface, .text, "", change: .startOnly,
            "The interface whose frames the stack takes; link tap creates it."),
        Directive(.address, .subnetAddress, "", change: .startOnly, "The stack's IPv4 address: 10.9.0.9/24."),
        Directive(.gateway, .ipv4Address, "", change: .startOnly, "The next hop outside the subnet."),
        Directive(.shards, .shardCount, "auto", change: .startOnly, "Threads; auto is one for each usable core."),
        Directive(
            .xdpMode, .choice(XDPMode.allCases.map(\.rawValue)), "auto", change: .startOnly,
            "How AF_XDP moves frames; auto tries zero-copy, then copy, then generic."),
        Directive(
            .idleSpin, .integer(0...1_000_000), "50",
            "Microseconds for which a shard without work looks again before it sleeps."),
        Directive(
            .tcpReceiveWindow, .memory(4096...(1 << 30)), "256kb", change: .startOnly,
            "Bytes that a connection of the stack may have received and not read, at first."),
        Directive(
            .tcpReceiveWindowMax, .memory(4096...(1 << 30)), "6mb", change: .startOnly,
            "To what that may grow while the connection is read as fast as text comes."),
        Directive(
            .tcpSendFrames, .integer(4...65536), "64", change: .startOnly,
            "Frames that the send queue of a connection of the stack may hold in any case."),
        Directive(
            .tcpUserTimeout, .integer(0...maximum32), "0", change: .startOnly,
            "Seconds for which a peer of the stack may leave text unacknowledged; 0 waits for 15 retransmissions."),
        Directive(
            .tcpCongestion, .choice(CongestionControl.allCases.map(\.rawValue)), "cubic", change: .startOnly,
            "How a connection of the stack finds its share of a path: cubic (RFC 9438) or newreno (RFC 5681)."),
        Directive(
            .tcpECN, .choice(ExplicitCongestionNotification.allCases.map(\.rawValue)), "answer", change: .startOnly,
            "Explicit congestion notification: no; answer uses it with peers that ask for it; offer asks too."),
        Directive(
            .shardFrames, .integer(1024...(1 << 22)), "16384", change: .startOnly,
            "Frames of 2 kB in each shard's pool."),
    ]
}
