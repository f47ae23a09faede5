import Net
import Runtime

/// A host on the simulated wire with one connection to the server: our own TCP as active opener. It sends the requests
/// it is given and compares every byte that comes back with what it was told to expect.
public final class SimulatedClient {
    /// Until `deallocate`.
    public private(set) var stack: Stack!
    public let pool: FramePool
    private let link: MemoryLink
    private let burst: FrameQueue
    private var connection: TCPConnection?
    /// Request bytes not yet written to the stream.
    private var unsent: [UInt8] = []
    /// Reply bytes due, in order; the first `verified` of them have arrived.
    private var expected: [UInt8] = []
    private var verified = 0
    /// The first difference, as a sentence.
    public private(set) var failure: String?
    /// The server's FIN arrived, or the connection is gone.
    public private(set) var isClosed = false
    private var wantsClose = false
    /// Keeps what arrives instead of comparing it: for tests that look at replies themselves.
    public var keepsReplies = false
    public private(set) var replies: [UInt8] = []
    /// A client that does not read lets its window close. Reads everything once it is set again.
    public var isReading = true
    /// As if its cable were cut: it neither sends nor receives.
    public var isSilent = false

    public init(number: Int, wire: MemoryWire, entropy: Entropy, frames: Int = 2048, now: Nanoseconds) {
        pool = FramePool(count: frames)
        let hardware = MACAddress(bits: 0x0200_0000_0100 + UInt64(number))
        link = wire.attach(hardwareAddress: hardware, pool: pool)
        burst = FrameQueue(capacity: 256)
        let address = IPv4Address(bits: SimulatedServer.address.bits + 1 + UInt32(number))
        stack = Stack(
            configuration: Stack.Configuration(hardwareAddress: hardware, address: address), pool: pool,
            entropy: entropy, now: now)
    }

    /// After the wire has delivered its last frame.
    public func deallocate() {
        // It gives its frames back.
        stack = nil
        burst.deallocate()
        pool.deallocate()
    }

    public func connect(now: Nanoseconds) {
        connection = stack.connect(to: SimulatedServer.address, port: SimulatedServer.port, now: now)
        isClosed = connection == nil
    }

    /// Queues a request and the reply that must come for it.
    public func send(_ request: [UInt8], expecting reply: [UInt8] = []) {
        unsent += request
        expected += reply
    }

    /// Ends our direction once everything is sent.
    public func close() { wantsClose = true }

    /// Ends the connection with RST, whatever is under way.
    public func abort() {
        guard let connection else { return }
        stack.abort(connection)
        stack.free(connection)
        self.connection = nil
        unsent = []
        isClosed = true
    }

    /// Everything sent was answered.
    public var isSettled: Bool { unsent.isEmpty && verified == expected.count }

    public func takeReplies() -> [UInt8] {
        defer { replies = [] }
        return replies
    }

    /// Receives, verifies, sends. Whether there was anything to do.
    public func turn(now: Nanoseconds) -> Bool {
        guard !isSilent else { return false }
        link.reclaim()
        var work = link.receive(into: burst, limit: 64) > 0
        if !burst.isEmpty { stack.input(burst, now: now) }
        stack.advanceTimers(now: now)
        while let ready = stack.nextEvent() {
            work = true
            let events = stack.takeEvents(ready)
            if events.contains(.readable), isReading { receive(ready) }
            if events.contains(.endOfStream) { isClosed = true }
            if events.contains(.closed) {
                receive(ready)
                stack.free(ready)
                connection = nil
                isClosed = true
            }
        }
        if let connection {
            if isReading { receive(connection) }
            work = write(connection) || work
        }
        stack.output(now: now)
        if !stack.transmitQueue.isEmpty { work = link.transmit(from: stack.transmitQueue) > 0 || work }
        return work
    }

    private func write(_ connection: TCPConnection) -> Bool {
        if unsent.isEmpty {
            guard wantsClose else { return false }
            wantsClose = false
            stack.shutdown(connection)
            return true
        }
        var position = 0
        while position < unsent.count {
            let span = stack.outputSpan(connection)
            let count = min(span.room, unsent.count - position)
            unsent.withUnsafeBytes {
                span.cursor.copyMemory(from: $0.baseAddress! + position, byteCount: count)
            }
            stack.commit(connection, span.cursor + count)
            position += count
        }
        unsent.removeAll(keepingCapacity: true)
        return true
    }

    private func receive(_ connection: TCPConnection) {
        while true {
            let view = stack.received(connection)
            if view.count == 0 { break }
            if keepsReplies { replies += view.array } else { verify(view) }
            stack.consume(connection, view.count)
        }
        if verified > 1 << 16 {
            expected.removeFirst(verified)
            verified = 0
        }
    }

    private func verify(_ view: ByteView) {
        guard failure == nil else { return }
        for index in 0..<view.count {
            guard verified < expected.count, expected[verified] == view[index] else {
                let got = ByteView(view.base + index, min(60, view.count - index)).string.debugDescription
                let due = String(decoding: expected.dropFirst(verified).prefix(60), as: UTF8.self).debugDescription
                failure = "received \(got) where \(due) was due"
                return
            }
            verified += 1
        }
    }
}
