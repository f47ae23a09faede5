/// Why a request stream cannot be read any further. The session replies with the error and closes.
/// Texts are those of Redis 7 (networking.c, processMultibulkBuffer and processInlineBuffer).
struct ProtocolError: Error, BitwiseCopyable, Equatable {
    enum Kind: UInt8 {
        case invalidMultibulkLength
        case invalidBulkLength
        case expectedDollar
        case tooBigCountString
        case tooBigBulkCountString
        case tooBigInlineRequest
        case unbalancedQuotes
        case unauthenticatedMultibulkLength
        case unauthenticatedBulkLength
        /// One command is larger than the query buffer may become. Redis closes without a reply.
        case queryBufferLimit
        /// No memory for a declared bulk string. Closes without a reply.
        case outOfMemory
    }

    var kind: Kind
    /// The byte found in place of `$`; 0 for the other kinds.
    var found: UInt8 = 0

    /// nil: close without a reply.
    func write(to reply: inout ReplyWriter) {
        switch kind {
        case .invalidMultibulkLength: reply.error("ERR Protocol error: invalid multibulk length")
        case .invalidBulkLength: reply.error("ERR Protocol error: invalid bulk length")
        case .expectedDollar:
            // A line end would break the reply's own framing; Redis writes a space.
            let shown = found == 13 || found == 10 ? 32 : found
            reply.error(composing: { text in
                text.append("ERR Protocol error: expected '$', got '")
                text.append(byte: shown)
                text.append("'")
            })
        case .tooBigCountString: reply.error("ERR Protocol error: too big mbulk count string")
        case .tooBigBulkCountString: reply.error("ERR Protocol error: too big bulk count string")
        case .tooBigInlineRequest: reply.error("ERR Protocol error: too big inline request")
        case .unbalancedQuotes: reply.error("ERR Protocol error: unbalanced quotes in request")
        case .unauthenticatedMultibulkLength: reply.error("ERR Protocol error: unauthenticated multibulk length")
        case .unauthenticatedBulkLength: reply.error("ERR Protocol error: unauthenticated bulk length")
        case .queryBufferLimit, .outOfMemory: break
        }
    }
}
