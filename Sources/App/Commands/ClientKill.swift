import Runtime

// CLIENT KILL address:port, and CLIENT KILL filter value [filter value ...]: every filter must fit.

private struct KillFilter {
    var address: ByteView?
    var localAddress: ByteView?
    var type: ClientType?
    /// 0: any.
    var id: UInt64 = 0
    /// Seconds; 0: any.
    var minimumAge: Int64 = 0
    /// The old form may end its own client.
    var sparesCaller: Bool

    init(_ arguments: Arguments) throws(Refusal) {
        sparesCaller = arguments.count > 3
        if arguments.count == 3 {
            address = arguments[2]
            return
        }
        var index = 2
        while index < arguments.count {
            guard index + 1 < arguments.count else { throw .syntax }
            try apply(arguments[index], arguments[index + 1], at: index + 1)
            index += 2
        }
    }

    private mutating func apply(_ name: ByteView, _ value: ByteView, at index: Int) throws(Refusal) {
        if name.equalsIgnoringCase("id") {
            guard let number = parseInteger(value), number > 0 else {
                throw .text("ERR client-id should be greater than 0")
            }
            id = UInt64(number)
        } else if name.equalsIgnoringCase("maxage") {
            guard let number = parseInteger(value) else {
                throw .text("ERR maxage is not an integer or out of range")
            }
            guard number > 0 else { throw .text("ERR maxage should be greater than 0") }
            minimumAge = number
        } else if name.equalsIgnoringCase("type") {
            type = ClientType(value)
            if type == nil { throw .quoting("ERR Unknown client type", argument: index) }
        } else if name.equalsIgnoringCase("addr") {
            address = value
        } else if name.equalsIgnoringCase("laddr") {
            localAddress = value
        } else if name.equalsIgnoringCase("user") {
            // Names of users have a case; there is one user.
            guard value.string == "default" else { throw .quoting("ERR No such user", argument: index) }
        } else if name.equalsIgnoringCase("skipme") {
            if value.equalsIgnoringCase("yes") {
                sparesCaller = true
            } else if value.equalsIgnoringCase("no") {
                sparesCaller = false
            } else {
                throw .syntax
            }
        } else {
            throw .syntax
        }
    }

    func fits(_ session: Session, _ c: CommandContext) -> Bool {
        if !session.state.pointee.flags.isDisjoint(with: [.closeNow, .left, .refused]) { return false }
        if sparesCaller && session.id == c.clientID { return false }
        if id != 0 && session.id != id { return false }
        if let type, type != .normal { return false }
        if minimumAge > 0 && (c.shard.monotonic - session.state.pointee.createdAt) / 1_000_000_000 < minimumAge {
            return false
        }
        if let address, session.peerAddressText(c.shard.streams) != address.string { return false }
        if let localAddress, session.localAddressText(c.shard.streams) != localAddress.string { return false }
        return true
    }
}

/// Marks the shard's clients that fit, and replies how many. The caller still gets its reply.
func clientKillPart(_ c: inout CommandContext) {
    guard let filter = try? KillFilter(c.arguments) else { return }
    var killed: UInt64 = 0
    var walk = c.shard.sessions.first
    while let session = walk {
        if filter.fits(session, c) {
            killed += 1
            if session.id == c.clientID {
                session.state.pointee.flags.insert(.closeAfterReply)
            } else {
                c.shard.closeSoon(session)
            }
        }
        walk = c.shard.sessions.next(after: session)
    }
    c.replyPart(killed)
}

func combineClientKill(_ parts: UnsafeBufferPointer<ByteView>, _ c: inout CommandContext) {
    do { _ = try KillFilter(c.arguments) } catch { return c.reply(error) }
    let killed = sumOfParts(parts)
    if c.arguments.count > 3 { return c.reply.integer(Int64(killed)) }
    if killed == 0 { return c.reply.error("ERR No such client") }
    c.reply.ok()
}
