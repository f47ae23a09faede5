extension CommandSpec {
    private static let everyShard = ["request_policy:all_shards", "response_policy:all_succeeded"]

    static let server: [CommandSpec] = [
        .plain(
            .dbsize, .server, arity: 1, [.readonly, .fast], .keyspace, .allShards, since: "1.0.0",
            tips: ["request_policy:all_shards", "response_policy:agg_sum"],
            "Returns the number of keys in the selected database."),
        .plain(
            .flushdb, .server, arity: -1, [.write], [.keyspace, .dangerous], .allShards, since: "1.0.0",
            complexity: "O(N) where N is the number of keys in the selected database", tips: everyShard,
            "Deletes all keys of the selected database.", [.flushKind]),
        .plain(
            .flushall, .server, arity: -1, [.write], [.keyspace, .dangerous], .allShards, since: "1.0.0",
            complexity: "O(N) where N is the number of keys in all databases", tips: everyShard,
            "Deletes all keys of all databases.", [.flushKind]),
        .plain(
            .info, .server, arity: -1, [.loading, .stale], .dangerous, .allShards, since: "1.0.0",
            tips: ["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
            "Returns facts and statistics about the server.",
            [ArgumentSpec("section", .string, optional: true, multiple: true)]),
        .plain(
            .time, .server, arity: 1, [.loading, .stale, .fast], since: "2.6.0", tips: ["nondeterministic_output"],
            "Returns the server's time: Unix seconds, and microseconds in the second."),
        .plain(
            .shutdown, .server, arity: -1, [.admin, .noscript, .loading, .stale, .noMulti, .allowBusy], [],
            .control, since: "1.0.0", "Ends the server.", shutdownSyntax),
        .plain(
            .config, .server, arity: -2, [], since: "2.0.0", complexity: "Depends on subcommand.",
            "A container for commands about the configuration.", [], configSubcommands),
        .plain(
            .command, .server, arity: -1, [.loading, .stale], .connection, since: "2.8.13",
            complexity: "O(N) where N is the number of commands", tips: ["nondeterministic_output_order"],
            "Returns details about all commands.", [], commandSubcommands),
        .plain(
            .debug, .server, arity: -2, [.admin, .noscript, .loading, .stale, .protected], [], .allShards,
            since: "1.0.0", complexity: "Depends on subcommand.", "A container for debugging commands."),
    ]

    private static let shutdownSyntax: [ArgumentSpec] = [
        ArgumentSpec("save-selector", .oneof, optional: true, [.token("NOSAVE"), .token("SAVE")]),
        .token("NOW", optional: true, since: "7.0.0"),
        .token("FORCE", optional: true, since: "7.0.0"),
        .token("ABORT", optional: true, since: "7.0.0"),
    ]

    // MARK: CONFIG

    private static func ofConfig(
        _ name: String, arity: Int, _ routing: Routing, _ flags: CommandFlags = [.admin, .noscript], since: String,
        complexity: String = "O(1)", tips: [String] = [], _ summary: String, _ syntax: [ArgumentSpec] = []
    ) -> CommandSpec {
        CommandSpec(
            name: name, id: .config, arity: arity, flags: flags.union([.loading, .stale]), keys: nil, categories: [],
            routing: routing, group: .server, since: since, complexity: complexity, summary: summary, tips: tips,
            syntax: syntax)
    }

    private static let everyNode = ["request_policy:all_nodes", "response_policy:all_succeeded"]

    private static let configSubcommands: [CommandSpec] = [
        ofConfig(
            "get", arity: -3, .local, since: "2.0.0", complexity: "O(N) where N is the number of patterns",
            "Returns directives and their values.", [ArgumentSpec("parameter", .string, multiple: true)]),
        ofConfig(
            "set", arity: -4, .control, since: "2.0.0", complexity: "O(N) where N is the number of directives",
            tips: everyNode, "Changes directives while the server runs.",
            [
                ArgumentSpec(
                    "data", .block, multiple: true,
                    [ArgumentSpec("parameter", .string), ArgumentSpec("value", .string)])
            ]),
        ofConfig("resetstat", arity: 2, .allShards, since: "2.0.0", tips: everyNode, "Sets the statistics to zero."),
        ofConfig(
            "rewrite", arity: 2, .control, since: "2.8.0", tips: everyNode,
            "Writes the configuration to its file."),
        ofConfig("help", arity: 2, .local, [], since: "5.0.0", "Returns a text about the subcommands."),
    ]

    // MARK: COMMAND

    private static func ofCommand(
        _ name: String, arity: Int, since: String, complexity: String = "O(1)", ordered: Bool = true,
        _ summary: String, _ syntax: [ArgumentSpec] = []
    ) -> CommandSpec {
        CommandSpec(
            name: name, id: .command, arity: arity, flags: [.loading, .stale], keys: nil, categories: .connection,
            routing: .local, group: .server, since: since, complexity: complexity, summary: summary,
            tips: ordered ? [] : ["nondeterministic_output_order"], syntax: syntax)
    }

    private static let commandNames = ArgumentSpec("command-name", .string, optional: true, multiple: true)

    private static let wholeCommand: [ArgumentSpec] = [
        ArgumentSpec("command", .string), ArgumentSpec("arg", .string, optional: true, multiple: true),
    ]

    private static let commandSubcommands: [CommandSpec] = [
        ofCommand("count", arity: 2, since: "2.8.13", "Returns the number of commands."),
        ofCommand(
            "docs", arity: -2, since: "7.0.0", complexity: "O(N) where N is the number of commands asked for",
            ordered: false, "Returns documentation of commands.", [commandNames]),
        ofCommand(
            "getkeys", arity: -3, since: "2.8.13", complexity: "O(N) where N is the number of arguments",
            "Returns the keys among the arguments of a command.", wholeCommand),
        ofCommand(
            "getkeysandflags", arity: -3, since: "7.0.0", complexity: "O(N) where N is the number of arguments",
            "Returns the keys among the arguments of a command, and how it uses them.", wholeCommand),
        ofCommand(
            "info", arity: -2, since: "2.8.13", complexity: "O(N) where N is the number of commands asked for",
            ordered: false, "Returns details about commands.", [commandNames]),
        ofCommand(
            "list", arity: -2, since: "7.0.0", complexity: "O(N) where N is the number of commands", ordered: false,
            "Returns the names of commands.",
            [
                ArgumentSpec(
                    "filterby", .oneof, token: "FILTERBY", optional: true,
                    [
                        ArgumentSpec("module-name", .string, token: "MODULE"),
                        ArgumentSpec("category", .string, token: "ACLCAT"),
                        ArgumentSpec("pattern", .pattern, token: "PATTERN"),
                    ])
            ]),
        ofCommand("help", arity: 2, since: "5.0.0", "Returns a text about the subcommands."),
    ]
}
