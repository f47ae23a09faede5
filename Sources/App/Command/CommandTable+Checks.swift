import Runtime

/// The checks before a command is executed, with Redis 7's error texts (server.c, commandCheckExistence and
/// commandCheckArity).
extension CommandTable {
    /// How much of the client's words an error quotes.
    private static let quotedBytes = 128

    /// The reply to a command that `resolve` does not know.
    @inline(never)
    func writeUnknown(_ arguments: Arguments, to reply: inout ReplyWriter) {
        if let container = find(arguments[0]), container.pointee.subcommandCount > 0, arguments.count > 1 {
            reply.error(composing: { text in
                text.append("ERR unknown subcommand '")
                text.append(Self.quoted(arguments[1], Self.quotedBytes))
                text.append("'. Try ")
                text.append(Self.quoted(arguments[0], .max).string.uppercased())
                text.append(" HELP.")
            })
            return
        }
        reply.error(composing: { text in
            text.append("ERR unknown command '")
            text.append(Self.quoted(arguments[0], Self.quotedBytes))
            text.append("', with args beginning with: ")
            var written = 0
            var index = 1
            while index < arguments.count && written < Self.quotedBytes {
                let word = Self.quoted(arguments[index], Self.quotedBytes - written)
                text.append("'")
                text.append(word)
                text.append("' ")
                written += word.count + 3
                index += 1
            }
        })
    }

    /// Replies with an error and returns false if `count` words are too few or too many.
    @inline(__always)
    func checkArity(_ entry: UnsafePointer<CommandEntry>, _ count: Int, _ reply: inout ReplyWriter) -> Bool {
        if entry.pointee.accepts(argumentCount: count) { return true }
        writeArityError(entry, to: &reply)
        return false
    }

    @inline(never)
    func writeArityError(_ entry: UnsafePointer<CommandEntry>, to reply: inout ReplyWriter) {
        reply.append("-ERR wrong number of arguments for '")
        reply.append(entry.pointee.fullName)
        reply.append("' command\r\n")
    }

    /// What C would print of the word: its beginning, up to a NUL byte.
    private static func quoted(_ word: ByteView, _ limit: Int) -> ByteView {
        var count = 0
        while count < min(word.count, limit) && word[count] != 0 { count += 1 }
        return ByteView(word.base, count)
    }
}
