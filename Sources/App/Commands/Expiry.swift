import Runtime
import Store

// Deadlines of keys. Kept in Unix milliseconds; -1 means none.

/// EXPIRE key seconds [NX|XX|GT|LT]
func expireCommand(_ c: inout CommandContext) {
    expire(&c, inSeconds: true, from: c.now, command: "expire")
}

/// PEXPIRE key milliseconds [NX|XX|GT|LT]
func pexpireCommand(_ c: inout CommandContext) {
    expire(&c, inSeconds: false, from: c.now, command: "pexpire")
}

/// EXPIREAT key unix-seconds [NX|XX|GT|LT]
func expireatCommand(_ c: inout CommandContext) {
    expire(&c, inSeconds: true, from: 0, command: "expireat")
}

/// PEXPIREAT key unix-milliseconds [NX|XX|GT|LT]
func pexpireatCommand(_ c: inout CommandContext) {
    expire(&c, inSeconds: false, from: 0, command: "pexpireat")
}

/// The four commands above: 1 when the deadline was set (or the key removed because it lies in the past), else 0.
private func expire(_ c: inout CommandContext, inSeconds: Bool, from base: Int64, command: StaticString) {
    guard let condition = c.expiryCondition(), let given = c.integerArgument(2) else { return }
    guard let instant = expiryMilliseconds(given, inSeconds: inSeconds, from: base) else {
        return c.replyInvalidExpiry(command)
    }
    let key = c.arguments[1]
    guard let entry = c.database.find(key, now: c.now), condition.holds(current: entry.expireAt, new: instant) else {
        return c.reply.integer(0)
    }
    if instant <= c.now {
        _ = c.database.remove(key, now: c.now)
    } else {
        c.database.setExpiry(entry, at: instant)
    }
    c.reply.integer(1)
}

/// TTL key
func ttlCommand(_ c: inout CommandContext) { replyDeadline(&c, inSeconds: true, from: c.now) }
/// PTTL key
func pttlCommand(_ c: inout CommandContext) { replyDeadline(&c, inSeconds: false, from: c.now) }
/// EXPIRETIME key
func expiretimeCommand(_ c: inout CommandContext) { replyDeadline(&c, inSeconds: true, from: 0) }
/// PEXPIRETIME key
func pexpiretimeCommand(_ c: inout CommandContext) { replyDeadline(&c, inSeconds: false, from: 0) }

/// -2: no such key; -1: no deadline. Seconds are rounded to the nearest, as in Redis.
private func replyDeadline(_ c: inout CommandContext, inSeconds: Bool, from base: Int64) {
    guard let entry = c.lookupRead(c.arguments[1]) else { return c.reply.integer(-2) }
    guard entry.expireAt >= 0 else { return c.reply.integer(-1) }
    let left = max(0, entry.expireAt &- base)
    // Unsigned: the farthest deadline must not overflow.
    c.reply.integer(inSeconds ? Int64((left.magnitude &+ 500) / 1000) : left)
}

/// PERSIST key: 1 when there was a deadline to remove.
@inline(never)
func persistCommand(_ c: inout CommandContext) {
    guard let entry = c.database.find(c.arguments[1], now: c.now), entry.expireAt >= 0 else {
        return c.reply.integer(0)
    }
    c.database.clearExpiry(entry)
    c.reply.integer(1)
}

/// `given` after `base` in milliseconds; nil when that is beyond 64 bits.
func expiryMilliseconds(_ given: Int64, inSeconds: Bool, from base: Int64) -> Int64? {
    var milliseconds = given
    if inSeconds {
        let (product, overflow) = given.multipliedReportingOverflow(by: 1000)
        guard !overflow else { return nil }
        milliseconds = product
    }
    let (instant, overflow) = base.addingReportingOverflow(milliseconds)
    return overflow ? nil : instant
}

/// The words after EXPIRE's number.
private struct ExpiryCondition: OptionSet, BitwiseCopyable {
    let rawValue: UInt8

    static let nx = ExpiryCondition(rawValue: 1)
    static let xx = ExpiryCondition(rawValue: 2)
    static let gt = ExpiryCondition(rawValue: 4)
    static let lt = ExpiryCondition(rawValue: 8)

    /// No deadline (-1) counts as infinitely far.
    func holds(current: Int64, new: Int64) -> Bool {
        let hasDeadline = current >= 0
        if contains(.nx) && hasDeadline { return false }
        if contains(.xx) && !hasDeadline { return false }
        if contains(.gt) && (!hasDeadline || new <= current) { return false }
        if contains(.lt) && hasDeadline && new >= current { return false }
        return true
    }
}

extension CommandContext {
    /// Reads the words from argument 3 on; nil after replying the error.
    fileprivate mutating func expiryCondition() -> ExpiryCondition? {
        var condition: ExpiryCondition = []
        for index in 3..<max(3, arguments.count) {
            let word = arguments[index]
            if word.equalsIgnoringCase("nx") {
                condition.insert(.nx)
            } else if word.equalsIgnoringCase("xx") {
                condition.insert(.xx)
            } else if word.equalsIgnoringCase("gt") {
                condition.insert(.gt)
            } else if word.equalsIgnoringCase("lt") {
                condition.insert(.lt)
            } else {
                reply.error(composing: {
                    $0.append("ERR Unsupported option ")
                    $0.append(printable(word))
                })
                return nil
            }
        }
        if condition.contains(.nx) && condition != .nx {
            reply.error("ERR NX and XX, GT or LT options at the same time are not compatible")
            return nil
        }
        if condition.isSuperset(of: [.gt, .lt]) {
            reply.error("ERR GT and LT options at the same time are not compatible")
            return nil
        }
        return condition
    }

    @inline(never)
    mutating func replyInvalidExpiry(_ command: StaticString) {
        reply.error("ERR invalid expire time in '\(command)' command")
    }
}
