import Runtime

/// One of the load generator's connections: plain memory in an array.
struct BenchClient<Connection: BitwiseCopyable>: BitwiseCopyable {
    enum Phase: UInt8, BitwiseCopyable {
        /// No connection. To be opened, or the load needs no more.
        case closed
        /// Waits for `.opened`.
        case connecting
        /// Waits for the replies of what every connection says first (AUTH, SELECT, HELLO).
        case greeting
        /// Serves `BenchLoop.ask`.
        case asked
        case ready
    }

    /// Meaningful unless `closed`.
    var connection: Connection?
    var scanner = ReplyScanner()
    /// Free-running counts of requests sent and of replies received; `sent - answered` are under way, at most `pipeline`
    /// while the client is ready. Their place in the ring of stamps is the count modulo its size.
    var sent: UInt32 = 0
    var answered: UInt32 = 0
    /// Replies that were checked; `answered` follows at the end of a turn.
    var verified: UInt32 = 0
    var phase = Phase.closed
    /// In the open loop's queue of clients with room.
    var isQueued = false

    var underWay: Int { Int(sent &- answered) }
}
