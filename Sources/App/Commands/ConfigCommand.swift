import Runtime

// CONFIG. The directives themselves are in Config/; SET and REWRITE run on shard 0 only, which orders them.

/// CONFIG GET pattern [pattern ...]
func configGetCommand(_ c: inout CommandContext) {
    var patterns: [String] = []
    for index in 2..<c.arguments.count { patterns.append(c.arguments[index].string) }
    let found = c.shard.config.matching(patterns)
    c.reply.map(found.count)
    for (name, value) in found {
        // A name that was written out is repeated as the client wrote it.
        c.reply.bulk(patterns.first { $0.lowercased() == name } ?? name)
        c.reply.bulk(value)
    }
}

/// CONFIG SET directive value [directive value ...]
func configSetCommand(_ c: inout CommandContext) {
    guard c.arguments.count % 2 == 0 else { return c.replySyntaxError() }
    var pairs: [(name: String, value: String)] = []
    for index in stride(from: 2, to: c.arguments.count, by: 2) {
        pairs.append((c.arguments[index].string, c.arguments[index + 1].string))
    }
    switch c.shard.config.setting(pairs) {
    case .failure(let error): c.reply.error(error.text)
    case .success(let changed):
        c.shard.control.publish(changed)
        // The others see it from their next turn on; for this shard the next command may be of the same turn.
        c.shard.takeConfig()
        c.reply.ok()
    }
}

/// CONFIG REWRITE
func configRewriteCommand(_ c: inout CommandContext) {
    if let error = c.shard.control.rewriteConfigFile() { return c.reply.error(error) }
    c.reply.ok()
}

/// CONFIG RESETSTAT's part on each shard.
func configResetstatPart(_ c: inout CommandContext) {
    c.shard.statistics.reset(expiredKeys: c.shard.keyspace.expiredKeys)
    c.shard.cycles.reset(now: c.shard.monotonic)
}

/// CONFIG HELP
func configHelpCommand(_ c: inout CommandContext) {
    c.replyHelp(
        "CONFIG",
        [
            "GET <pattern>",
            "    Return parameters matching the glob-like <pattern> and their values.",
            "SET <directive> <value>",
            "    Set the configuration <directive> to <value>.",
            "RESETSTAT",
            "    Reset statistics reported by the INFO command.",
            "REWRITE",
            "    Rewrite the configuration file.",
        ])
}

extension CommandContext {
    /// The answer of every HELP subcommand: an array of simple strings.
    mutating func replyHelp(_ command: String, _ lines: [String]) {
        reply.array(lines.count + 3)
        reply.simpleString("\(command) <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
        for line in lines { reply.simpleString(line) }
        reply.simpleString("HELP")
        reply.simpleString("    Prints this help.")
    }
}
