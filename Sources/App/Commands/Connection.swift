import Runtime

// Commands about the client's own connection. They run on its shard.

/// PING [message]
@inline(never)
func pingCommand(_ c: inout CommandContext) {
    if c.arguments.count > 2 { return c.replyWrongArity("ping") }
    if c.arguments.count == 2 { return c.reply.bulk(c.arguments[1]) }
    c.reply.simpleString("PONG")
}

/// ECHO message
@inline(never)
func echoCommand(_ c: inout CommandContext) { c.reply.bulk(c.arguments[1]) }

/// SELECT index
func selectCommand(_ c: inout CommandContext) {
    guard let index = c.integerArgument(1) else { return }
    guard let index = Int32(exactly: index) else {
        return c.reply.error("ERR value is out of range, value must between -2147483648 and 2147483647")
    }
    guard index >= 0 && index < c.shard.keyspace.databaseCount else {
        return c.reply.error("ERR DB index is out of range")
    }
    c.session!.state.pointee.database = UInt16(index)
    c.reply.ok()
}

/// QUIT
@inline(never)
func quitCommand(_ c: inout CommandContext) {
    c.reply.ok()
    c.session!.state.pointee.flags.insert(.closeAfterReply)
}

/// RESET: as if the client had just connected, but for what it said of its library.
@inline(never)
func resetCommand(_ c: inout CommandContext) {
    let session = c.session!
    session.state.pointee.flags.formIntersection(.survivingReset.union(.skipping))
    if c.shard.limits.requiresPassword { session.state.pointee.flags.remove(.authenticated) }
    session.state.pointee.database = 0
    c.setProtocol(2)
    session.setName(ByteView(c.arguments[0].base, 0))
    c.reply.simpleString("RESET")
}

/// AUTH [username] password
func authCommand(_ c: inout CommandContext) {
    let hasUser = c.arguments.count == 3
    guard c.arguments.count <= 3 else { return c.replySyntaxError() }
    if !hasUser && !c.shard.limits.requiresPassword {
        return c.reply.error(
            """
            ERR AUTH <password> called without any password configured for the default user. \
            Are you sure your configuration is correct?
            """)
    }
    let user = hasUser ? c.arguments[1] : nil
    guard c.authenticate(user: user, password: c.arguments[hasUser ? 2 : 1]) else { return }
    c.reply.ok()
}

/// HELLO [protover [AUTH username password] [SETNAME clientname]]
func helloCommand(_ c: inout CommandContext) {
    let session = c.session!
    var version: Int64 = 0
    if c.arguments.count >= 2 {
        guard let number = parseInteger(c.arguments[1]) else {
            return c.reply.error("ERR Protocol version is not an integer or out of range")
        }
        guard number == 2 || number == 3 else { return c.reply.error("NOPROTO unsupported protocol version") }
        version = number
    }
    guard let words = c.helloWords() else { return }
    if words.userIndex != 0 {
        let (user, password) = (c.arguments[words.userIndex], c.arguments[words.userIndex + 1])
        guard c.authenticate(user: user, password: password) else { return }
    }
    guard session.isAuthenticated else {
        return c.reply.error(
            """
            NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH \
            <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the \
            same time
            """)
    }
    if words.nameIndex != 0 { session.setName(c.arguments[words.nameIndex]) }
    if version != 0 { c.setProtocol(UInt8(version)) }
    c.replyHello(session)
}

/// Indices of the words after HELLO's version; 0 where one was not given.
private struct HelloWords {
    /// The password follows.
    var userIndex = 0
    var nameIndex = 0
}

extension CommandContext {
    /// nil after replying the error.
    fileprivate mutating func helloWords() -> HelloWords? {
        var words = HelloWords()
        var index = 2
        while index < arguments.count {
            let word = arguments[index]
            let following = arguments.count - 1 - index
            if word.equalsIgnoringCase("auth") && following >= 2 {
                words.userIndex = index + 1
                index += 3
            } else if word.equalsIgnoringCase("setname") && following >= 1 {
                guard isValidClientAttribute(arguments[index + 1]) else {
                    replyInvalidClientName()
                    return nil
                }
                words.nameIndex = index + 1
                index += 2
            } else {
                replyQuoting("ERR Syntax error in HELLO option", word)
                return nil
            }
        }
        return words
    }

    fileprivate mutating func replyHello(_ session: Session) {
        reply.map(7)
        reply.bulk("server")
        reply.bulk("redis")
        reply.bulk("version")
        reply.bulk(redisVersion)
        reply.bulk("proto")
        reply.integer(Int64(session.state.pointee.protocolVersion))
        reply.bulk("id")
        reply.integer(Int64(session.id))
        reply.bulk("mode")
        reply.bulk("standalone")
        reply.bulk("role")
        reply.bulk("master")
        reply.bulk("modules")
        reply.array(0)
    }

    /// The only user is `default`, whose password is the directive `requirepass`; any will do when that is empty.
    /// False after replying the error.
    fileprivate mutating func authenticate(user: ByteView?, password: ByteView) -> Bool {
        var required = shard.config.requirePass
        let isDefault = user.map { $0.string == "default" } ?? true
        let matches = required.withUTF8 { bytes in
            bytes.isEmpty || equalInConstantTime(ByteView(UnsafeRawPointer(bytes.baseAddress!), bytes.count), password)
        }
        guard isDefault && matches else {
            reply.error("WRONGPASS invalid username-password pair or user is disabled.")
            return false
        }
        session!.state.pointee.flags.insert(.authenticated)
        return true
    }

    /// From this reply on.
    fileprivate mutating func setProtocol(_ version: UInt8) {
        session!.state.pointee.protocolVersion = version
        reply.isRESP3 = version == 3
    }

    @inline(never)
    mutating func replyWrongArity(_ command: StaticString) {
        reply.error("ERR wrong number of arguments for '\(command)' command")
    }

    mutating func replyInvalidClientName() {
        reply.error("ERR Client names cannot contain spaces, newlines or special characters.")
    }
}

/// Takes as long whichever byte differs, so that time tells nothing of the secret but its length.
private func equalInConstantTime(_ secret: ByteView, _ given: ByteView) -> Bool {
    guard secret.count == given.count else { return false }
    var difference: UInt8 = 0
    for index in 0..<secret.count { difference |= secret[index] ^ given[index] }
    return difference == 0
}
