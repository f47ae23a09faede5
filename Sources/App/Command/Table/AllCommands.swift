extension CommandTable {
    /// One for each `CommandID`, in its order.
    static let allSpecs: [CommandSpec] = {
        let unordered = CommandSpec.connection + CommandSpec.strings + CommandSpec.keys + CommandSpec.server
        return unordered.sorted { $0.id.rawValue < $1.id.rawValue }
    }()
}

extension CommandSpec {
    /// A command on the key that is its second word.
    static func onKey(
        _ id: CommandID, arity: Int, _ flags: CommandFlags, _ keyFlags: KeyFlags, since: String,
        complexity: String = "O(1)", tips: [String] = [], replaced: (since: String, by: String)? = nil,
        _ summary: String, _ syntax: [ArgumentSpec]
    ) -> CommandSpec {
        CommandSpec(
            name: "\(id)", id: id, arity: arity, flags: flags, keys: .one, keyFlags: keyFlags, categories: .string,
            routing: .key, group: .string, since: since, complexity: complexity, summary: summary,
            deprecatedSince: replaced?.since, replacedBy: replaced?.by, tips: tips, syntax: syntax)
    }

    /// The same for values of any type.
    static func onAnyKey(
        _ id: CommandID, arity: Int, _ flags: CommandFlags, _ keyFlags: KeyFlags, since: String,
        complexity: String = "O(1)", tips: [String] = [], _ summary: String, _ syntax: [ArgumentSpec]
    ) -> CommandSpec {
        CommandSpec(
            name: "\(id)", id: id, arity: arity, flags: flags, keys: .one, keyFlags: keyFlags, categories: .keyspace,
            routing: .key, group: .generic, since: since, complexity: complexity, summary: summary, tips: tips,
            syntax: syntax)
    }

    /// Without keys.
    static func plain(
        _ id: CommandID, _ group: CommandGroup, arity: Int, _ flags: CommandFlags,
        _ categories: ACLCategories = [], _ routing: Routing = .local, since: String, complexity: String = "O(1)",
        tips: [String] = [], replaced: (since: String, by: String)? = nil, _ summary: String,
        _ syntax: [ArgumentSpec] = [], _ subcommands: [CommandSpec] = []
    ) -> CommandSpec {
        CommandSpec(
            name: "\(id)", id: id, arity: arity, flags: flags, keys: nil, categories: categories, routing: routing,
            group: group, since: since, complexity: complexity, summary: summary, deprecatedSince: replaced?.since,
            replacedBy: replaced?.by, tips: tips, syntax: syntax, subcommands: subcommands)
    }
}

extension ArgumentSpec {
    /// ASYNC or SYNC, for FLUSHDB and FLUSHALL.
    static let flushKind = ArgumentSpec(
        "flush-type", .oneof, optional: true,
        [.token("ASYNC", since: "4.0.0"), .token("SYNC", since: "6.2.0")])

    /// When the EXPIRE family takes effect.
    static let expireCondition = ArgumentSpec(
        "condition", .oneof, optional: true, since: "7.0.0",
        [.token("NX"), .token("XX"), .token("GT"), .token("LT")])

    /// EX, PX, EXAT and PXAT, then `last`.
    static func expiration(
        _ last: ArgumentSpec, sinceRelative: String? = nil, sinceAbsolute: String? = nil
    ) -> ArgumentSpec {
        ArgumentSpec(
            "expiration", .oneof, optional: true,
            [
                ArgumentSpec("seconds", .integer, token: "EX", since: sinceRelative),
                ArgumentSpec("milliseconds", .integer, token: "PX", since: sinceRelative),
                ArgumentSpec("unix-time-seconds", .unixTime, token: "EXAT", since: sinceAbsolute),
                ArgumentSpec("unix-time-milliseconds", .unixTime, token: "PXAT", since: sinceAbsolute),
                last,
            ])
    }

    static let onOff = ArgumentSpec("enabled", .oneof, [.token("ON"), .token("OFF")])
}
