import Net
import Runtime

/// Where a load generator's connections are: our own stack over some link, or kernel sockets. The byte streams keep the
/// contract of Net/ByteStream.swift; `client` is the number under which its user knows a connection. The loop is
/// specialised for each transport at compile time.
///
/// One turn: `poll`, whatever `takeReady` names, `finishTurn`.
protocol BenchTransport: AnyObject {
    /// A handle, good from `connect` until `abort` or `free`.
    associatedtype Connection: BitwiseCopyable, Equatable

    /// For reports: "kernel", "xdp".
    var link: String { get }
    /// How the link does it: "copy", "zero-copy", "generic"; "" where there is nothing to say.
    var mode: String { get }

    /// Begins to connect; `.opened` follows, or `.closed`. nil: no port, no memory or no descriptor is free.
    func connect(client: Int, now: Nanoseconds) -> Connection?
    /// Why the last connection was not made, as part of a sentence: "connection refused".
    var refusal: String { get }

    /// Takes in what has arrived. Whether there was anything.
    func poll(now: Nanoseconds) -> Bool
    /// The next connection with events.
    func takeReady() -> BenchReady<Connection>?
    func received(_ connection: Connection) -> ByteView
    func consume(_ connection: Connection, _ count: Int)
    func outputSpan(_ connection: Connection) -> OutputSpan
    func commit(_ connection: Connection, _ cursor: UnsafeMutableRawPointer)
    /// Ends the connection after what was committed, and lets go of it.
    func finish(_ connection: Connection)
    /// Ends the connection now, and lets go of it.
    func abort(_ connection: Connection)
    /// Lets go of a connection that is over.
    func free(_ connection: Connection)
    /// Sends what was committed.
    func finishTurn(now: Nanoseconds)

    /// Waits until something arrives, but not longer than to `deadline`. `now` is the present time.
    func wait(until deadline: Nanoseconds, now: Nanoseconds)
    /// When the transport itself has something to do.
    var nextDeadline: Nanoseconds? { get }
    /// Since it was made.
    var counters: TransportCounters { get }
}

/// A connection with events.
struct BenchReady<Connection: BitwiseCopyable>: BitwiseCopyable {
    let connection: Connection
    let client: Int
    let events: StreamEvents
}

/// What a transport did.
struct TransportCounters: Equatable {
    var systemCalls: UInt64 = 0
    /// 0 over kernel sockets, where only the kernel knows.
    var segmentsSent: UInt64 = 0
    var segmentsReceived: UInt64 = 0
    var retransmissions: UInt64 = 0
    var bytesSent: UInt64 = 0
    var bytesReceived: UInt64 = 0
}

/// Writes requests into one connection's stream, over as many spans as it takes. `finish` commits.
struct RequestWriter<T: BenchTransport> {
    private let transport: Unmanaged<T>
    private let connection: T.Connection
    private var span: OutputSpan

    @inline(__always) init(_ transport: Unmanaged<T>, _ connection: T.Connection) {
        self.transport = transport
        self.connection = connection
        span = transport._withUnsafeGuaranteedRef { $0.outputSpan(connection) }
    }

    @inline(__always) func finish() {
        transport._withUnsafeGuaranteedRef { $0.commit(connection, span.cursor) }
    }

    @inline(__always) mutating func append(_ bytes: UnsafeRawPointer, _ count: Int) {
        guard count <= span.room else { return appendInPieces(bytes, count) }
        copyBytes(bytes, to: span.cursor, count)
        span.cursor += count
    }

    @inline(never) private mutating func appendInPieces(_ bytes: UnsafeRawPointer, _ count: Int) {
        var done = 0
        while done < count {
            if span.room == 0 {
                finish()
                span = transport._withUnsafeGuaranteedRef { $0.outputSpan(connection) }
            }
            let part = min(span.room, count &- done)
            span.cursor.copyMemory(from: bytes + done, byteCount: part)
            span.cursor += part
            done &+= part
        }
    }

    /// "$64\r\n"
    mutating func appendBulkHeader(_ length: Int) {
        withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { memory in
            let start = memory.baseAddress!
            start.storeBytes(of: UInt8(ascii: "$"), as: UInt8.self)
            let end = Decimal.write(UInt64(length), to: start + 1)
            end.storeBytes(of: UInt16(0x0A0D), as: UInt16.self)
            append(start, end - start + 2)
        }
    }

    mutating func appendLineEnd() {
        withUnsafeBytes(of: UInt16(0x0A0D)) { append($0.baseAddress!, 2) }
    }
}
