import Runtime
import Store

// Numbers that are kept as strings.

/// INCR key
func incrCommand(_ c: inout CommandContext) { add(1, &c) }

/// DECR key
func decrCommand(_ c: inout CommandContext) { add(-1, &c) }

/// INCRBY key increment
func incrbyCommand(_ c: inout CommandContext) {
    guard let increment = c.integerArgument(2) else { return }
    add(increment, &c)
}

/// DECRBY key decrement
func decrbyCommand(_ c: inout CommandContext) {
    guard let decrement = c.integerArgument(2) else { return }
    guard decrement != .min else { return c.reply.error("ERR decrement would overflow") }
    add(-decrement, &c)
}

/// Adds to the number at the key (0 when there is none) in place. A deadline stays.
@inline(__always)
private func add(_ increment: Int64, _ c: inout CommandContext) {
    let key = c.arguments[1]
    let entry = c.database.find(key, now: c.now)
    var old: Int64 = 0
    if let entry {
        guard c.requireString(entry) else { return }
        guard let number = parseInteger(entry.value) else { return c.replyNotInteger() }
        old = number
    }
    let (new, overflow) = old.addingReportingOverflow(increment)
    guard !overflow else { return c.reply.error("ERR increment or decrement would overflow") }
    let length = Decimal.digitCount(new.magnitude) &+ (new < 0 ? 1 : 0)
    if let entry, entry.value.count == length {
        _ = Decimal.write(new, to: entry.mutableValue)
    } else {
        let (_, memory) = c.database.resize(key, to: length, now: c.now)
        _ = Decimal.write(new, to: memory)
    }
    c.reply.integer(new)
}

/// INCRBYFLOAT key increment: the sum as text, computed in `long double` as in Redis. A deadline stays.
func incrbyfloatCommand(_ c: inout CommandContext) {
    let key = c.arguments[1]
    var old: LongDouble = 0
    if let entry = c.database.find(key, now: c.now) {
        guard c.requireString(entry) else { return }
        guard let number = parseFloat(entry.value) else { return c.replyNotFloat() }
        old = number
    }
    guard let increment = parseFloat(c.arguments[2]) else { return c.replyNotFloat() }
    let new = old + increment
    guard new.isFinite else { return c.reply.error("ERR increment would produce NaN or Infinity") }
    var text = formatHumanFloat(new)
    text.withUTF8 { bytes in
        let view = ByteView(UnsafeRawPointer(bytes.baseAddress!), bytes.count)
        _ = c.database.setKeepingExpiry(key, view, now: c.now)
        c.reply.bulk(view)
    }
}

extension CommandContext {
    fileprivate mutating func replyNotFloat() { reply.error("ERR value is not a valid float") }
}
