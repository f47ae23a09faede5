/// What a command is, for COMMAND, for routing and for the checks before execution. The files in Table/ hold one of
/// these for each command; `CommandTable` compiles them once at start.
struct CommandSpec: Sendable {
    /// Lower case, without the container's name.
    var name: String
    var id: CommandID
    /// Words including the name; negative: at least that many.
    var arity: Int
    var flags: CommandFlags
    var keys: KeyRange?
    /// What clients may assume of the keys (COMMAND GETKEYSANDFLAGS).
    var keyFlags: KeyFlags = []
    /// Beside those that follow from the flags.
    var categories: ACLCategories
    var routing: Routing
    var group: CommandGroup
    var since: String
    var complexity: String
    var summary: String
    var deprecatedSince: String?
    var replacedBy: String?
    var tips: [String] = []
    var syntax: [ArgumentSpec] = []
    var subcommands: [CommandSpec] = []
}

/// Where a command is executed.
enum Routing: UInt8 {
    /// On the session's own shard.
    case local
    /// On the owner of the key at `firstKey`.
    case key
    /// Split by owner of the keys; the parts' integer replies are summed.
    case multiKey
    /// A part on each shard, combined on the session's.
    case allShards
    /// On shard 0, one at a time.
    case control
}

/// Keys are the words `first`, `first + step`, ... up to `last`; negative `last`: counted from the end.
struct KeyRange: Sendable {
    var first: Int
    var last: Int
    var step: Int

    static let one = KeyRange(first: 1, last: 1, step: 1)
    static let all = KeyRange(first: 1, last: -1, step: 1)
}

struct CommandFlags: OptionSet, BitwiseCopyable, Sendable {
    let rawValue: UInt32

    static let write = CommandFlags(rawValue: 1 << 0)
    static let readonly = CommandFlags(rawValue: 1 << 1)
    static let denyoom = CommandFlags(rawValue: 1 << 2)
    static let admin = CommandFlags(rawValue: 1 << 3)
    static let pubsub = CommandFlags(rawValue: 1 << 4)
    static let noscript = CommandFlags(rawValue: 1 << 5)
    static let blocking = CommandFlags(rawValue: 1 << 6)
    static let loading = CommandFlags(rawValue: 1 << 7)
    static let stale = CommandFlags(rawValue: 1 << 8)
    static let skipMonitor = CommandFlags(rawValue: 1 << 9)
    static let skipSlowlog = CommandFlags(rawValue: 1 << 10)
    static let fast = CommandFlags(rawValue: 1 << 11)
    static let noAuth = CommandFlags(rawValue: 1 << 12)
    static let noMulti = CommandFlags(rawValue: 1 << 13)
    static let allowBusy = CommandFlags(rawValue: 1 << 14)
    /// A directive says who may use it (Redis's CMD_PROTECTED); not shown.
    static let protected = CommandFlags(rawValue: 1 << 15)
    /// A read of one key whose reply depends on that key alone, not on the time: a volley may have it. Not shown; the table
    /// adds it.
    static let timeless = CommandFlags(rawValue: 1 << 16)

    /// As COMMAND names them, in its order.
    static let names: [(CommandFlags, String)] = [
        (.write, "write"), (.readonly, "readonly"), (.denyoom, "denyoom"), (.admin, "admin"), (.pubsub, "pubsub"),
        (.noscript, "noscript"), (.blocking, "blocking"), (.loading, "loading"), (.stale, "stale"),
        (.skipMonitor, "skip_monitor"), (.skipSlowlog, "skip_slowlog"), (.fast, "fast"), (.noAuth, "no_auth"),
        (.noMulti, "no_multi"), (.allowBusy, "allow_busy"),
    ]
}

extension CommandSpec {
    /// With what follows from the rest.
    var allFlags: CommandFlags {
        let isTimeless =
            flags.contains(.readonly) && routing == .key && !tips.contains { $0.hasPrefix("nondeterministic_output") }
        return isTimeless ? flags.union(.timeless) : flags
    }
}

struct KeyFlags: OptionSet, BitwiseCopyable, Sendable {
    let rawValue: UInt16

    static let ro = KeyFlags(rawValue: 1)
    static let rw = KeyFlags(rawValue: 2)
    static let ow = KeyFlags(rawValue: 4)
    static let rm = KeyFlags(rawValue: 8)
    static let access = KeyFlags(rawValue: 16)
    static let update = KeyFlags(rawValue: 32)
    static let insert = KeyFlags(rawValue: 64)
    static let delete = KeyFlags(rawValue: 128)
    static let variableFlags = KeyFlags(rawValue: 256)

    static let names: [(KeyFlags, String)] = [
        (.ro, "RO"), (.rw, "RW"), (.ow, "OW"), (.rm, "RM"), (.access, "access"), (.update, "update"),
        (.insert, "insert"), (.delete, "delete"), (.variableFlags, "variable_flags"),
    ]
}

struct ACLCategories: OptionSet, BitwiseCopyable, Sendable {
    let rawValue: UInt32

    static let keyspace = ACLCategories(rawValue: 1 << 0)
    static let read = ACLCategories(rawValue: 1 << 1)
    static let write = ACLCategories(rawValue: 1 << 2)
    static let string = ACLCategories(rawValue: 1 << 3)
    static let pubsub = ACLCategories(rawValue: 1 << 4)
    static let admin = ACLCategories(rawValue: 1 << 5)
    static let fast = ACLCategories(rawValue: 1 << 6)
    static let slow = ACLCategories(rawValue: 1 << 7)
    static let blocking = ACLCategories(rawValue: 1 << 8)
    static let dangerous = ACLCategories(rawValue: 1 << 9)
    static let connection = ACLCategories(rawValue: 1 << 10)
    static let transaction = ACLCategories(rawValue: 1 << 11)
    static let scripting = ACLCategories(rawValue: 1 << 12)

    static let names: [(ACLCategories, String)] = [
        (.keyspace, "keyspace"), (.read, "read"), (.write, "write"), (.string, "string"), (.pubsub, "pubsub"),
        (.admin, "admin"), (.fast, "fast"), (.slow, "slow"), (.blocking, "blocking"), (.dangerous, "dangerous"),
        (.connection, "connection"), (.transaction, "transaction"), (.scripting, "scripting"),
    ]

    /// All categories of a command.
    init(_ spec: CommandSpec) { self = spec.categories.union(ACLCategories(implied: spec.flags)) }

    /// What a command's flags imply (setImplicitACLCategories in Redis).
    init(implied flags: CommandFlags) {
        var all: ACLCategories = []
        if flags.contains(.write) { all.insert(.write) }
        if flags.contains(.readonly) { all.insert(.read) }
        if flags.contains(.admin) { all.formUnion([.admin, .dangerous]) }
        if flags.contains(.pubsub) { all.insert(.pubsub) }
        if flags.contains(.blocking) { all.insert(.blocking) }
        all.insert(flags.contains(.fast) ? .fast : .slow)
        self = all
    }

    init(rawValue: UInt32) { self.rawValue = rawValue }
}

enum CommandGroup: String {
    case generic, string, connection, server, pubsub, transactions, scripting
}

/// One argument in COMMAND DOCS, which redis-cli shows as a hint while one types.
struct ArgumentSpec: Sendable {
    enum Kind: String, Sendable {
        case string, integer, double, key, pattern
        case unixTime = "unix-time"
        case pureToken = "pure-token"
        case oneof, block
    }

    var name: String
    var kind: Kind
    var token: String?
    var isOptional = false
    var isMultiple = false
    var since: String?
    /// Of `oneof` and `block`.
    var parts: [ArgumentSpec] = []

    init(
        _ name: String, _ kind: Kind, token: String? = nil, optional: Bool = false, multiple: Bool = false,
        since: String? = nil, _ parts: [ArgumentSpec] = []
    ) {
        self.name = name
        self.kind = kind
        self.token = token
        isOptional = optional
        isMultiple = multiple
        self.since = since
        self.parts = parts
    }

    static let key = ArgumentSpec("key", .key)
    static let keys = ArgumentSpec("key", .key, multiple: true)
    /// NX, XX, ...
    static func token(_ word: String, optional: Bool = false, since: String? = nil) -> ArgumentSpec {
        ArgumentSpec(word.lowercased(), .pureToken, token: word, optional: optional, since: since)
    }
}
