/// Directives that Redis 7 knows and Apus does not keep yet. A file with them loads: each is told of once in the log.
enum UnsupportedDirective {
    static func contains(_ lowercaseName: String) -> Bool { names.contains(lowercaseName) }

    private static let names = Set(
        (network + tls + general + memory + replication + cluster + persistence + encodings + scripting + defrag)
            .split(whereSeparator: \.isWhitespace).map(String.init))

    private static let network = """
        unixsocket unixsocketperm bind-source-addr socket-mark-id max-new-connections-per-cycle
        enable-protected-configs enable-module-command
        """
    private static let tls = """
         tls-port tls-cert-file tls-key-file tls-key-file-pass tls-client-cert-file tls-client-key-file
        tls-client-key-file-pass tls-dh-params-file tls-ca-cert-file tls-ca-cert-dir tls-auth-clients tls-replication
        tls-cluster tls-protocols tls-ciphers tls-ciphersuites tls-prefer-server-ciphers tls-session-caching
        tls-session-cache-size tls-session-cache-timeout
        """
    private static let general = """
         supervised pidfile syslog-enabled syslog-ident syslog-facility crash-log-enabled crash-memcheck-enabled
        always-show-logo set-proc-title proc-title-template locale-collate hide-user-data-from-log
        aclfile acllog-max-len acl-pubsub-default user rename-command loadmodule
        latency-tracking latency-tracking-info-percentiles notify-keyspace-events tracking-table-max-keys
        oom-score-adj oom-score-adj-values disable-thp server_cpulist server-cpulist bio_cpulist bio-cpulist
        aof_rewrite_cpulist aof-rewrite-cpulist bgsave_cpulist bgsave-cpulist ignore-warnings watchdog-period
        shutdown-timeout shutdown-on-sigint shutdown-on-sigterm propagation-error-behavior jemalloc-bg-thread
        activerehashing
        """
    private static let memory = """
         maxmemory-clients active-expire-effort lfu-log-factor lfu-decay-time
        lazyfree-lazy-eviction lazyfree-lazy-expire lazyfree-lazy-server-del lazyfree-lazy-user-del
        lazyfree-lazy-user-flush replica-lazy-flush slave-lazy-flush
        """
    private static let replication = """
         replicaof slaveof masteruser masterauth replica-serve-stale-data slave-serve-stale-data replica-read-only
        slave-read-only repl-diskless-sync repl-diskless-sync-delay repl-diskless-sync-max-replicas
        repl-diskless-sync-period repl-diskless-load rdb-del-sync-files
        repl-ping-replica-period repl-ping-slave-period repl-timeout repl-disable-tcp-nodelay repl-backlog-size
        repl-backlog-ttl replica-priority slave-priority replica-announced replica-announce-ip slave-announce-ip
        replica-announce-port slave-announce-port min-replicas-to-write min-slaves-to-write min-replicas-max-lag
        min-slaves-max-lag replica-ignore-maxmemory slave-ignore-maxmemory replica-ignore-disk-write-errors
        repl-full-sync-buffer-limit io-threads-active
        """
    private static let cluster = """
         cluster-enabled cluster-config-file cluster-port cluster-node-timeout cluster-replica-validity-factor
        cluster-slave-validity-factor cluster-migration-barrier cluster-allow-replica-migration
        cluster-require-full-coverage cluster-replica-no-failover cluster-slave-no-failover
        cluster-allow-reads-when-down cluster-allow-pubsubshard-when-down cluster-link-sendbuf-limit
        cluster-announce-ip cluster-announce-port cluster-announce-tls-port cluster-announce-bus-port
        cluster-announce-hostname cluster-announce-human-nodename cluster-preferred-endpoint-type
        cluster-compatibility-sample-ratio cluster-slot-stats-enabled
        """
    private static let persistence = """
         stop-writes-on-bgsave-error rdbcompression rdbchecksum rdb-save-incremental-fsync sanitize-dump-payload
        appenddirname no-appendfsync-on-rewrite auto-aof-rewrite-percentage auto-aof-rewrite-min-size
        aof-load-truncated aof-use-rdb-preamble aof-timestamp-enabled aof-rewrite-incremental-fsync
        aof-disable-auto-gc rdb-key-save-delay key-load-delay loading-process-events-interval-bytes
        """
    private static let encodings = """
         hash-max-listpack-entries hash-max-ziplist-entries hash-max-listpack-value hash-max-ziplist-value
        list-max-listpack-size list-max-ziplist-size list-compress-depth set-max-intset-entries
        set-max-listpack-entries set-max-listpack-value zset-max-listpack-entries zset-max-ziplist-entries
        zset-max-listpack-value zset-max-ziplist-value hll-sparse-max-bytes stream-node-max-bytes
        stream-node-max-entries
        """
    private static let scripting = """
         lua-time-limit busy-reply-threshold lua-enable-deprecated-api close-on-replica-write
        close-on-slave-write
        """
    private static let defrag = """
         activedefrag active-defrag-ignore-bytes active-defrag-threshold-lower active-defrag-threshold-upper
        active-defrag-cycle-min active-defrag-cycle-max active-defrag-max-scan-fields
        """
}
