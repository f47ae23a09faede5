import Runtime

// DEBUG TRACE ON [CLIENT id] | OFF | RESET | GET [count]: what the shards do, step by step (docs/observing.md). All parts of
// the command's arguments are looked at by every shard and by the combining step alike.

private enum DebugRequest {
    case help
    case turnOn(client: UInt64)
    case turnOff
    case reset
    case get(count: Int)
    /// What it is not, as an error reply.
    case wrong(String)

    /// Records that GET shows without being told how many.
    static let usualCount = 1000

    init(_ arguments: Arguments) {
        let count = arguments.count
        if count == 2, arguments[1].equalsIgnoringCase("help") {
            self = .help
            return
        }
        guard count >= 3, arguments[1].equalsIgnoringCase("trace") else {
            self = .unknown(arguments[1])
            return
        }
        let word = arguments[2]
        if count == 3, word.equalsIgnoringCase("off") {
            self = .turnOff
        } else if count == 3, word.equalsIgnoringCase("reset") {
            self = .reset
        } else if count == 3, word.equalsIgnoringCase("on") {
            self = .turnOn(client: 0)
        } else if count == 5, word.equalsIgnoringCase("on"), arguments[3].equalsIgnoringCase("client") {
            guard let id = parseInteger(arguments[4]), id > 0 else {
                self = .wrong("ERR client-id should be greater than 0")
                return
            }
            self = .turnOn(client: UInt64(id))
        } else if count <= 4, word.equalsIgnoringCase("get") {
            guard count == 4 else {
                self = .get(count: Self.usualCount)
                return
            }
            guard let number = parseInteger(arguments[3]), number >= 0 else {
                self = .wrong("ERR count should be greater than or equal to 0")
                return
            }
            self = .get(count: Int(number))
        } else {
            self = .unknown(arguments[1])
        }
    }

    /// Redis's addReplySubcommandSyntaxError.
    private static func unknown(_ word: ByteView) -> DebugRequest {
        .wrong("ERR unknown subcommand or wrong number of arguments for '\(word.string.prefix(128))'. Try DEBUG HELP.")
    }
}

/// DEBUG's part on each shard: of GET, the newest records, the oldest of them first, as plain memory.
func debugPart(_ c: inout CommandContext) {
    switch DebugRequest(c.arguments) {
    case .help, .wrong: break
    case .turnOn(let client): c.shard.startTrace(client: client)
    case .turnOff: c.shard.trace.turnOff()
    case .reset: c.shard.trace.reset()
    case .get(let count):
        let kept = c.shard.trace.count
        for index in (kept - min(kept, count))..<kept {
            withUnsafeBytes(of: c.shard.trace[index]) { c.reply.append($0.baseAddress!, $0.count) }
        }
    }
}

func combineDebug(_ parts: UnsafeBufferPointer<ByteView>, _ c: inout CommandContext) {
    switch DebugRequest(c.arguments) {
    case .help: debugHelp(&c)
    case .wrong(let text): c.reply.error(text)
    case .turnOn, .turnOff, .reset: c.reply.ok()
    case .get(let count): c.reply.verbatim(traceText(parts, newest: count, c.shard))
    }
}

/// A line for each record of all shards, in the order of time.
private func traceText(_ parts: UnsafeBufferPointer<ByteView>, newest: Int, _ shard: ShardState) -> String {
    let size = MemoryLayout<TraceRecord>.stride
    var all: [(shard: Int, record: TraceRecord)] = []
    for (number, part) in parts.enumerated() {
        for offset in stride(from: 0, to: part.count, by: size) {
            all.append((number, part.base.loadUnaligned(fromByteOffset: offset, as: TraceRecord.self)))
        }
    }
    // Stable: what one shard stamped alike stays in its order.
    let order = all.indices.sorted {
        let (left, right) = (all[$0].record.ticks, all[$1].record.ticks)
        return left == right ? $0 < $1 : left < right
    }
    return order.suffix(newest).map { index in
        let (number, record) = all[index]
        return TraceLine(record, shard: number, time: shard.tickScale.time(record.ticks), shard.table).text + "\n"
    }.joined()
}

/// DEBUG HELP
private func debugHelp(_ c: inout CommandContext) {
    c.replyHelp(
        "DEBUG",
        [
            "TRACE ON [CLIENT <client-id>]",
            "    Record what the shards do, of all clients or of one, for 60 seconds at most.",
            "TRACE OFF",
            "    Stop recording. What was recorded stays.",
            "TRACE RESET",
            "    Forget what was recorded.",
            "TRACE GET [<count>]",
            "    Return the newest <count> records (1000), a line each, the oldest first.",
        ])
}

extension CommandContext {
    /// Who may use DEBUG is said by a directive (Redis's processCommand, CMD_PROTECTED).
    mutating func refuseDebug() {
        reply.error(
            """
            ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run it from a \
            local connection, otherwise you need to set this option in the configuration file, and then restart the server.
            """)
    }
}
