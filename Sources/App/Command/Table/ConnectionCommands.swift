extension CommandSpec {
    /// Allowed at any time, before authentication too.
    private static let session: CommandFlags = [.noscript, .loading, .stale, .fast, .noAuth, .allowBusy]

    static let connection: [CommandSpec] = [
        .plain(
            .ping, .connection, arity: -1, [.fast], .connection, since: "1.0.0",
            tips: ["request_policy:all_shards", "response_policy:all_succeeded"],
            "Returns PONG, or the message if there is one.", [ArgumentSpec("message", .string, optional: true)]),
        .plain(
            .echo, .connection, arity: 2, [.loading, .stale, .fast], .connection, since: "1.0.0",
            "Returns the message.", [ArgumentSpec("message", .string)]),
        .plain(
            .hello, .connection, arity: -1, session, .connection, since: "6.0.0",
            "Chooses the protocol version and returns facts about the server.", helloSyntax),
        .plain(
            .quit, .connection, arity: -1, session, .connection, since: "1.0.0",
            replaced: ("7.2.0", "just closing the connection"), "Closes the connection after the reply."),
        .plain(
            .reset, .connection, arity: 1, session, .connection, since: "6.2.0",
            "Gives the connection the state of a new one."),
        .plain(
            .auth, .connection, arity: -2, session, .connection, since: "1.0.0",
            complexity: "O(N) where N is the number of passwords of the user",
            "Authenticates the connection.",
            [
                ArgumentSpec("username", .string, optional: true, since: "6.0.0"),
                ArgumentSpec("password", .string),
            ]),
        .plain(
            .select, .connection, arity: 2, [.loading, .stale, .fast], .connection, since: "1.0.0",
            "Selects the database of the connection by its number.", [ArgumentSpec("index", .integer)]),
        .plain(
            .client, .connection, arity: -2, [], since: "2.4.0", complexity: "Depends on subcommand.",
            "A container for commands about client connections.", [], clientSubcommands),
    ]

    private static let helloSyntax = [
        ArgumentSpec(
            "arguments", .block, optional: true,
            [
                ArgumentSpec("protover", .integer),
                ArgumentSpec(
                    "auth", .block, token: "AUTH", optional: true,
                    [ArgumentSpec("username", .string), ArgumentSpec("password", .string)]),
                ArgumentSpec("clientname", .string, token: "SETNAME", optional: true),
            ])
    ]

    // MARK: CLIENT

    private static let everyClient = "O(N) where N is the number of client connections"

    private static func ofClient(
        _ name: String, arity: Int, _ flags: CommandFlags = [.noscript], _ routing: Routing = .local, since: String,
        complexity: String = "O(1)", tips: [String] = [], _ summary: String, _ syntax: [ArgumentSpec] = []
    ) -> CommandSpec {
        CommandSpec(
            name: name, id: .client, arity: arity, flags: flags.union([.loading, .stale]), keys: nil,
            categories: .connection, routing: routing, group: .connection, since: since, complexity: complexity,
            summary: summary, tips: tips, syntax: syntax)
    }

    private static let clientType = ArgumentSpec(
        "client-type", .oneof, token: "TYPE", optional: true,
        [.token("normal"), .token("master"), .token("replica"), .token("pubsub")])

    private static let clientFilter = ArgumentSpec(
        "filter", .oneof,
        [
            ArgumentSpec("ip:port", .string),
            ArgumentSpec(
                "new-format", .oneof, multiple: true,
                [
                    ArgumentSpec("client-id", .integer, token: "ID", optional: true),
                    clientType,
                    ArgumentSpec("username", .string, token: "USER", optional: true),
                    ArgumentSpec("addr", .string, token: "ADDR", optional: true),
                    ArgumentSpec("laddr", .string, token: "LADDR", optional: true, since: "6.2.0"),
                    ArgumentSpec("skipme", .oneof, token: "SKIPME", optional: true, [.token("YES"), .token("NO")]),
                ]),
        ])

    private static let clientSubcommands: [CommandSpec] = [
        ofClient("id", arity: 2, since: "5.0.0", "Returns the connection's number."),
        ofClient(
            "info", arity: 2, since: "6.2.0", tips: ["nondeterministic_output"], "Returns facts about the connection."),
        ofClient(
            "list", arity: -2, [.admin, .noscript], .allShards, since: "2.4.0", complexity: everyClient,
            tips: ["nondeterministic_output"], "Returns facts about all connections.",
            [clientType, ArgumentSpec("client-id", .integer, token: "ID", optional: true, multiple: true)]),
        ofClient(
            "kill", arity: -3, [.admin, .noscript], .allShards, since: "2.4.0", complexity: everyClient,
            "Closes connections.", [clientFilter]),
        ofClient("getname", arity: 2, since: "2.6.9", "Returns the connection's name."),
        ofClient(
            "setname", arity: 3, since: "2.6.9",
            tips: ["request_policy:all_nodes", "response_policy:all_succeeded"], "Sets the connection's name.",
            [ArgumentSpec("connection-name", .string)]),
        ofClient(
            "setinfo", arity: 4, since: "7.2.0",
            tips: ["request_policy:all_nodes", "response_policy:all_succeeded"],
            "Sets what the client library tells of itself.",
            [
                ArgumentSpec(
                    "attr", .oneof,
                    [
                        ArgumentSpec("libname", .string, token: "lib-name"),
                        ArgumentSpec("libver", .string, token: "lib-ver"),
                    ])
            ]),
        ofClient(
            "no-evict", arity: 3, [.admin, .noscript], since: "7.0.0",
            "Exempts the connection from being closed for lack of memory.", [.onOff]),
        ofClient(
            "no-touch", arity: 3, since: "7.2.0",
            "Chooses if the connection's commands mark keys as just used.", [.onOff]),
        ofClient(
            "reply", arity: 3, since: "3.2.0", "Turns replies off and on, or leaves out the next one.",
            [ArgumentSpec("action", .oneof, [.token("ON"), .token("OFF"), .token("SKIP")])]),
        ofClient("help", arity: 2, [], since: "5.0.0", "Returns a text about the subcommands."),
    ]
}
