import Net
import Runtime

/// One client's state, beside its byte stream. A handle: copies name the same session; owned by one shard.
struct Session: BitwiseCopyable {
    let state: UnsafeMutablePointer<SessionState>

    var isRESP3: Bool { state.pointee.protocolVersion == 3 }
}

/// Plain memory, so that a slab can hold it. What only some clients have is in `extras`.
struct SessionState {
    /// Unique in the server's life, ascending on each shard.
    var id: UInt64
    /// 0..<databases; changed by SELECT and RESET.
    var database: UInt16
    /// 2 or 3; changed by HELLO and RESET.
    var protocolVersion: UInt8
    var flags: SessionFlags
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
}
