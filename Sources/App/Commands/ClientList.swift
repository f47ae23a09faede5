import Runtime

// CLIENT LIST [TYPE type | ID id [id ...]]

/// What the arguments ask for.
private enum ClientSelection {
    case all
    case type(ClientType)
    /// Arguments from index 3 on are ids.
    case ids

    init(_ arguments: Arguments) throws(Refusal) {
        if arguments.count == 2 {
            self = .all
        } else if arguments.count == 4 && arguments[2].equalsIgnoringCase("type") {
            guard let type = ClientType(arguments[3]) else {
                throw .quoting("ERR Unknown client type", argument: 3)
            }
            self = .type(type)
        } else if arguments.count > 3 && arguments[2].equalsIgnoringCase("id") {
            for index in 3..<arguments.count where parseInteger(arguments[index]) == nil {
                throw .text("ERR Invalid client ID")
            }
            self = .ids
        } else {
            throw .syntax
        }
    }

    func includes(_ session: Session, _ arguments: Arguments) -> Bool {
        switch self {
        case .all: return true
        case .type(let type): return type == .normal
        case .ids:
            for index in 3..<arguments.count where parseInteger(arguments[index]) == Int64(session.id) { return true }
            return false
        }
    }
}

/// The shard's lines: for each client its id (8 bytes), the line's length (8 bytes) and the line.
func clientListPart(_ c: inout CommandContext) {
    guard let selection = try? ClientSelection(c.arguments) else { return }
    var walk = c.shard.sessions.first
    while let session = walk {
        let isGone = !session.state.pointee.flags.isDisjoint(with: [.left, .refused])
        if !isGone && selection.includes(session, c.arguments) {
            let line = session.infoLine(now: c.shard.monotonic, c.shard.streams) + "\n"
            c.replyPart(session.id)
            c.replyPart(UInt64(line.utf8.count))
            c.reply.append(line)
        }
        walk = c.shard.sessions.next(after: session)
    }
}

/// All lines, the oldest client first; or in the order of the ids asked for.
func combineClientList(_ parts: UnsafeBufferPointer<ByteView>, _ c: inout CommandContext) {
    let selection: ClientSelection
    do { selection = try ClientSelection(c.arguments) } catch { return c.reply(error) }
    var lines: [(id: UInt64, text: ByteView)] = []
    for part in parts {
        var offset = 0
        while offset < part.count {
            let id = part.base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            let count = Int(part.base.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self))
            lines.append((id, ByteView(part.base + offset + 16, count)))
            offset += 16 + count
        }
    }
    lines.sort { $0.id < $1.id }
    var text = ""
    if case .ids = selection {
        for index in 3..<c.arguments.count {
            let id = parseInteger(c.arguments[index])!
            for line in lines where Int64(line.id) == id { text += line.text.string }
        }
    } else {
        for line in lines { text += line.text.string }
    }
    c.reply.verbatim(text)
}
