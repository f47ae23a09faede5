import Runtime
import Store

// SET, its relatives with fewer options, and GETEX, which shares the words for deadlines.

/// SET key value [NX|XX] [GET] [EX seconds|PX milliseconds|EXAT unix-seconds|PXAT unix-milliseconds|KEEPTTL]
func setCommand(_ c: inout CommandContext) {
    guard c.arguments.count == 3 else { return setWithOptions(&c) }
    c.store(c.arguments[1], argument: 2, expireAt: -1)
    c.reply.ok()
}

@inline(never)
private func setWithOptions(_ c: inout CommandContext) {
    guard let words = c.stringOptions(from: 3, allowed: .all.subtracting(.persist)) else { return }
    var expireAt: Int64 = -1
    if words.expiryArgument != 0 {
        guard let instant = c.expiryInstant(words, command: "set") else { return }
        expireAt = instant
    }
    let key = c.arguments[1]
    let options = words.options
    let old = options.contains(.get) ? c.lookupRead(key) : c.database.find(key, now: c.now)
    if options.contains(.get), let old {
        guard c.requireString(old) else { return }
    }
    let refused = options.contains(.nx) && old != nil || options.contains(.xx) && old == nil
    // The old value is replied before it is overwritten.
    if options.contains(.get), let old {
        c.reply.bulk(old.value)
    } else if refused || options.contains(.get) {
        c.reply.null()
    } else {
        c.reply.ok()
    }
    guard !refused else { return }
    if options.contains(.keepTTL) {
        _ = c.database.setKeepingExpiry(key, c.arguments[2], now: c.now)
    } else if expireAt >= 0 && expireAt <= c.now {
        _ = c.database.remove(key, now: c.now)
    } else {
        c.store(key, argument: 2, expireAt: expireAt)
    }
}

/// SETNX key value
func setnxCommand(_ c: inout CommandContext) {
    let key = c.arguments[1]
    guard c.database.find(key, now: c.now) == nil else { return c.reply.integer(0) }
    c.store(key, argument: 2, expireAt: -1)
    c.reply.integer(1)
}

/// SETEX key seconds value
func setexCommand(_ c: inout CommandContext) {
    setWithLifetime(&c, StringWords(options: .ex, expiryArgument: 2), command: "setex")
}

/// PSETEX key milliseconds value
func psetexCommand(_ c: inout CommandContext) {
    setWithLifetime(&c, StringWords(options: .px, expiryArgument: 2), command: "psetex")
}

private func setWithLifetime(_ c: inout CommandContext, _ words: StringWords, command: StaticString) {
    guard let expireAt = c.expiryInstant(words, command: command) else { return }
    c.store(c.arguments[1], argument: 3, expireAt: expireAt)
    c.reply.ok()
}

/// GETEX key [EX seconds|PX milliseconds|EXAT unix-seconds|PXAT unix-milliseconds|PERSIST]
func getexCommand(_ c: inout CommandContext) {
    guard let words = c.stringOptions(from: 2, allowed: [.persist, .ex, .px, .exat, .pxat]) else { return }
    let key = c.arguments[1]
    guard let entry = c.lookupRead(key) else { return c.reply.null() }
    guard c.requireString(entry) else { return }
    if words.expiryArgument != 0 {
        guard let expireAt = c.expiryInstant(words, command: "getex") else { return }
        c.reply.bulk(entry.value)
        if expireAt <= c.now {
            _ = c.database.remove(key, now: c.now)
        } else {
            c.database.setExpiry(entry, at: expireAt)
        }
    } else {
        c.reply.bulk(entry.value)
        if words.options.contains(.persist) { c.database.clearExpiry(entry) }
    }
}

extension CommandContext {
    /// The one way in which an argument becomes a key's whole value. A large one that was received into a block of its
    /// own is not copied.
    @inline(__always)
    func store(_ key: ByteView, argument: Int, expireAt: Int64) {
        let value = arguments[argument]
        if let block = arguments.takeBlock(argument) {
            database.adopt(
                key, buffer: OwnedBuffer(adopting: block, count: value.count), expireAt: expireAt, now: now)
        } else {
            database.set(key, value, expireAt: expireAt, now: now)
        }
    }
}

// MARK: options

/// The optional words of SET and GETEX.
struct StringOptions: OptionSet, BitwiseCopyable {
    let rawValue: UInt16

    static let nx = StringOptions(rawValue: 1)
    static let xx = StringOptions(rawValue: 2)
    static let get = StringOptions(rawValue: 4)
    static let keepTTL = StringOptions(rawValue: 8)
    static let persist = StringOptions(rawValue: 16)
    static let ex = StringOptions(rawValue: 32)
    static let px = StringOptions(rawValue: 64)
    static let exat = StringOptions(rawValue: 128)
    static let pxat = StringOptions(rawValue: 256)

    static let all = StringOptions(rawValue: 511)
    /// These take the next argument.
    static let expiries: StringOptions = [.ex, .px, .exat, .pxat]
    /// At most one of these may be given.
    static let lifetimes: StringOptions = [.ex, .px, .exat, .pxat, .keepTTL, .persist]

    static func named(_ word: ByteView) -> StringOptions? {
        switch word.count {
        case 2:
            if word.equalsIgnoringCase("ex") { return .ex }
            if word.equalsIgnoringCase("px") { return .px }
            if word.equalsIgnoringCase("nx") { return .nx }
            if word.equalsIgnoringCase("xx") { return .xx }
        case 3: if word.equalsIgnoringCase("get") { return .get }
        case 4:
            if word.equalsIgnoringCase("exat") { return .exat }
            if word.equalsIgnoringCase("pxat") { return .pxat }
        case 7:
            if word.equalsIgnoringCase("keepttl") { return .keepTTL }
            if word.equalsIgnoringCase("persist") { return .persist }
        default: break
        }
        return nil
    }

    /// What may not have come before this one. The same lifetime twice is fine: the last counts.
    var rivals: StringOptions {
        switch self {
        case .nx: .xx
        case .xx: .nx
        case .get: []
        default: .lifetimes.subtracting(self)
        }
    }
}

struct StringWords: BitwiseCopyable {
    var options: StringOptions = []
    /// Index of the argument with the deadline or lifetime; 0 when there is none.
    var expiryArgument = 0
}

extension CommandContext {
    /// Reads the options from argument `first` on; nil after replying the error.
    fileprivate mutating func stringOptions(from first: Int, allowed: StringOptions) -> StringWords? {
        var words = StringWords()
        var index = first
        while index < arguments.count {
            guard let option = StringOptions.named(arguments[index]), allowed.contains(option),
                words.options.isDisjoint(with: option.rivals)
            else {
                replySyntaxError()
                return nil
            }
            words.options.insert(option)
            if StringOptions.expiries.contains(option) {
                index &+= 1
                guard index < arguments.count else {
                    replySyntaxError()
                    return nil
                }
                words.expiryArgument = index
            }
            index &+= 1
        }
        return words
    }

    /// The deadline in Unix milliseconds; nil after replying the error. Zero and negative lifetimes are errors here
    /// (EXPIRE alone takes them as "now").
    fileprivate mutating func expiryInstant(_ words: StringWords, command: StaticString) -> Int64? {
        guard let given = integerArgument(words.expiryArgument) else { return nil }
        let inSeconds = !words.options.isDisjoint(with: [.ex, .exat])
        let isRelative = !words.options.isDisjoint(with: [.ex, .px])
        guard given > 0, let instant = expiryMilliseconds(given, inSeconds: inSeconds, from: isRelative ? now : 0)
        else {
            replyInvalidExpiry(command)
            return nil
        }
        return instant
    }
}
