import CLinux
import Glibc
import Runtime
import Testing

@testable import Net

/// A kernel stack on 127.0.0.1 at a port of the kernel's choice, driven turn by turn.
final class KernelFixture {
    let stack: KernelStack
    let port: UInt16
    var now: Nanoseconds = .seconds(1)
    /// Opened, and not yet returned by `accept`.
    private var opened: [KernelConnection] = []

    init() throws {
        let sockets = try KernelListener.open(bind: ["127.0.0.1"], port: 0, shards: 1, backlog: 128)[0]
        port = KernelListener.port(of: sockets[0])
        stack = KernelStack(listeners: sockets)
    }

    deinit { stack.close() }

    /// One turn of a poll loop. Waits up to a second of real time for something to happen if `wait`; returns whether
    /// it waited in vain.
    @discardableResult
    func turn(wait: Bool = true, _ body: (KernelConnection, StreamEvents) -> Void) -> Bool {
        var inVain = false
        if wait && !stack.hasEvents {
            var descriptor = pollfd(fd: stack.descriptor, events: Int16(POLLIN), revents: 0)
            inVain = poll(&descriptor, 1, 1000) == 0
        }
        stack.poll(now: now)
        while let connection = stack.nextEvent() {
            let taken = stack.takeEvents(connection)
            if taken.contains(.opened) { opened.append(connection) }
            body(connection, taken)
        }
        stack.output(now: now)
        return inVain
    }

    /// Turns until `done`; fails after a bounded number, or three seconds in which nothing happened.
    func run(
        until done: () -> Bool, turns: Int = 20_000, _ body: (KernelConnection, StreamEvents) -> Void = { _, _ in }
    ) {
        var inVain = 0
        for _ in 0..<turns {
            if done() { return }
            if turn(body) { inVain += 1 }
            if inVain == 3 { break }
        }
        Issue.record("nothing more happened")
    }

    /// The next accepted connection.
    func accept() -> KernelConnection {
        run(until: { !opened.isEmpty })
        return opened.removeFirst()
    }

    /// Sends back everything that was received; ends with the peer.
    func echo(_ connection: KernelConnection, _ events: StreamEvents) {
        if events.contains(.closed) { return stack.free(connection) }
        while case let view = stack.received(connection), view.count > 0 {
            write(connection, UnsafeRawBufferPointer(start: view.base, count: view.count))
            stack.consume(connection, view.count)
        }
        if events.contains(.endOfStream) { stack.shutdown(connection) }
    }

    func write(_ connection: KernelConnection, _ bytes: UnsafeRawBufferPointer) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let span = stack.outputSpan(connection)
            let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(span.room))
            span.cursor.copyMemory(from: piece.baseAddress!, byteCount: piece.count)
            stack.commit(connection, span.cursor + piece.count)
            rest = rest.dropFirst(piece.count)
        }
    }

    func write(_ connection: KernelConnection, _ bytes: [UInt8]) {
        bytes.withUnsafeBytes { write(connection, $0) }
    }
}

/// The other end: a non-blocking client socket.
final class KernelClient {
    let descriptor: Int32
    private(set) var received: [UInt8] = []
    /// The server's FIN was seen.
    private(set) var ended = false
    /// The errno that ended it, 0 for none.
    private(set) var failure: Int32 = 0

    init(port: UInt16, receiveBuffer: Int32? = nil) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        if let receiveBuffer { setOption(descriptor, SOL_SOCKET, SO_RCVBUF, receiveBuffer) }
        let address = SocketAddress("127.0.0.1")!
        let code = address.withRaw(port: port) { connect(descriptor, $0, $1) }
        #expect(code == 0)
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
    }

    deinit { close(descriptor) }

    /// Returns how many bytes the kernel took.
    @discardableResult
    func send(_ bytes: some Collection<UInt8>) -> Int {
        max(0, Array(bytes).withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) })
    }

    /// Reads what is there, at most `limit` bytes.
    func receive(limit: Int = .max) {
        var buffer = [UInt8](repeating: 0, count: 65536)
        var taken = 0
        while taken < limit {
            let count = recv(descriptor, &buffer, min(buffer.count, limit - taken), 0)
            if count > 0 {
                received += buffer[..<count]
                taken += count
                continue
            }
            if count == 0 { ended = true } else if errno != EAGAIN { failure = errno }
            return
        }
    }

    func endWriting() { _ = shutdown(descriptor, Int32(SHUT_WR)) }

    /// Closing it will send RST.
    func resetOnClose() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        _ = setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
    }
}

/// Bytes in which every position can be told from its neighbours.
func pattern(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: ((UInt64($0) &+ seed) &* 0x9E37_79B9_7F4A_7C15) >> 56) }
}
