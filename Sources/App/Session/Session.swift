import Net
import Runtime

/// One client's state, beside its byte stream. A handle: copies name the same session; owned by one shard.
struct Session: BitwiseCopyable, Equatable {
    let state: UnsafeMutablePointer<SessionState>

    init(state: UnsafeMutablePointer<SessionState>) { self.state = state }

    /// From a stream's context.
    init(_ context: UnsafeMutableRawPointer) { state = context.assumingMemoryBound(to: SessionState.self) }

    var id: UInt64 { state.pointee.id }
    var isRESP3: Bool { state.pointee.protocolVersion == 3 }
    var isAuthenticated: Bool { state.pointee.flags.contains(.authenticated) }

    /// What is written for the current command is to be thrown away.
    var dropsReplies: Bool { !state.pointee.flags.isDisjoint(with: [.replyOff, .skipping]) }

    /// After each command, whatever became of it: CLIENT REPLY SKIP holds for exactly one.
    func commandEnded() {
        let flags = state.pointee.flags
        guard !flags.isDisjoint(with: [.skipNext, .skipping]) else { return }
        state.pointee.flags.remove([.skipNext, .skipping])
        if flags.contains(.skipNext) { state.pointee.flags.insert(.skipping) }
    }
}

/// Plain memory, so that a slab can hold it. What only some clients have is in `extras`. At most 128 bytes: an idle
/// client costs this and its connection's control block.
struct SessionState: BitwiseCopyable {
    /// In one of the lists of the shard's `SessionTable`, always. First, so that the links' address is the session's.
    var links = SessionLinks()
    /// Unique in the server's life, ascending on each shard.
    var id: UInt64
    /// Name and library of the client; nil until it tells one.
    var extras: UnsafeMutablePointer<ClientExtras>?
    /// Monotonic. `createdAt <= lastInteraction`.
    var createdAt: Nanoseconds
    /// Monotonic instant of the last bytes received, or seen to be taken: CLIENT LIST's idle, and the directive `timeout`.
    var lastInteraction: Nanoseconds
    /// Both ends of the connection; all zero for a client without one (tests).
    var remote: Endpoint
    var local: Endpoint
    /// `.none` exactly when the session has left (`SessionFlags.left`) or never had one (tests).
    var stream = Stream.none
    var reader = RequestReader()
    /// A command that waits for those under way or for credit, copied out of the received data; at most one.
    var parked: UnsafeMutablePointer<RemoteRequest>?
    /// Commands under way at other shards; a fan-out counts one.
    var outstanding: UInt16 = 0
    /// Where they are; `manyShards` for a fan-out. Meaningful while `outstanding > 0`.
    var outstandingShard: UInt16 = 0
    var flags: SessionFlags
    /// 0..<databases; changed by SELECT and RESET.
    var database: UInt16
    /// The protocol error that is replied once nothing is under way; then the stream is ended.
    var refusal: ProtocolError?
    /// The low bits of the output not yet taken at the last look, to see whether the client reads (`noteProgress`).
    var backlogSeen: UInt32 = 0
    /// Since when the output is beyond the soft limit, in tenths of a second of the monotonic clock; 0: it is not.
    var softSince: UInt32 = 0
    /// Its place in the pump's `watched`; meaningful with that flag.
    var watchedIndex: UInt32 = 0
    /// The last command's or subcommand's `CommandEntry.number`; `noCommand` before the first.
    var lastCommand: Int16
    /// 2 or 3; changed by HELLO and RESET.
    var protocolVersion: UInt8

    /// What it has received must not be read yet.
    @inline(__always) var isWaiting: Bool { flags.contains(.waiting) && outstanding > 0 }

    static let noCommand: Int16 = -1
    static let manyShards = UInt16.max
}

/// One end of a connection.
struct Endpoint: BitwiseCopyable, Equatable {
    var address: IPv4Address
    var port: UInt16

    static let none = Endpoint(address: IPv4Address(bits: 0), port: 0)

    init(address: IPv4Address, port: UInt16) {
        self.address = address
        self.port = port
    }

    /// Of a kernel socket. An IPv6 address does not fit: its stream is asked when somebody wants to see it.
    init(_ name: (address: String, port: UInt16)) {
        self.init(address: IPv4Address(name.address) ?? IPv4Address(bits: 0), port: name.port)
    }
}

struct SessionFlags: OptionSet, BitwiseCopyable {
    let rawValue: UInt16

    /// Reply with what is written already, then close (QUIT, protocol errors).
    static let closeAfterReply = SessionFlags(rawValue: 1)
    /// CLIENT REPLY OFF.
    static let replyOff = SessionFlags(rawValue: 2)
    /// CLIENT REPLY SKIP: the next command's reply is dropped.
    static let skipNext = SessionFlags(rawValue: 4)
    /// This command's reply is dropped (skipNext moved here).
    static let skipping = SessionFlags(rawValue: 8)
    static let noEvict = SessionFlags(rawValue: 16)
    static let noTouch = SessionFlags(rawValue: 32)
    /// Logged in as the default user, or no password is required since the client connected.
    static let authenticated = SessionFlags(rawValue: 64)
    /// CLIENT KILL, an output limit: no more commands, no more replies; the session is in its shard's `pendingClose`, once.
    static let closeNow = SessionFlags(rawValue: 128)
    /// The stream is gone; the memory waits for requests under way, or for its turn in a queue.
    static let left = SessionFlags(rawValue: 256)
    /// In the pump's list of sessions to go on with.
    static let queued = SessionFlags(rawValue: 512)
    /// Our direction of the stream was ended.
    static let shutDown = SessionFlags(rawValue: 1024)
    /// The peer has ended its direction.
    static let endOfStream = SessionFlags(rawValue: 2048)

    /// Not among those that `maxclients` counts: it was refused because of that.
    static let refused = SessionFlags(rawValue: 4096)

    /// In the pump's list of sessions to look at every now and then.
    static let watched = SessionFlags(rawValue: 8192)
    /// There are commands in the stream that wait for those under way; they are read when these are back.
    static let waiting = SessionFlags(rawValue: 16384)
    /// The next command is no volley's: one has failed.
    static let inOrder = SessionFlags(rawValue: 32768)

    /// No further command is executed.
    static let ending: SessionFlags = [.closeAfterReply, .closeNow]
    /// The stream is ended when nothing is under way.
    static let finishing: SessionFlags = [.closeAfterReply, .closeNow, .endOfStream]
    /// Commands take the slow way.
    static let unusual: SessionFlags = [.replyOff, .skipNext, .skipping]
    /// Of these, a session that takes the short way has `authenticated` alone.
    static let special = ending.union(unusual).union([.authenticated, .endOfStream, .waiting])

    /// What RESET keeps.
    static let survivingReset: SessionFlags = [
        .closeAfterReply, .closeNow, .authenticated, .left, .queued, .shutDown, .endOfStream,
        .refused, .watched, .waiting, .inOrder,
    ]
}
