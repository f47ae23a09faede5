/// The steps of a command's way, in their order. A record says that the step was done at its time.
public enum TraceEvent: UInt8, CaseIterable, Sendable, BitwiseCopyable {
    /// A frame was taken from the device, with the others of its burst. `value`: `TraceRing.frame`.
    case arrived
    /// A frame came from another shard, which the device had given it to. The same.
    case handed
    /// TCP has dealt with the frame. The same.
    case input
    /// epoll named sockets. `value`: how many.
    case polled
    /// Bytes of the client are at hand for its session. `value`: how many.
    case session
    /// A request was found whole. `value`: its words.
    case parsed
    /// A command was executed here, its reply written. `value` of one that came from another shard: that shard + 1.
    case executed
    /// A command was sent to another shard. `value`: that shard; `TraceRing.allShards`.
    case sent
    /// A command waits for those of the session that are under way at another shard, or for credit.
    case parked
    /// What was written for other shards became visible to them.
    case published
    /// A command of another shard was taken from the ring. `value`: that shard.
    case taken
    /// The reply came back. `value`: the shard it came from.
    case delivered
    /// Replies are in the stream. `value`: 1 where that is a kernel socket's.
    case written
    /// A segment was built. `value`: `TraceRing.frame`.
    case segment
    /// Segments wait for more before the device is started.
    case held
    /// The device was started. `value`: for how many frames; 0: kernel sockets were written.
    case departed
}

/// One step. 32 bytes, two to a cache line.
public struct TraceRecord: BitwiseCopyable, Sendable {
    /// The clock's ticks when the step was done.
    public var ticks: UInt64
    /// Whose step it was; 0: a frame's, or that of all in the turn.
    public var client: UInt64
    /// By event.
    public var value: UInt64
    /// The low bits of the shard's number of turns: what has the same belongs together.
    public var turn: UInt32
    public var event: TraceEvent
    /// The number of a command's entry in the table; -1: none.
    public var command: Int16

    public init(
        ticks: UInt64, client: UInt64 = 0, value: UInt64 = 0, turn: UInt32 = 0, event: TraceEvent, command: Int16 = -1
    ) {
        self.ticks = ticks
        self.client = client
        self.value = value
        self.turn = turn
        self.event = event
        self.command = command
    }
}

/// What a shard did, step by step: the last `capacity` records while tracing is on, of all clients or of one. Memory is
/// taken when it is turned on for the first time. Who is not asked to (`isOn`) does not look at it.
public struct TraceRing {
    public static let capacity = 4096
    /// Tracing that nobody turns off ends by itself.
    public static let longest = Nanoseconds.seconds(60)
    /// `value` of `.sent`: to every shard.
    public static let allShards = UInt64(UInt16.max)

    public private(set) var isOn = false
    /// When it ends by itself; meaningful while on.
    public private(set) var until: Nanoseconds = 0
    /// The client whose steps are recorded; 0: all.
    private var client: UInt64 = 0
    /// Its end of the connection, as in `frame`; 0: not known to this shard.
    private var remote: UInt64 = 0
    private var records: UnsafeMutablePointer<TraceRecord>?
    /// Records written since the last reset.
    private var written = 0
    private var turn: UInt32 = 0
    /// Segments that have not departed, output that sockets have not taken, messages that are not published were recorded:
    /// what becomes of them concerns us.
    private var hasOutput = false
    private var hasSocketOutput = false
    private var hasMessages = false
    /// When the last burst was taken from the device, or epoll was last asked; and what it said.
    private var arrival: UInt64 = 0
    private var polled: UInt64 = 0

    public init() {}

    public func deallocate() { records?.deallocate() }

    /// Forgets what was recorded and records from now on.
    public mutating func turnOn(client: UInt64 = 0, remote: UInt64 = 0, now: Nanoseconds) {
        records = records ?? .allocate(capacity: Self.capacity)
        reset()
        isOn = true
        until = now &+ Self.longest
        self.client = client
        self.remote = remote
    }

    public mutating func turnOff() { isOn = false }

    public mutating func reset() {
        written = 0
        hasOutput = false
        hasSocketOutput = false
        hasMessages = false
    }

    /// Records that are kept; at most `capacity`.
    public var count: Int { min(written, Self.capacity) }

    /// The record `index` places behind the oldest; `index < count`.
    public subscript(index: Int) -> TraceRecord { records![(written &- count &+ index) & (Self.capacity &- 1)] }

    // MARK: recording, while on

    public mutating func beginTurn() { turn &+= 1 }

    public mutating func noteArrival(_ ticks: UInt64) { arrival = ticks }

    public mutating func notePoll(_ count: Int, _ ticks: UInt64) {
        arrival = ticks
        polled = UInt64(count)
    }

    /// A step of `client`'s.
    public mutating func note(
        _ event: TraceEvent, client: UInt64, command: Int16 = -1, value: UInt64 = 0, ticks: UInt64
    ) {
        guard self.client == 0 || self.client == client else { return }
        switch event {
        case .session where polled > 0:
            // Of a kernel socket; once for all that epoll named together.
            append(TraceRecord(ticks: arrival, value: polled, event: .polled))
            polled = 0
        case .sent: hasMessages = true
        case .executed where value > 0: hasMessages = true
        case .written where value > 0: hasSocketOutput = true
        default: break
        }
        append(TraceRecord(ticks: ticks, client: client, value: value, event: event, command: command))
    }

    /// A step of a frame of that `frame`; one that arrived did so when its burst was taken.
    public mutating func note(_ event: TraceEvent, frame: UInt64, ticks: UInt64) {
        guard client == 0 || frame >> 16 == remote else { return }
        if event == .segment { hasOutput = true }
        append(TraceRecord(ticks: event == .arrived ? arrival : ticks, value: frame, event: event))
    }

    /// A step that all in the turn share: not recorded where nothing of the client waited for it.
    public mutating func noteShared(_ event: TraceEvent, value: UInt64 = 0, ticks: UInt64) {
        switch event {
        case .published:
            guard hasMessages else { return }
            hasMessages = false
        case .held: guard hasOutput else { return }
        case .departed where value == 0:
            guard hasSocketOutput else { return }
            hasSocketOutput = false
        case .departed:
            guard hasOutput else { return }
            hasOutput = false
        default: break
        }
        append(TraceRecord(ticks: ticks, value: value, event: event))
    }

    private mutating func append(_ record: TraceRecord) {
        var record = record
        record.turn = turn
        records![written & (Self.capacity &- 1)] = record
        written &+= 1
    }

    /// The other end's IPv4 address and port, and the frame's length, in one word.
    public static func frame(address: UInt32, port: UInt16, length: Int) -> UInt64 {
        remote(address: address, port: port) << 16 | UInt64(UInt16(clamping: length))
    }

    public static func remote(address: UInt32, port: UInt16) -> UInt64 { UInt64(address) << 16 | UInt64(port) }
}

/// What a clock's ticks mean: a straight line through two readings of both.
public struct TickScale: BitwiseCopyable, Sendable {
    /// A reading from the start, and a late one.
    private let first: (ticks: UInt64, time: Nanoseconds)
    private var last: (ticks: UInt64, time: Nanoseconds)

    public init(_ clock: some Clock) {
        first = (clock.ticks, clock.monotonic)
        last = first
    }

    /// Now and then, so that what is asked for is never far from a reading.
    public mutating func read(_ clock: some Clock) { last = (clock.ticks, clock.monotonic) }

    /// The monotonic time at `ticks`.
    public func time(_ ticks: UInt64) -> Nanoseconds {
        let span = Double(last.ticks &- first.ticks)
        let rate = span > 0 ? Double(last.time &- first.time) / span : 1
        return last.time &+ Nanoseconds((Double(Int64(bitPattern: ticks &- last.ticks)) * rate).rounded())
    }
}
