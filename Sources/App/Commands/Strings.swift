import Runtime
import Store

// Strings: reading and changing bytes. SET and its relatives are in SetCommand.swift, counters in Counters.swift.

/// GET key
@inline(__always)
func getCommand(_ c: inout CommandContext) {
    guard let entry = c.lookupRead(c.arguments[1]) else { return c.reply.null() }
    guard c.requireString(entry) else { return }
    let value = entry.value
    c.reply.bulk(value.base, value.count)
}

/// STRLEN key
func strlenCommand(_ c: inout CommandContext) {
    guard let entry = c.lookupRead(c.arguments[1]) else { return c.reply.integer(0) }
    guard c.requireString(entry) else { return }
    c.reply.integer(Int64(entry.value.count))
}

/// GETSET key value: SET with GET, which forgets the old deadline.
func getsetCommand(_ c: inout CommandContext) {
    let key = c.arguments[1]
    if let entry = c.lookupRead(key) {
        guard c.requireString(entry) else { return }
        c.reply.bulk(entry.value)
    } else {
        c.reply.null()
    }
    c.store(key, argument: 2, expireAt: -1)
}

/// GETDEL key
func getdelCommand(_ c: inout CommandContext) {
    let key = c.arguments[1]
    guard let entry = c.lookupRead(key) else { return c.reply.null() }
    guard c.requireString(entry) else { return }
    c.reply.bulk(entry.value)
    _ = c.database.remove(key, now: c.now)
}

/// GETRANGE key start end; SUBSTR is its old name. Both ends are included; negative ones count from the end.
func getrangeCommand(_ c: inout CommandContext) {
    guard var start = c.integerArgument(2), var end = c.integerArgument(3) else { return }
    guard let entry = c.lookupRead(c.arguments[1]) else { return c.replyEmptyBulk() }
    guard c.requireString(entry) else { return }
    let value = entry.value
    let count = Int64(value.count)
    if start < 0 && end < 0 && start > end { return c.replyEmptyBulk() }
    if start < 0 { start = max(0, count &+ start) }
    if end < 0 { end = max(0, count &+ end) }
    if end >= count { end = count - 1 }
    guard start <= end && count > 0 else { return c.replyEmptyBulk() }
    c.reply.bulk(ByteView(value.base + Int(start), Int(end - start) + 1))
}

/// APPEND key value: the new length.
func appendCommand(_ c: inout CommandContext) {
    let (key, suffix) = (c.arguments[1], c.arguments[2])
    var oldCount = 0
    if let entry = c.database.find(key, now: c.now) {
        guard c.requireString(entry) else { return }
        oldCount = entry.value.count
        guard c.requireLength(Int64(oldCount), plus: Int64(suffix.count)) else { return }
    }
    let newCount = oldCount &+ suffix.count
    let (_, memory) = c.database.resize(key, to: newCount, now: c.now)
    (memory + oldCount).copyMemory(from: suffix.base, byteCount: suffix.count)
    c.reply.integer(Int64(newCount))
}

/// SETRANGE key offset value: the new length. A gap is filled with zero bytes.
func setrangeCommand(_ c: inout CommandContext) {
    let (key, piece) = (c.arguments[1], c.arguments[3])
    guard let offset = c.integerArgument(2) else { return }
    guard offset >= 0 else { return c.reply.error("ERR offset is out of range") }
    var oldCount = 0
    if let entry = c.database.find(key, now: c.now) {
        guard c.requireString(entry) else { return }
        oldCount = entry.value.count
    }
    // An empty piece changes nothing, and makes no key.
    if piece.count == 0 { return c.reply.integer(Int64(oldCount)) }
    guard c.requireLength(offset, plus: Int64(piece.count)) else { return }
    let newCount = max(oldCount, Int(offset) &+ piece.count)
    let (_, memory) = c.database.resize(key, to: newCount, now: c.now)
    (memory + Int(offset)).copyMemory(from: piece.base, byteCount: piece.count)
    c.reply.integer(Int64(newCount))
}

extension CommandContext {
    fileprivate mutating func replyEmptyBulk() { reply.bulk(ByteView(arguments[0].base, 0)) }

    /// False after replying that a string would become too long: longer than an argument may be, as in Redis. Both
    /// numbers are >= 0.
    fileprivate mutating func requireLength(_ count: Int64, plus more: Int64) -> Bool {
        let (sum, overflow) = count.addingReportingOverflow(more)
        if !overflow && sum <= Int64(shard.limits.protoMaxBulkLength) { return true }
        reply.error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
        return false
    }
}
