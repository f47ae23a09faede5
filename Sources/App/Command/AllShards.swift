import Runtime

// Commands that concern every shard run in two steps. Each shard, the client's own included, runs the part: it may
// change only what is its own, and writes raw bytes for the second step. The client's shard then combines the parts
// into the reply. Between the parts of one command other commands run: none of these is atomic over shards.
//
// Both steps look at the same arguments. What is wrong with them is found by both; the parts then do nothing, and the
// second step writes the error.

/// One shard's part of a command that is routed to all shards. `c.reply` takes raw bytes for `combineParts`;
/// `c.session` is the client on its own shard, nil on the others.
func executePart(_ id: CommandID, _ c: inout CommandContext) {
    switch id {
    case .dbsize: dbsizePart(&c)
    case .flushdb: flushdbPart(&c)
    case .flushall: flushallPart(&c)
    case .info: infoPart(&c)
    case .client: if isClientList(c.arguments) { clientListPart(&c) } else { clientKillPart(&c) }
    case .config: configResetstatPart(&c)
    case .debug: debugPart(&c)
    default: preconditionFailure("no such command runs on all shards")
    }
}

/// Writes the reply. `parts`: what the shards wrote, in shard order.
func combineParts(_ id: CommandID, parts: UnsafeBufferPointer<ByteView>, _ c: inout CommandContext) {
    switch id {
    case .dbsize: c.reply.integer(Int64(sumOfParts(parts)))
    case .flushdb, .flushall: combineFlush(&c)
    case .info: combineInfo(parts, &c)
    case .client: if isClientList(c.arguments) { combineClientList(parts, &c) } else { combineClientKill(parts, &c) }
    case .config: c.reply.ok()
    case .debug: combineDebug(parts, &c)
    default: preconditionFailure("no such command runs on all shards")
    }
}

/// Of CLIENT's subcommands, LIST and KILL run on all shards.
private func isClientList(_ arguments: Arguments) -> Bool { arguments[1].equalsIgnoringCase("list") }

/// Of parts that are one number each.
func sumOfParts(_ parts: UnsafeBufferPointer<ByteView>) -> UInt64 {
    var sum: UInt64 = 0
    for part in parts where part.count == 8 { sum &+= part.base.loadUnaligned(as: UInt64.self) }
    return sum
}

extension CommandContext {
    /// A part that is one number.
    mutating func replyPart(_ number: UInt64) {
        withUnsafeBytes(of: number) { reply.append($0.baseAddress!, 8) }
    }
}
