import CLinux
import Glibc
import Net
import Runtime

/// Connections of our own stack over one link, from one or several addresses: each address has a stack, which shares the
/// link's frames with the others; frames go to the stack whose address they have.
final class StackTransport<L: Link>: BenchTransport {
    /// Which stack's connection it is.
    struct Connection: BitwiseCopyable, Equatable {
        let connection: TCPConnection
        let stack: Int32
    }

    private let device: L
    private let host: IPv4Address
    private let port: UInt16
    private let stacks: [Stack]
    /// The same, without counting references.
    private let references: UnsafeMutablePointer<Unmanaged<Stack>>
    private let count: Int
    /// Of the stack at 0; the others' follow it.
    private let firstAddress: UInt32
    private let burst = FrameQueue(capacity: 256)
    /// Frames on their way to a stack, and from all stacks to the link; used when there are several.
    private let inward: [FrameQueue]
    private let outward = FrameQueue(capacity: 4096)
    /// When the timers are looked at next: they have ticks of a millisecond.
    private var nextTimers: Nanoseconds = 0
    /// The stack whose ready connections are taken.
    private var turn = 0
    private(set) var refusal = "no answer"
    private static var burstLimit: Int { 128 }

    /// - Parameter configuration: of the first address; `addresses` consecutive ones begin there.
    init(
        _ link: L, _ configuration: Stack.Configuration, addresses: Int, host: IPv4Address, port: UInt16,
        entropy: Entropy, now: Nanoseconds
    ) {
        var entropy = entropy
        device = link
        self.host = host
        self.port = port
        firstAddress = configuration.address.bits
        count = addresses
        stacks = (0..<addresses).map { number in
            var wanted = configuration
            wanted.address = IPv4Address(bits: configuration.address.bits + UInt32(number))
            return Stack(configuration: wanted, pool: link.pool, entropy: Entropy(seed: entropy.next()), now: now)
        }
        references = .allocate(capacity: addresses)
        for (number, stack) in stacks.enumerated() {
            (references + number).initialize(to: .passUnretained(stack))
        }
        inward = addresses == 1 ? [] : (0..<addresses).map { _ in FrameQueue(capacity: 256) }
    }

    deinit {
        references.deallocate()
        while let d = burst.pop() { device.pool.release(d.frame) }
        while let d = outward.pop() { device.pool.release(d.frame) }
        burst.deallocate()
        outward.deallocate()
        for queue in inward { queue.deallocate() }
    }

    var link: String { String(device.driver.prefix { $0 != " " }) }
    var mode: String { String(device.driver.drop { $0 != " " }.dropFirst()) }

    // MARK: connections

    func connect(client: Int, now: Nanoseconds) -> Connection? {
        let number = client % count
        guard let connection = stacks[number].connect(to: host, port: port, now: now) else {
            refusal = "no port is left at this address; more addresses (--addresses) give more connections"
            return nil
        }
        refusal = "it was refused, or nobody answered"
        stacks[number].setContext(connection, UnsafeMutableRawPointer(bitPattern: client + 1))
        return Connection(connection: connection, stack: Int32(number))
    }

    @inline(__always) private func with<R>(_ number: Int32, _ body: (Stack) -> R) -> R {
        references[Int(number)]._withUnsafeGuaranteedRef(body)
    }

    @inline(__always) func received(_ c: Connection) -> ByteView { with(c.stack) { $0.received(c.connection) } }
    @inline(__always) func consume(_ c: Connection, _ n: Int) { with(c.stack) { $0.consume(c.connection, n) } }
    @inline(__always) func outputSpan(_ c: Connection) -> OutputSpan { with(c.stack) { $0.outputSpan(c.connection) } }
    @inline(__always) func commit(_ c: Connection, _ cursor: UnsafeMutableRawPointer) {
        with(c.stack) { $0.commit(c.connection, cursor) }
    }

    func finish(_ c: Connection) { with(c.stack) { $0.free(c.connection) } }
    func free(_ c: Connection) { with(c.stack) { $0.free(c.connection) } }
    func abort(_ c: Connection) {
        with(c.stack) {
            $0.abort(c.connection)
            $0.free(c.connection)
        }
    }

    // MARK: turns

    func poll(now: Nanoseconds) -> Bool {
        let received = device.receive(into: burst, limit: Self.burstLimit)
        if received > 0 {
            if count == 1 {
                references[0]._withUnsafeGuaranteedRef { $0.input(burst, now: now) }
            } else {
                distribute(now)
            }
        }
        if now >= nextTimers { advanceTimers(now) }
        turn = 0
        return received > 0
    }

    private func advanceTimers(_ now: Nanoseconds) {
        var more = false
        for stack in stacks { more = stack.advanceTimers(now: now) || more }
        nextTimers = more ? now : now + .milliseconds(1)
    }

    /// By destination address: an IPv4 header's, or an ARP packet's target.
    private func distribute(_ now: Nanoseconds) {
        var touched = false
        while let d = burst.pop() {
            let frame = UnsafeRawPointer(device.pool.address(d.frame)) + Int(d.offset)
            let isARP = d.length >= 42 && frame.loadUnaligned(fromByteOffset: 12, as: UInt16.self) == UInt16(0x0608)
            guard d.length >= 34 else {
                device.pool.release(d.frame)
                continue
            }
            let bits = UInt32(bigEndian: frame.loadUnaligned(fromByteOffset: isARP ? 38 : 30, as: UInt32.self))
            let number = Int(bits &- firstAddress)
            guard number < count, inward[number].push(d) else {
                device.pool.release(d.frame)
                continue
            }
            touched = true
        }
        guard touched else { return }
        for number in 0..<count where !inward[number].isEmpty {
            references[number]._withUnsafeGuaranteedRef { $0.input(inward[number], now: now) }
        }
    }

    @inline(__always) func takeReady() -> BenchReady<Connection>? {
        while true {
            if let ready = references[turn]._withUnsafeGuaranteedRef({ $0.takeReady() }) {
                return BenchReady(
                    connection: Connection(connection: ready.connection, stack: Int32(truncatingIfNeeded: turn)),
                    client: Int(bitPattern: ready.context) &- 1, events: ready.events)
            }
            guard turn &+ 1 < count else { return nil }
            turn &+= 1
        }
    }

    func finishTurn(now: Nanoseconds) {
        if count == 1 {
            references[0]._withUnsafeGuaranteedRef {
                $0.output(now: now)
                if !$0.transmitQueue.isEmpty { _ = device.transmit(from: $0.transmitQueue) }
            }
        } else {
            for number in 0..<count {
                references[number]._withUnsafeGuaranteedRef {
                    $0.output(now: now)
                    _ = outward.take(from: $0.transmitQueue)
                }
            }
            if !outward.isEmpty { _ = device.transmit(from: outward) }
        }
        device.reclaim()
    }

    func wait(until deadline: Nanoseconds, now: Nanoseconds) {
        var descriptor = pollfd(fd: device.descriptor, events: Int16(POLLIN), revents: 0)
        _ = Glibc.poll(&descriptor, 1, Int32(clamping: max(0, deadline - now) / 1_000_000))
    }

    var nextDeadline: Nanoseconds? {
        let earliest = stacks.compactMap(\.nextDeadline).min()
        return earliest.map { max($0, nextTimers) }
    }

    var counters: TransportCounters {
        var counters = TransportCounters()
        counters.systemCalls = device.statistics.systemCalls
        for stack in stacks {
            counters.segmentsSent += stack.statistics.tcpSegmentsSent
            counters.segmentsReceived += stack.statistics.tcpSegmentsReceived
            counters.retransmissions += stack.statistics.tcpRetransmissions
            counters.bytesSent += stack.statistics.tcpBytesSent
            counters.bytesReceived += stack.statistics.tcpBytesReceived
        }
        return counters
    }
}
