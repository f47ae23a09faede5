import Runtime
import Store

// What most key commands begin with: the arguments as numbers, and the key's value or the proper refusal.

extension CommandContext {
    /// The key's entry for a command that reads it; counts a hit or a miss.
    @inline(__always)
    func lookupRead(_ key: ByteView) -> Entry? {
        let entry = database.find(key, now: now)
        if entry == nil {
            shard.statistics.keyspaceMisses &+= 1
        } else {
            shard.statistics.keyspaceHits &+= 1
        }
        return entry
    }

    /// False after replying WRONGTYPE.
    @inline(__always)
    mutating func requireString(_ entry: Entry) -> Bool {
        if entry.type == .string { return true }
        replyWrongType()
        return false
    }

    @inline(never)
    private mutating func replyWrongType() {
        reply.error("WRONGTYPE Operation against a key holding the wrong kind of value")
    }

    /// The argument as a number; nil after replying the error.
    @inline(__always)
    mutating func integerArgument(_ index: Int) -> Int64? {
        if let value = parseInteger(arguments[index]) { return value }
        replyNotInteger()
        return nil
    }

    @inline(never)
    mutating func replyNotInteger() { reply.error("ERR value is not an integer or out of range") }

    @inline(never)
    mutating func replySyntaxError() { reply.error("ERR syntax error") }
}
