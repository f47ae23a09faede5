import Net
import Runtime

/// A client's byte stream: a connection of our own stack or a kernel socket. Both keep the contract of
/// `Net/ByteStream.swift`; this is the one place that tells them apart, once or twice for each burst of commands.
struct Stream: BitwiseCopyable, @unchecked Sendable {
    enum Kind: UInt8 { case none, stack, kernel }

    let kind: Kind
    /// The handle of a `TCPConnection` or a `KernelConnection`; each is a single pointer.
    private let handle: UnsafeMutableRawPointer?

    static let none = Stream()

    private init() {
        kind = .none
        handle = nil
    }

    init(_ connection: TCPConnection) {
        kind = .stack
        handle = unsafeBitCast(connection, to: UnsafeMutableRawPointer.self)
    }

    init(_ connection: KernelConnection) {
        kind = .kernel
        handle = unsafeBitCast(connection, to: UnsafeMutableRawPointer.self)
    }

    // The kind says that there is a handle; checking it again at each use costs more than the rest.
    var connection: TCPConnection { unsafeBitCast(handle.unsafelyUnwrapped, to: TCPConnection.self) }
    var kernelConnection: KernelConnection { unsafeBitCast(handle.unsafelyUnwrapped, to: KernelConnection.self) }
}

/// One stream whose kind is known at compile time: what the reading of commands is specialised for, so that the kind is
/// asked once for a burst of commands.
protocol StreamPort: BitwiseCopyable {
    /// Whose time it takes to get at received bytes.
    static var input: CycleAccount.Stage { get }
    func received() -> ByteView
    func consume(_ count: Int)
    func outputSpan() -> OutputSpan
    func commit(_ cursor: UnsafeMutableRawPointer)
}

/// `Unmanaged`, because the shard keeps its stack for longer than any burst: nothing is retained on the way.
struct StackPort: StreamPort {
    let stack: Unmanaged<Stack>
    let connection: TCPConnection

    static var input: CycleAccount.Stage { .tcp }
    @inline(__always) func received() -> ByteView { stack._withUnsafeGuaranteedRef { $0.received(connection) } }
    @inline(__always) func consume(_ count: Int) { stack._withUnsafeGuaranteedRef { $0.consume(connection, count) } }
    @inline(__always) func outputSpan() -> OutputSpan { stack._withUnsafeGuaranteedRef { $0.outputSpan(connection) } }
    @inline(__always) func commit(_ cursor: UnsafeMutableRawPointer) {
        stack._withUnsafeGuaranteedRef { $0.commit(connection, cursor) }
    }
}

struct KernelPort: StreamPort {
    let kernel: Unmanaged<KernelStack>
    let connection: KernelConnection

    /// The kernel's TCP; `received` reads the socket.
    static var input: CycleAccount.Stage { .receive }
    @inline(__always) func received() -> ByteView { kernel._withUnsafeGuaranteedRef { $0.received(connection) } }
    @inline(__always) func consume(_ count: Int) { kernel._withUnsafeGuaranteedRef { $0.consume(connection, count) } }
    @inline(__always) func outputSpan() -> OutputSpan { kernel._withUnsafeGuaranteedRef { $0.outputSpan(connection) } }
    @inline(__always) func commit(_ cursor: UnsafeMutableRawPointer) {
        kernel._withUnsafeGuaranteedRef { $0.commit(connection, cursor) }
    }
}

/// The two sources of byte streams of one shard.
final class Streams {
    /// nil where the shard has no link.
    let stack: Stack?
    let stackReference: Unmanaged<Stack>?
    /// nil where kernel sockets are not served.
    let kernel: KernelStack?
    /// The link's counters, at most 100 ms old; nil where there is no link, and before the first chores.
    var linkStatistics: LinkStatistics?

    init(stack: Stack?, kernel: KernelStack?) {
        self.stack = stack
        self.kernel = kernel
        stackReference = stack.map { Unmanaged.passUnretained($0) }
    }

    func received(_ stream: Stream) -> ByteView {
        switch stream.kind {
        case .stack: return stack!.received(stream.connection)
        case .kernel: return kernel!.received(stream.kernelConnection)
        case .none: return ByteView(UnsafeRawPointer(bitPattern: 1)!, 0)
        }
    }

    func consume(_ stream: Stream, _ count: Int) {
        switch stream.kind {
        case .stack: stack!.consume(stream.connection, count)
        case .kernel: kernel!.consume(stream.kernelConnection, count)
        case .none: break
        }
    }

    func outputSpan(_ stream: Stream) -> OutputSpan {
        switch stream.kind {
        case .stack: return stack!.outputSpan(stream.connection)
        case .kernel: return kernel!.outputSpan(stream.kernelConnection)
        case .none: preconditionFailure("output to a stream that is gone")
        }
    }

    func commit(_ stream: Stream, _ cursor: UnsafeMutableRawPointer) {
        switch stream.kind {
        case .stack: stack!.commit(stream.connection, cursor)
        case .kernel: kernel!.commit(stream.kernelConnection, cursor)
        case .none: break
        }
    }

    /// Bytes of output that the peer has not taken yet.
    func backlog(_ stream: Stream) -> Int {
        switch stream.kind {
        case .stack: return stack!.backlog(stream.connection)
        case .kernel: return kernel!.backlog(stream.kernelConnection)
        case .none: return 0
        }
    }

    /// Whether the peer is a process of this machine that came over the loopback interface.
    func isLoopback(_ stream: Stream, _ remote: Endpoint) -> Bool {
        guard stream.kind == .kernel else { return false }
        return remote.address.bits >> 24 == 127 || kernel!.remote(stream.kernelConnection).0 == "[::1]"
    }

    /// How the connection does; nil for a stream that is gone.
    func info(_ stream: Stream) -> ConnectionInfo? {
        switch stream.kind {
        case .stack: return stack!.info(stream.connection)
        case .kernel: return kernel!.info(stream.kernelConnection)
        case .none: return nil
        }
    }

    /// Ends the stream after everything committed.
    func shutdown(_ stream: Stream) {
        switch stream.kind {
        case .stack: stack!.shutdown(stream.connection)
        case .kernel: kernel!.shutdown(stream.kernelConnection)
        case .none: break
        }
    }

    /// Ends the stream now, and lets go of it.
    func abort(_ stream: Stream) {
        switch stream.kind {
        case .stack:
            stack!.abort(stream.connection)
            stack!.free(stream.connection)
        case .kernel:
            kernel!.abort(stream.kernelConnection)
            kernel!.free(stream.kernelConnection)
        case .none: break
        }
    }

    /// Lets go of a stream that is over.
    func free(_ stream: Stream) {
        switch stream.kind {
        case .stack: stack!.free(stream.connection)
        case .kernel: kernel!.free(stream.kernelConnection)
        case .none: break
        }
    }
}

/// Lends reply writers the memory of a stream: transmit frames, or a kernel connection's chunks.
final class StreamSink: ReplySink {
    private let streams: Streams
    /// Whose stream it is; nil before the first.
    private var session: UnsafeMutablePointer<SessionState>?
    /// Spans lent beyond the first of each burst of commands, since the pump set it to 0: about how much is written.
    var furtherSpans = 0

    init(streams: Streams) { self.streams = streams }

    func begin(_ session: Session) -> OutputSpan {
        self.session = session.state
        return streams.outputSpan(session.state.pointee.stream)
    }

    /// The same for a caller that has asked the stream for its span already.
    @inline(__always) func begin(_ session: Session, with span: OutputSpan) -> OutputSpan {
        self.session = session.state
        return span
    }

    override func next(after cursor: UnsafeMutableRawPointer) -> OutputSpan {
        furtherSpans &+= 1
        let stream = session!.pointee.stream
        streams.commit(stream, cursor)
        return streams.outputSpan(stream)
    }
}

/// Swallows what is written: replies that the client has turned off (CLIENT REPLY).
final class NullSink: ReplySink {
    private let memory = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 64)

    deinit { memory.deallocate() }

    func begin() -> OutputSpan { OutputSpan(cursor: memory, limit: memory + 4096) }
    override func next(after cursor: UnsafeMutableRawPointer) -> OutputSpan { begin() }
}
