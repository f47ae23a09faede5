import Net
import Runtime

/// All directives' values at one time. Never changes: CONFIG SET makes a new one, which is published by RCU.
public final class Config: Sendable {
    /// Apus's version, for --version, the log and INFO.
    public static let version = "0.1.0"

    /// Has a value for every `DirectiveID`.
    let values: [DirectiveID: ConfigValue]
    /// Sentences for the log, said once at the start: what was asked for and has no effect.
    public let notices: [String]
    /// The file that it was read from, as an absolute path; "" when there was none.
    public let file: String
    /// What the data path needs of the above.
    public let limits: Limits

    /// What a shard looks at while it works, as plain memory: the shard copies it when the published config changes.
    @frozen
    public struct Limits: BitwiseCopyable, Sendable {
        /// Bytes that may wait for the end of one command.
        public var queryBuffer: Int
        /// Bytes of the longest bulk string in a request.
        public var protoMaxBulkLength: Int
        /// A client silent for so long is closed; 0 never.
        public var idleTimeout: Nanoseconds
        public var output: OutputLimits
        /// Unsent bytes of a client from which on somebody has to look at it: the least of the limits, and with a timeout
        /// no more than 64 KiB, since a client that reads is not idle. 0: nobody has to.
        public var outputMark: Int
        /// Over all shards together.
        public var maxClients: Int
        /// How long a shard without work looks again before it sleeps.
        public var idleSpin: Nanoseconds
        /// Silence before TCP keepalive; 0 never.
        public var tcpKeepalive: Nanoseconds
        /// How many databases there are; constant while the server runs.
        public var databases: Int
        /// Clients must authenticate.
        public var requiresPassword: Bool
    }

    init(values: [DirectiveID: ConfigValue], notices: [String], file: String = "") {
        precondition(values.count == DirectiveID.allCases.count, "a directive without a value")
        self.values = values
        self.notices = notices
        self.file = file
        func number(_ id: DirectiveID) -> Int {
            guard case .integer(let number)? = values[id] else { fatalError("\(id) is not a number") }
            return number
        }
        guard case .outputLimits(let output)? = values[.clientOutputBufferLimit] else { fatalError("no limits") }
        limits = Limits(
            queryBuffer: number(.clientQueryBufferLimit), protoMaxBulkLength: number(.protoMaxBulkLength),
            idleTimeout: .seconds(Int64(number(.timeout))), output: output,
            outputMark: output.normal.mark(idleTimeout: number(.timeout)), maxClients: number(.maxclients),
            idleSpin: .microseconds(Int64(number(.idleSpin))), tcpKeepalive: .seconds(Int64(number(.tcpKeepalive))),
            databases: number(.databases), requiresPassword: values[.requirepass] != .text(""))
    }

    /// Every directive at its default.
    public convenience init() {
        self.init(values: Self.defaults, notices: [])
    }

    /// Defaults with some directives written as in the file: `try Config(["port": "0", "bind": "127.0.0.1 ::1"])`.
    public convenience init(_ settings: KeyValuePairs<String, String>) throws(ConfigError) {
        var loader = ConfigLoader()
        for (name, value) in settings { try loader.applySetting(name: name, value: value) }
        let loaded = loader.finish()
        self.init(values: loaded.values, notices: loaded.notices)
    }

    static let defaults: [DirectiveID: ConfigValue] = {
        var values: [DirectiveID: ConfigValue] = [:]
        for directive in Directive.table {
            guard
                let value = try? directive.kind.parse(
                    directive.kind.words(of: directive.defaultValue), previous: nil)
            else {
                preconditionFailure("\(directive.name) has a bad default")
            }
            values[directive.id] = value
        }
        return values
    }()
}

/// What the rest of the server asks. Each is a dictionary look-up: not for the data path, which has `limits`.
extension Config {
    public var port: UInt16 { UInt16(integer(.port)) }
    /// As written: addresses with an optional leading "-", or "*". Empty: no kernel listener.
    public var bind: [String] { words(.bind) }
    /// Whether kernel sockets are served at all.
    public var hasKernelListener: Bool { port != 0 && !bind.isEmpty }
    public var tcpBacklog: Int { integer(.tcpBacklog) }
    /// Seconds; 0 is off.
    public var tcpKeepalive: Int { integer(.tcpKeepalive) }
    public var databases: Int { integer(.databases) }
    public var maxClients: Int { integer(.maxclients) }
    /// Bytes; 0 is no limit.
    public var maxMemory: Int { integer(.maxmemory) }
    public var maxMemoryPolicy: String { text(.maxmemoryPolicy) }
    /// "" asks for none.
    public var requirePass: String { text(.requirepass) }
    /// "no", "yes" or "local".
    public var enableDebugCommand: String { text(.enableDebugCommand) }
    public var logLevel: LogLevel { LogLevel.allCases.first { $0.name == text(.loglevel) }! }
    /// "" is the standard output.
    public var logFile: String { text(.logfile) }
    public var directory: String { text(.dir) }
    public var dbFilename: String { text(.dbfilename) }
    public var appendOnly: Bool { toggle(.appendonly) }
    public var savePoints: [SavePoint] {
        guard case .savePoints(let points)? = values[.save] else { fatalError("save is not a list of points") }
        return points
    }

    public var link: LinkKind { LinkKind(rawValue: text(.link))! }
    /// nil: not given.
    public var interface: String? { text(.interface).isEmpty ? nil : text(.interface) }
    /// nil: not given.
    public var address: SubnetAddress? { SubnetAddress(text(.address)) }
    /// nil: not given.
    public var gateway: IPv4Address? { IPv4Address(text(.gateway)) }
    /// nil: auto.
    public var shards: Int? { Int(text(.shards)) }
    public var xdpMode: XDPMode { XDPMode(rawValue: text(.xdpMode))! }
    /// Bytes.
    public var tcpReceiveWindow: Int { integer(.tcpReceiveWindow) }
    public var tcpReceiveWindowMax: Int { integer(.tcpReceiveWindowMax) }
    public var tcpSendFrames: Int { integer(.tcpSendFrames) }
    /// Seconds; 0 is the default of the stack.
    public var tcpUserTimeout: Int { integer(.tcpUserTimeout) }
    public var tcpCongestion: CongestionControl { CongestionControl(rawValue: text(.tcpCongestion))! }
    public var tcpECN: ExplicitCongestionNotification {
        ExplicitCongestionNotification(rawValue: text(.tcpECN))!
    }
    public var shardFrames: Int { integer(.shardFrames) }

    private func integer(_ id: DirectiveID) -> Int {
        guard case .integer(let number)? = values[id] else { fatalError("\(id) is not a number") }
        return number
    }
    private func toggle(_ id: DirectiveID) -> Bool { values[id] == .toggle(true) }
    private func text(_ id: DirectiveID) -> String {
        guard case .text(let text)? = values[id] else { fatalError("\(id) is not a text") }
        return text
    }
    private func words(_ id: DirectiveID) -> [String] {
        guard case .words(let words)? = values[id] else { fatalError("\(id) is not a list") }
        return words
    }
}
