import Runtime

// CLIENT's subcommands about the client itself. LIST and KILL are in files of their own.

/// CLIENT ID
func clientIDCommand(_ c: inout CommandContext) { c.reply.integer(Int64(c.session!.id)) }

/// CLIENT INFO: the client's own line of CLIENT LIST.
func clientInfoCommand(_ c: inout CommandContext) {
    c.reply.verbatim(c.session!.infoLine(now: c.shard.monotonic, c.shard.streams) + "\n")
}

/// CLIENT GETNAME
func clientGetnameCommand(_ c: inout CommandContext) {
    if let name = c.session!.name { c.reply.bulk(name) } else { c.reply.null() }
}

/// CLIENT SETNAME name; an empty name removes it.
func clientSetnameCommand(_ c: inout CommandContext) {
    let name = c.arguments[2]
    guard isValidClientAttribute(name) else { return c.replyInvalidClientName() }
    c.session!.setName(name)
    c.reply.ok()
}

/// CLIENT SETINFO LIB-NAME|LIB-VER value
func clientSetinfoCommand(_ c: inout CommandContext) {
    let (attribute, value) = (c.arguments[2], c.arguments[3])
    let isName = attribute.equalsIgnoringCase("lib-name")
    guard isName || attribute.equalsIgnoringCase("lib-ver") else {
        return c.replyQuoting("ERR Unrecognized option", attribute)
    }
    guard isValidClientAttribute(value) else {
        return c.reply.error(composing: {
            $0.append("ERR ")
            $0.append(printable(attribute))
            $0.append(" cannot contain spaces, newlines or special characters.")
        })
    }
    if isName { c.session!.setLibraryName(value) } else { c.session!.setLibraryVersion(value) }
    c.reply.ok()
}

/// CLIENT REPLY ON|OFF|SKIP. Whoever sends replies looks at the session's flags after the command.
func clientReplyCommand(_ c: inout CommandContext) {
    let (mode, session) = (c.arguments[2], c.session!)
    if mode.equalsIgnoringCase("on") {
        session.state.pointee.flags.remove([.replyOff, .skipping])
        c.reply.ok()
    } else if mode.equalsIgnoringCase("off") {
        session.state.pointee.flags.insert(.replyOff)
    } else if mode.equalsIgnoringCase("skip") {
        if !session.state.pointee.flags.contains(.replyOff) { session.state.pointee.flags.insert(.skipNext) }
    } else {
        c.replySyntaxError()
    }
}

/// CLIENT NO-EVICT ON|OFF
func clientNoEvictCommand(_ c: inout CommandContext) { switchFlag(.noEvict, &c) }

/// CLIENT NO-TOUCH ON|OFF
func clientNoTouchCommand(_ c: inout CommandContext) { switchFlag(.noTouch, &c) }

private func switchFlag(_ flag: SessionFlags, _ c: inout CommandContext) {
    let (word, session) = (c.arguments[2], c.session!)
    if word.equalsIgnoringCase("on") {
        session.state.pointee.flags.insert(flag)
    } else if word.equalsIgnoringCase("off") {
        session.state.pointee.flags.remove(flag)
    } else {
        return c.replySyntaxError()
    }
    c.reply.ok()
}

/// CLIENT HELP
func clientHelpCommand(_ c: inout CommandContext) {
    c.replyHelp(
        "CLIENT",
        [
            "GETNAME",
            "    Return the name of the current connection.",
            "ID",
            "    Return the ID of the current connection.",
            "INFO",
            "    Return information about the current client connection.",
            "KILL <ip:port>",
            "    Kill connection made from <ip:port>.",
            "KILL <option> <value> [<option> <value> [...]]",
            "    Kill connections. Options are:",
            "    * ADDR (<ip:port>|<unixsocket>:0)",
            "      Kill connections made from the specified address",
            "    * LADDR (<ip:port>|<unixsocket>:0)",
            "      Kill connections made to specified local address",
            "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
            "      Kill connections by type.",
            "    * USER <username>",
            "      Kill connections authenticated by <username>.",
            "    * SKIPME (YES|NO)",
            "      Skip killing current connection (default: yes).",
            "    * ID <client-id>",
            "      Kill connections by client id.",
            "    * MAXAGE <maxage>",
            "      Kill connections older than the specified age.",
            "LIST [options ...]",
            "    Return information about client connections. Options:",
            "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
            "      Return clients of specified type.",
            "    * ID <client-id> [<client-id> [...]]",
            "      Return clients of specified IDs only.",
            "REPLY (ON|OFF|SKIP)",
            "    Control the replies sent to the current connection.",
            "SETNAME <name>",
            "    Assign the name <name> to the current connection.",
            "SETINFO <option> <value>",
            "    Set client meta attr. Options are:",
            "    * LIB-NAME: the client lib name.",
            "    * LIB-VER: the client lib version.",
            "NO-EVICT (ON|OFF)",
            "    Protect current client connection from eviction.",
            "NO-TOUCH (ON|OFF)",
            "    Will not touch LRU/LFU stats when this mode is on.",
        ])
}

// MARK: shared by LIST and KILL

/// What Redis sorts clients into. Only normal ones exist here so far.
enum ClientType {
    case normal, replica, pubsub, master

    init?(_ name: ByteView) {
        if name.equalsIgnoringCase("normal") {
            self = .normal
        } else if name.equalsIgnoringCase("slave") || name.equalsIgnoringCase("replica") {
            self = .replica
        } else if name.equalsIgnoringCase("pubsub") {
            self = .pubsub
        } else if name.equalsIgnoringCase("master") {
            self = .master
        } else {
            return nil
        }
    }
}

/// What C prints of a word: up to its first NUL byte.
func printable(_ word: ByteView) -> ByteView {
    var count = 0
    while count < word.count && word[count] != 0 { count += 1 }
    return ByteView(word.base, count)
}

/// Why the arguments of a command were refused. Both steps of a command on all shards find the same.
enum Refusal: Error {
    case text(StaticString)
    /// The argument is quoted behind the text.
    case quoting(StaticString, argument: Int)

    static let syntax = Refusal.text("ERR syntax error")
}

extension CommandContext {
    mutating func reply(_ refusal: Refusal) {
        switch refusal {
        case .text(let text): reply.error(text)
        case .quoting(let text, let index): replyQuoting(text, arguments[index])
        }
    }

    /// An error: the text, then the word in quotes.
    @inline(never)
    mutating func replyQuoting(_ text: StaticString, _ word: ByteView) {
        reply.error(composing: {
            $0.append("\(text) '")
            $0.append(printable(word))
            $0.append("'")
        })
    }
}
