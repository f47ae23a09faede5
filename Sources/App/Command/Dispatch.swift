/// Runs a command whose arity was checked. Runs on the shard that its routing class names; what is routed to all shards
/// goes through `executePart` and `combineParts` instead.
///
/// Small commands are marked `@inline(never)`: this switch is then a jump and needs to save no registers.
func execute(_ id: CommandID, _ c: inout CommandContext) {
    switch id {
    case .get: getCommand(&c)
    case .set: setCommand(&c)
    case .setnx: setnxCommand(&c)
    case .setex: setexCommand(&c)
    case .psetex: psetexCommand(&c)
    case .getset: getsetCommand(&c)
    case .getdel: getdelCommand(&c)
    case .getex: getexCommand(&c)
    case .append: appendCommand(&c)
    case .strlen: strlenCommand(&c)
    case .getrange, .substr: getrangeCommand(&c)
    case .setrange: setrangeCommand(&c)
    case .incr: incrCommand(&c)
    case .decr: decrCommand(&c)
    case .incrby: incrbyCommand(&c)
    case .decrby: decrbyCommand(&c)
    case .incrbyfloat: incrbyfloatCommand(&c)

    case .del, .unlink: delCommand(&c)
    case .exists, .touch: existsCommand(&c)
    case .type: typeCommand(&c)
    case .expire: expireCommand(&c)
    case .pexpire: pexpireCommand(&c)
    case .expireat: expireatCommand(&c)
    case .pexpireat: pexpireatCommand(&c)
    case .ttl: ttlCommand(&c)
    case .pttl: pttlCommand(&c)
    case .expiretime: expiretimeCommand(&c)
    case .pexpiretime: pexpiretimeCommand(&c)
    case .persist: persistCommand(&c)

    case .ping: pingCommand(&c)
    case .echo: echoCommand(&c)
    case .hello: helloCommand(&c)
    case .auth: authCommand(&c)
    case .quit: quitCommand(&c)
    case .reset: resetCommand(&c)
    case .select: selectCommand(&c)
    case .client: clientCommand(&c)

    case .config: configCommand(&c)
    case .command: commandCommand(&c)
    case .time: timeCommand(&c)
    case .shutdown: shutdownCommand(&c)

    case .dbsize, .flushdb, .flushall, .info, .debug: preconditionFailure("runs on all shards")
    }
}

/// CLIENT's subcommands that concern the client alone. The table has checked that the word names one.
private func clientCommand(_ c: inout CommandContext) {
    let word = c.arguments[1]
    if word.equalsIgnoringCase("setname") { return clientSetnameCommand(&c) }
    if word.equalsIgnoringCase("setinfo") { return clientSetinfoCommand(&c) }
    if word.equalsIgnoringCase("id") { return clientIDCommand(&c) }
    if word.equalsIgnoringCase("info") { return clientInfoCommand(&c) }
    if word.equalsIgnoringCase("getname") { return clientGetnameCommand(&c) }
    if word.equalsIgnoringCase("reply") { return clientReplyCommand(&c) }
    if word.equalsIgnoringCase("no-evict") { return clientNoEvictCommand(&c) }
    if word.equalsIgnoringCase("no-touch") { return clientNoTouchCommand(&c) }
    if word.equalsIgnoringCase("help") { return clientHelpCommand(&c) }
    preconditionFailure("the table routes this subcommand elsewhere or does not know it")
}

/// CONFIG's subcommands that run on one shard.
private func configCommand(_ c: inout CommandContext) {
    let word = c.arguments[1]
    if word.equalsIgnoringCase("get") { return configGetCommand(&c) }
    if word.equalsIgnoringCase("set") { return configSetCommand(&c) }
    if word.equalsIgnoringCase("rewrite") { return configRewriteCommand(&c) }
    if word.equalsIgnoringCase("help") { return configHelpCommand(&c) }
    preconditionFailure("the table routes this subcommand elsewhere or does not know it")
}
