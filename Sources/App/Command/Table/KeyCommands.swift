extension CommandSpec {
    static let keys: [CommandSpec] =
        manyKeys + expiry + [
            .onAnyKey(
                .type, arity: 2, [.readonly, .fast], [.ro], since: "1.0.0", "Returns the type of the value of a key.",
                [.key])
        ]

    /// Of commands that are split by shard.
    private static let sumTips = ["request_policy:multi_shard", "response_policy:agg_sum"]

    private static func onKeys(
        _ id: CommandID, _ flags: CommandFlags, _ keyFlags: KeyFlags, since: String, complexity: String,
        _ summary: String
    ) -> CommandSpec {
        CommandSpec(
            name: "\(id)", id: id, arity: -2, flags: flags, keys: .all, keyFlags: keyFlags, categories: .keyspace,
            routing: .multiKey, group: .generic, since: since, complexity: complexity, summary: summary, tips: sumTips,
            syntax: [.keys])
    }

    private static let manyKeys: [CommandSpec] = [
        onKeys(
            .del, [.write], [.rm, .delete], since: "1.0.0", complexity: "O(N) where N is the number of keys",
            "Deletes keys and returns how many there were."),
        onKeys(
            .unlink, [.write, .fast], [.rm, .delete], since: "4.0.0", complexity: "O(N) where N is the number of keys",
            "Deletes keys and returns how many there were; the memory may be freed later."),
        onKeys(
            .exists, [.readonly, .fast], [.ro], since: "1.0.0", complexity: "O(N) where N is the number of keys",
            "Returns how many of the keys exist, counting repeated ones each time."),
        onKeys(
            .touch, [.readonly, .fast], [.ro], since: "3.2.1", complexity: "O(N) where N is the number of keys",
            "Returns how many of the keys exist and marks them as just used."),
    ]

    private static func setExpiry(_ id: CommandID, since: String, _ time: ArgumentSpec, _ summary: String)
        -> CommandSpec
    {
        .onAnyKey(
            id, arity: -3, [.write, .fast], [.rw, .update], since: since, summary, [.key, time, .expireCondition])
    }

    private static func getExpiry(_ id: CommandID, since: String, tips: [String] = [], _ summary: String)
        -> CommandSpec
    {
        .onAnyKey(id, arity: 2, [.readonly, .fast], [.ro, .access], since: since, tips: tips, summary, [.key])
    }

    private static let expiry: [CommandSpec] = [
        setExpiry(
            .expire, since: "1.0.0", ArgumentSpec("seconds", .integer), "Sets the time to live of a key in seconds."),
        setExpiry(
            .pexpire, since: "2.6.0", ArgumentSpec("milliseconds", .integer),
            "Sets the time to live of a key in milliseconds."),
        setExpiry(
            .expireat, since: "1.2.0", ArgumentSpec("unix-time-seconds", .unixTime),
            "Sets the time at which a key expires, in Unix seconds."),
        setExpiry(
            .pexpireat, since: "2.6.0", ArgumentSpec("unix-time-milliseconds", .unixTime),
            "Sets the time at which a key expires, in Unix milliseconds."),
        getExpiry(
            .ttl, since: "1.0.0", tips: ["nondeterministic_output"], "Returns the time to live of a key in seconds."),
        getExpiry(
            .pttl, since: "2.6.0", tips: ["nondeterministic_output"],
            "Returns the time to live of a key in milliseconds."),
        getExpiry(.expiretime, since: "7.0.0", "Returns the time at which a key expires, in Unix seconds."),
        getExpiry(.pexpiretime, since: "7.0.0", "Returns the time at which a key expires, in Unix milliseconds."),
        .onAnyKey(
            .persist, arity: 2, [.write, .fast], [.rw, .update], since: "2.2.0",
            "Removes the expiry of a key, which then stays until it is deleted.", [.key]),
    ]
}
