import CLinux
import Glibc
import Net
import Runtime
import Store

/// INFO's sections in the order in which they appear.
enum InfoSection: String, CaseIterable {
    case server, clients, memory, persistence, stats, replication, cpu, modules, cluster, network, tcp, shards
    case networkShards = "network_shards"
    case tcpShards = "tcp_shards"
    case cycles
    case cyclesShards = "cycles_shards"
    case keyspace

    /// Shown without being asked for. The counters of each shard are long, as Redis's `commandstats` is; where time goes is
    /// for who looks into it.
    private var isDefault: Bool {
        ![.modules, .networkShards, .tcpShards, .cycles, .cyclesShards].contains(self)
    }

    var title: String {
        switch self {
        case .cpu, .tcp: rawValue.uppercased()
        case .tcpShards: "TCP_shards"
        default: rawValue.prefix(1).uppercased() + rawValue.dropFirst()
        }
    }

    /// Lower-cased words to sections. Unknown words are ignored, as in Redis.
    static func selected(by words: Set<String>) -> [InfoSection] {
        if words.contains("everything") { return allCases }
        let all = words.contains("all")
        let usual = words.isEmpty || words.contains("default") || all
        return allCases.filter {
            words.contains($0.rawValue) || usual && $0.isDefault || all && $0 != .modules
        }
    }
}

/// Writes INFO's text. Fields have Redis's names wherever the thing exists here, and are left out where it does not.
struct InfoText {
    let shard: ShardState
    let total: ShardReport
    let shards: [ShardReport]
    let databases: [DatabaseReport]

    func compose(_ sections: [InfoSection]) -> String {
        sections.map { section in
            "# \(section.title)\r\n" + lines(section).map { "\($0.0):\($0.1)\r\n" }.joined()
        }.joined(separator: "\r\n")
    }

    private typealias Line = (String, String)

    private func lines(_ section: InfoSection) -> [Line] {
        switch section {
        case .server: server
        case .clients: clients
        case .memory: memory
        case .persistence: persistence
        case .stats: stats
        case .replication: [("role", "master"), ("connected_slaves", "0")]
        case .cpu: cpu
        case .modules: []
        case .cluster: [("cluster_enabled", "0")]
        case .network: network
        case .tcp: total.network.tcpLines
        case .shards: shardLines
        case .networkShards: eachShard("network", \.network.networkLines)
        case .tcpShards: eachShard("tcp", \.network.tcpLines)
        case .cycles: total.cycles.lines
        case .cyclesShards: eachShard("cycles", \.cycles.lines)
        case .keyspace: keyspace
        }
    }

    private var server: [Line] {
        let facts = shard.control.facts
        let uptime = max(0, shard.unixMilliseconds - facts.startedAt) / 1000
        return [
            ("redis_version", redisVersion), ("server_name", "apus"), ("apus_version", Config.version),
            ("redis_mode", "standalone"), ("os", ProcessFacts.operatingSystem),
            ("arch_bits", "\(MemoryLayout<Int>.size * 8)"), ("monotonic_clock", "POSIX clock_gettime"),
            ("process_id", "\(getpid())"), ("run_id", facts.runID), ("tcp_port", "\(facts.port)"),
            ("server_time_usec", "\(shard.unixMicroseconds)"), ("uptime_in_seconds", "\(uptime)"),
            ("uptime_in_days", "\(uptime / 86400)"), ("executable", facts.executable),
            ("config_file", facts.configFile), ("shards", "\(shard.shardCount)"),
        ]
    }

    private var clients: [Line] {
        [
            ("connected_clients", "\(total.clients)"), ("maxclients", "\(shard.config.maxClients)"),
            ("blocked_clients", "0"), ("tracking_clients", "0"), ("client_sessions_memory", "\(total.clientMemory)"),
        ]
    }

    private var memory: [Line] {
        let waiting = Int(total.network.waitingBytes)
        let heap = ProcessFacts.heapBytes + waiting + Int(total.network.tableBytes)
        let resident = ProcessFacts.residentBytes
        let physical = ProcessFacts.physicalBytes
        let limit = shard.config.maxMemory
        return [
            ("used_memory", "\(heap)"), ("used_memory_human", humanBytes(heap)),
            ("used_memory_rss", "\(resident)"), ("used_memory_rss_human", humanBytes(resident)),
            ("used_memory_dataset", "\(total.keyMemory)"),
            ("used_memory_waiting", "\(waiting)"),
            ("used_memory_frames", "\((total.network.frames - total.network.framesFree) * 2048)"),
            ("total_system_memory", "\(physical)"), ("total_system_memory_human", humanBytes(physical)),
            ("maxmemory", "\(limit)"), ("maxmemory_human", humanBytes(limit)),
            ("maxmemory_policy", shard.config.maxMemoryPolicy), ("mem_allocator", "libc"),
        ]
    }

    /// Nothing is written to disk yet, and these say so in the words that clients look for.
    private var persistence: [Line] {
        [
            ("loading", "0"), ("async_loading", "0"), ("rdb_bgsave_in_progress", "0"),
            ("rdb_last_save_time", "\(shard.control.facts.startedAt / 1000)"), ("rdb_last_bgsave_status", "ok"),
            ("rdb_saves", "0"), ("aof_enabled", "0"), ("aof_rewrite_in_progress", "0"),
            ("aof_last_write_status", "ok"),
        ]
    }

    private var stats: [Line] {
        let counters = total.statistics
        return [
            ("total_connections_received", "\(counters.connectionsReceived)"),
            ("total_commands_processed", "\(counters.commandsProcessed)"),
            ("instantaneous_ops_per_sec", "\(Int(counters.rate.perSecond.rounded()))"),
            ("total_net_input_bytes", "\(total.network.bytesReceived)"),
            ("total_net_output_bytes", "\(total.network.bytesSent)"),
            ("rejected_connections", "\(counters.rejectedConnections)"),
            ("client_output_buffer_limit_disconnections", "\(counters.outputLimitCloses)"),
            ("expired_keys", "\(total.expiredKeys &- counters.expiredKeysBefore)"), ("evicted_keys", "0"),
            ("keyspace_hits", "\(counters.keyspaceHits)"), ("keyspace_misses", "\(counters.keyspaceMisses)"),
            ("protocol_errors", "\(counters.protocolErrors)"),
            ("volleys", "\(counters.volleys)"), ("volleys_repeated", "\(counters.repeatedVolleys)"),
        ]
    }

    private var cpu: [Line] {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return [("used_cpu_sys", seconds(usage.ru_stime)), ("used_cpu_user", seconds(usage.ru_utime))]
    }

    private var network: [Line] {
        let facts = shard.control.facts
        return [("link", facts.link), ("interface", facts.interface), ("address", facts.address)]
            + total.network.networkLines
    }

    /// `tcp_shard0:name=value,...`, as Redis writes a line for each command in `commandstats`.
    private func eachShard(_ name: String, _ lines: (ShardReport) -> [Line]) -> [Line] {
        shards.enumerated().map { index, report in
            ("\(name)_shard\(index)", lines(report).map { "\($0.0)=\($0.1)" }.joined(separator: ","))
        }
    }

    private var shardLines: [Line] {
        shards.enumerated().map { index, report in
            let network = report.network
            return (
                "shard\(index)",
                """
                clients=\(report.clients),commands=\(report.statistics.commandsProcessed),\
                connections=\(network.connections),kernel_connections=\(network.kernelConnections),\
                frames=\(network.frames),frames_free=\(network.framesFree),\
                frames_lowest_free=\(network.framesLowestFree),remote_requests=\(network.remoteRequests)
                """
            )
        }
    }

    private var keyspace: [Line] {
        databases.enumerated().compactMap { index, database in
            guard database.keys > 0 else { return nil }
            return ("db\(index)", "keys=\(database.keys),expires=\(database.expires),avg_ttl=0")
        }
    }

    private func seconds(_ time: timeval) -> String {
        let microseconds = String(1_000_000 + time.tv_usec).dropFirst()
        return "\(time.tv_sec).\(microseconds)"
    }
}

/// "1.50M", as Redis writes sizes for people.
func humanBytes(_ bytes: Int) -> String {
    guard bytes >= 1024 else { return "\(bytes)B" }
    var value = Double(bytes) / 1024
    var unit = 0
    let units = ["K", "M", "G", "T", "P", "E"]
    while value >= 1024 && unit < units.count - 1 {
        value /= 1024
        unit += 1
    }
    let hundredths = Int((value * 100).rounded())
    return "\(hundredths / 100).\(String(100 + hundredths % 100).dropFirst())\(units[unit])"
}

/// What the kernel and the C library know of this process.
enum ProcessFacts {
    static var operatingSystem: String {
        var names = utsname()
        uname(&names)
        func text<T>(_ field: T) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        return "\(text(names.sysname)) \(text(names.release)) \(text(names.machine))"
    }

    /// Bytes that malloc has given out, over all threads.
    static var heapBytes: Int { apus_heap_bytes() }

    static var physicalBytes: Int { sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE)) }

    /// 0 where /proc is not there.
    static var residentBytes: Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 128)
        guard fgets(&line, 128, file) != nil else { return 0 }
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let words = text.split(separator: " ")
        guard words.count > 1, let pages = Int(words[1]) else { return 0 }
        return pages * sysconf(Int32(_SC_PAGESIZE))
    }
}
