import CLinux
import Glibc
import Net
import Runtime

/// Connections over kernel sockets.
final class SocketTransport: BenchTransport {
    typealias Connection = KernelConnection

    private let kernel = KernelStack(listeners: [])
    private let reference: Unmanaged<KernelStack>
    private let remote: SocketAddress
    private let port: UInt16
    private(set) var refusal = ""
    /// Whether sockets are closed by a reset, so that none stays in TIME-WAIT: where each batch has its own.
    private let resets: Bool

    init(_ remote: SocketAddress, port: UInt16, resets: Bool) {
        self.remote = remote
        self.port = port
        self.resets = resets
        reference = .passUnretained(kernel)
    }

    deinit { kernel.close() }

    var link: String { "kernel" }
    var mode: String { "" }

    func connect(client: Int, now: Nanoseconds) -> KernelConnection? {
        guard let connection = kernel.connect(to: remote, port: port) else {
            refusal = kernel.connectFailure
            return nil
        }
        kernel.setContext(connection, UnsafeMutableRawPointer(bitPattern: client + 1))
        return connection
    }

    @inline(__always) func received(_ c: KernelConnection) -> ByteView {
        reference._withUnsafeGuaranteedRef { $0.received(c) }
    }
    @inline(__always) func consume(_ c: KernelConnection, _ n: Int) {
        reference._withUnsafeGuaranteedRef { $0.consume(c, n) }
    }
    @inline(__always) func outputSpan(_ c: KernelConnection) -> OutputSpan {
        reference._withUnsafeGuaranteedRef { $0.outputSpan(c) }
    }
    @inline(__always) func commit(_ c: KernelConnection, _ cursor: UnsafeMutableRawPointer) {
        reference._withUnsafeGuaranteedRef { $0.commit(c, cursor) }
    }

    func finish(_ c: KernelConnection) {
        if resets { kernel.abort(c) }
        kernel.free(c)
    }
    func free(_ c: KernelConnection) { kernel.free(c) }
    func abort(_ c: KernelConnection) {
        kernel.abort(c)
        kernel.free(c)
    }

    func poll(now: Nanoseconds) -> Bool { kernel.poll(now: now) > 0 || kernel.hasEvents }

    @inline(__always) func takeReady() -> BenchReady<KernelConnection>? {
        guard let connection = reference._withUnsafeGuaranteedRef({ $0.nextEvent() }) else { return nil }
        let events = kernel.takeEvents(connection)
        if events.contains(.closed) { refusal = kernel.connectFailure }
        return BenchReady(
            connection: connection, client: Int(bitPattern: kernel.context(connection)) &- 1, events: events)
    }

    func finishTurn(now: Nanoseconds) { kernel.output(now: now) }

    func wait(until deadline: Nanoseconds, now: Nanoseconds) {
        var descriptor = pollfd(fd: kernel.descriptor, events: Int16(POLLIN), revents: 0)
        _ = Glibc.poll(&descriptor, 1, Int32(clamping: max(0, deadline - now) / 1_000_000))
    }

    var nextDeadline: Nanoseconds? { kernel.nextDeadline }

    var counters: TransportCounters {
        var counters = TransportCounters()
        counters.systemCalls = kernel.statistics.systemCalls
        counters.bytesSent = kernel.statistics.sentBytes
        counters.bytesReceived = kernel.statistics.receivedBytes
        return counters
    }
}
