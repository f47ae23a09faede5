extension CommandSpec {
    static let strings: [CommandSpec] = stringReads + stringWrites + stringCounters

    private static let value = ArgumentSpec("value", .string)

    private static let substringSyntax: [ArgumentSpec] = [
        .key, ArgumentSpec("start", .integer), ArgumentSpec("end", .integer),
    ]

    private static let stringReads: [CommandSpec] = [
        .onKey(
            .get, arity: 2, [.readonly, .fast], [.ro, .access], since: "1.0.0", "Returns the string value of a key.",
            [.key]),
        .onKey(
            .strlen, arity: 2, [.readonly, .fast], [.ro], since: "2.2.0", "Returns the length of a string value.",
            [.key]),
        .onKey(
            .getrange, arity: 4, [.readonly], [.ro, .access], since: "2.4.0",
            complexity: "O(N) where N is the length of the returned string",
            "Returns a part of a string value.", substringSyntax),
        .onKey(
            .substr, arity: 4, [.readonly], [.ro, .access], since: "1.0.0",
            complexity: "O(N) where N is the length of the returned string",
            replaced: ("2.0.0", "`GETRANGE`"), "Returns a part of a string value.", substringSyntax),
    ]

    private static let setSyntax: [ArgumentSpec] = [
        .key, value,
        ArgumentSpec("condition", .oneof, optional: true, since: "2.6.12", [.token("NX"), .token("XX")]),
        .token("GET", optional: true, since: "6.2.0"),
        .expiration(.token("KEEPTTL", since: "6.0.0"), sinceRelative: "2.6.12", sinceAbsolute: "6.2.0"),
    ]

    private static let stringWrites: [CommandSpec] = [
        .onKey(
            .set, arity: -3, [.write, .denyoom], [.rw, .access, .update, .variableFlags], since: "1.0.0",
            "Sets the string value of a key, whatever it held before.", setSyntax),
        .onKey(
            .setnx, arity: 3, [.write, .denyoom, .fast], [.ow, .insert], since: "1.0.0",
            replaced: ("2.6.12", "`SET` with the `NX` argument"),
            "Sets the string value of a key that does not exist.", [.key, value]),
        .onKey(
            .setex, arity: 4, [.write, .denyoom], [.ow, .update], since: "2.0.0",
            replaced: ("2.6.12", "`SET` with the `EX` argument"),
            "Sets the string value and the time to live, in seconds, of a key.",
            [.key, ArgumentSpec("seconds", .integer), value]),
        .onKey(
            .psetex, arity: 4, [.write, .denyoom], [.ow, .update], since: "2.6.0",
            replaced: ("2.6.12", "`SET` with the `PX` argument"),
            "Sets the string value and the time to live, in milliseconds, of a key.",
            [.key, ArgumentSpec("milliseconds", .integer), value]),
        .onKey(
            .getset, arity: 3, [.write, .denyoom, .fast], [.rw, .access, .update], since: "1.0.0",
            replaced: ("6.2.0", "`SET` with the `!GET` argument"),
            "Returns the string value of a key and sets it to a new one.", [.key, value]),
        .onKey(
            .getdel, arity: 2, [.write, .fast], [.rw, .access, .delete], since: "6.2.0",
            "Returns the string value of a key and deletes the key.", [.key]),
        .onKey(
            .getex, arity: -2, [.write, .fast], [.rw, .access, .update], since: "6.2.0",
            "Returns the string value of a key and changes its expiry.",
            [.key, .expiration(.token("PERSIST"))]),
        .onKey(
            .append, arity: 3, [.write, .denyoom, .fast], [.rw, .insert], since: "2.0.0",
            complexity: "O(1) for a short value, since the room for a string grows by doubling",
            "Appends to a string value, which is empty if the key does not exist.", [.key, value]),
        .onKey(
            .setrange, arity: 4, [.write, .denyoom], [.rw, .update], since: "2.2.0",
            complexity: "O(M) where M is the length of the value argument",
            "Overwrites a part of a string value, which grows as needed.",
            [.key, ArgumentSpec("offset", .integer), value]),
    ]

    private static let stringCounters: [CommandSpec] = [
        .onKey(
            .incr, arity: 2, [.write, .denyoom, .fast], [.rw, .access, .update], since: "1.0.0",
            "Adds one to the integer value of a key, which is 0 if it does not exist.", [.key]),
        .onKey(
            .decr, arity: 2, [.write, .denyoom, .fast], [.rw, .access, .update], since: "1.0.0",
            "Subtracts one from the integer value of a key, which is 0 if it does not exist.", [.key]),
        .onKey(
            .incrby, arity: 3, [.write, .denyoom, .fast], [.rw, .access, .update], since: "1.0.0",
            "Adds a number to the integer value of a key, which is 0 if it does not exist.",
            [.key, ArgumentSpec("increment", .integer)]),
        .onKey(
            .decrby, arity: 3, [.write, .denyoom, .fast], [.rw, .access, .update], since: "1.0.0",
            "Subtracts a number from the integer value of a key, which is 0 if it does not exist.",
            [.key, ArgumentSpec("decrement", .integer)]),
        .onKey(
            .incrbyfloat, arity: 3, [.write, .denyoom, .fast], [.rw, .access, .update], since: "2.6.0",
            "Adds a number to the floating point value of a key, which is 0 if it does not exist.",
            [.key, ArgumentSpec("increment", .double)]),
    ]
}
