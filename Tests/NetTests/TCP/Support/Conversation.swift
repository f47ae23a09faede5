import Runtime
import Testing

@testable import Net

/// A packet conversation with one stack, in virtual time: the test plays the remote host, byte by byte. Sequence numbers
/// are relative: `seq` to the remote's initial sequence number, `ack` to the stack's.
final class Conversation {
    static let localMAC = MACAddress(bits: 0x02_00_00_00_00_01)
    static let remoteMAC = MACAddress(bits: 0x02_00_00_00_00_02)
    static let localAddress = IPv4Address(10, 0, 0, 1)
    static let remoteAddress = IPv4Address(10, 0, 0, 2)

    let pool: FramePool
    let stack: Stack
    private let burst = FrameQueue(capacity: 256)
    var now: Nanoseconds = .seconds(10)
    var remotePort: UInt16 = 40_000
    var localPort: UInt16 = 6_379
    /// The remote's initial sequence number; the stack's is learnt from its SYN.
    var remoteISS: UInt32 = 0x1000
    var localISS: UInt32 = 0
    /// Timestamps are put on every segment when set.
    var timestamp: UInt32?
    var timestampEcho: UInt32 = 0
    /// Of the remote's datagrams: the low two bits are ECN's.
    var typeOfService: UInt8 = 0
    /// The remote answers for its address; off where the test plays that part.
    var answersARP = true
    /// The test has no frames of its own from the stack's pool.
    var ownsAllFrames = true
    /// The accepted (or opened) connection.
    var connection: TCPConnection!
    /// Frames that left and were not looked at.
    private var sent: [[UInt8]] = []

    init(
        frames: Int = 512, seed: UInt64 = 1, resolved: Bool = true,
        _ change: (inout Stack.Configuration) -> Void = { _ in }
    ) {
        var configuration = Stack.Configuration(
            hardwareAddress: Self.localMAC, address: Self.localAddress, prefixLength: 24)
        configuration.timestamps = false
        change(&configuration)
        pool = FramePool(count: frames)
        stack = Stack(configuration: configuration, pool: pool, entropy: Entropy(seed: seed), now: now)
        stack.listen(port: localPort)
        if resolved {
            input(arp(.request, sender: Self.remoteAddress, Self.remoteMAC, target: Self.localAddress))
            _ = frame()
        }
    }

    deinit {
        burst.deallocate()
        // The stack gives its frames back when it goes, after this; the pool stays mapped until the process ends.
    }

    // MARK: time

    /// Lets time pass, timers fire at their instants and output leave, as the poll loop would.
    func wait(_ span: Nanoseconds) {
        let end = now + span
        while let deadline = stack.nextDeadline, deadline <= end {
            now = max(now, deadline)
            turn()
        }
        now = end
        turn()
    }

    /// One turn of the poll loop without input.
    func turn() {
        check()
        stack.advanceTimers(now: now)
        check()
        stack.output(now: now)
        collect()
        check()
    }

    /// What must hold of the stack at any time (Invariants.swift).
    private func check() {
        if let wrong = stack.findViolation(ownsAll: ownsAllFrames) { Issue.record("\(wrong)") }
    }

    private func collect() {
        takeFrames()
        guard answersARP else { return }
        let requests = sent.filter { $0[12] == 8 && $0[13] == 6 && $0[21] == 1 }
        sent.removeAll { $0[12] == 8 && $0[13] == 6 && $0[21] == 1 }
        if !requests.isEmpty {
            input(
                arp(
                    .reply, sender: Self.remoteAddress, Self.remoteMAC, target: Self.localAddress,
                    to: Self.localMAC))
        }
    }

    private func takeFrames() {
        while let d = stack.transmitQueue.pop() {
            let bytes = UnsafeRawBufferPointer(start: pool.address(d.frame) + Int(d.offset), count: Int(d.length))
            sent.append([UInt8](bytes))
            pool.release(d.frame)
        }
    }

    // MARK: frames

    /// Gives raw frames to the stack as one burst; `output` follows unless `silent`.
    func input(_ frames: [UInt8]..., silent: Bool = false) {
        push(frames)
        stack.input(burst, now: now)
        if !silent {
            stack.output(now: now)
            collect()
        }
    }

    /// The same for a frame that came round the shards; this one is the last.
    func input(stray frame: [UInt8]) {
        push([frame])
        stack.inputStray(burst, final: true, now: now)
        stack.output(now: now)
        collect()
    }

    /// Gives frames to the stack as one burst, for a user that serves requests on the spot: the first of them, if there is
    /// one. No output follows.
    func request(_ frames: [UInt8]...) -> PredictedRequest? {
        push(frames)
        stack.beginBurst(now: now)
        return stack.nextRequest(of: burst)
    }

    private func push(_ frames: [[UInt8]]) {
        for bytes in frames {
            guard let frame = pool.allocateReserved() else { continue }
            bytes.withUnsafeBytes {
                if let base = $0.baseAddress { (pool.address(frame) + 64).copyMemory(from: base, byteCount: $0.count) }
            }
            _ = burst.push(FrameDescriptor(frame: frame, offset: 64, length: bytes.count))
        }
    }

    /// The next frame that left, or nil.
    func frame() -> [UInt8]? { sent.isEmpty ? nil : sent.removeFirst() }

    func arp(
        _ operation: ARPPacket.Operation, sender: IPv4Address, _ senderMAC: MACAddress, target: IPv4Address,
        to destination: MACAddress = .broadcast
    ) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 64)
        bytes.withUnsafeMutableBytes {
            let p = $0.baseAddress!
            Ethernet.write(
                p, destinationRaw: Ethernet.raw(destination), sourceRaw: Ethernet.raw(senderMAC), type: EtherType.arp)
            ARPPacket(
                operation, senderHardware: senderMAC, senderAddress: sender, targetHardware: Self.localMAC,
                targetAddress: target
            ).write(p + 14)
        }
        return Array(bytes[..<60])
    }

    /// A TCP segment from the remote, as a frame.
    func segment(
        _ flags: TCPFlags, seq: Int, ack: Int = 0, _ text: [UInt8] = [], window: Int = 65_535, options: [UInt8] = []
    ) -> [UInt8] {
        var options = options
        if let timestamp {
            options += [1, 1, 8, 10]
            for value in [timestamp, timestampEcho] { options += (0..<4).map { UInt8(value >> (24 - 8 * $0) & 255) } }
        }
        while options.count % 4 != 0 { options.append(0) }
        let header = 20 + options.count
        let total = 14 + 20 + header + text.count
        var bytes = [UInt8](repeating: 0, count: total + 8)
        bytes.withUnsafeMutableBytes {
            let p = $0.baseAddress!
            Ethernet.write(
                p, destinationRaw: Ethernet.raw(Self.localMAC), sourceRaw: Ethernet.raw(Self.remoteMAC),
                type: EtherType.ipv4)
            let source = Self.remoteAddress.bits.bigEndian
            let destination = Self.localAddress.bits.bigEndian
            IPv4Header.write(
                p + 14, protocol: IPProtocol.tcp, sourceRaw: source, destinationRaw: destination,
                payload: header + text.count, typeOfService: typeOfService)
            let tcp = p + 34
            tcp.putBig16(remotePort, 0)
            tcp.putBig16(localPort, 2)
            tcp.putBig32(remoteISS &+ UInt32(truncatingIfNeeded: seq), 4)
            tcp.putBig32(flags.contains(.ack) ? localISS &+ UInt32(truncatingIfNeeded: ack) : 0, 8)
            tcp.put8(UInt8(header / 4) << 4, 12)
            tcp.put8(flags.rawValue, 13)
            tcp.putBig16(UInt16(window), 14)
            for (index, byte) in (options + text).enumerated() { tcp.put8(byte, 20 + index) }
            let pseudo = InternetChecksum.pseudoHeader(
                source, destination, protocol: IPProtocol.tcp, length: header + text.count)
            tcp.putRaw16(InternetChecksum.finish(InternetChecksum.sum(tcp, header + text.count, pseudo)), 16)
        }
        return Array(bytes[..<total])
    }

    // MARK: the remote speaks

    func send(
        _ flags: TCPFlags, seq: Int, ack: Int = 0, _ text: [UInt8] = [], window: Int = 65_535, options: [UInt8] = []
    ) {
        input(segment(flags, seq: seq, ack: ack, text, window: window, options: options))
    }

    func send(_ flags: TCPFlags, seq: Int, ack: Int, _ text: String, window: Int = 65_535) {
        send(flags, seq: seq, ack: ack, Array(text.utf8), window: window)
    }

    // MARK: the stack answers

    /// The next TCP segment that left, or nil.
    func next() -> SentSegment? { frame().flatMap { SentSegment($0) } }

    /// The next frame must be this segment.
    @discardableResult
    func expect(
        _ flags: TCPFlags, seq: Int, ack: Int? = nil, _ text: [UInt8]? = nil, window: Int? = nil,
        _ location: SourceLocation = #_sourceLocation
    ) -> SentSegment? {
        guard let segment = next() else {
            Issue.record("nothing was sent", sourceLocation: location)
            return nil
        }
        #expect(segment.checksumsValid, sourceLocation: location)
        #expect(segment.flags.subtracting(.psh) == flags, sourceLocation: location)
        #expect(Int(Int32(bitPattern: segment.sequence &- localISS)) == seq, "seq", sourceLocation: location)
        if let ack {
            #expect(
                Int(Int32(bitPattern: segment.acknowledgement &- remoteISS)) == ack, "ack", sourceLocation: location)
        }
        if let text { #expect(segment.text == text, sourceLocation: location) }
        if let window { #expect(Int(segment.window) == window, "window", sourceLocation: location) }
        return segment
    }

    func expectNothing(_ location: SourceLocation = #_sourceLocation) {
        if let segment = next() { Issue.record("unexpected: \(segment)", sourceLocation: location) }
    }

    // MARK: fixtures

    static func mss(_ size: Int) -> [UInt8] { [2, 4, UInt8(size >> 8), UInt8(size & 255)] }

    /// The remote opens; the stack's connection is accepted. Afterwards seq 1 and ack 1 are next.
    @discardableResult
    func establish(options: [UInt8] = Conversation.mss(1460), window: Int = 65_535) -> TCPConnection {
        send(.syn, seq: 0, options: options, window: window)
        guard let answer = next() else { fatalError("no SYN,ACK") }
        localISS = answer.sequence
        if timestamp != nil { timestampEcho = answer.timestamps?.value ?? 0 }
        send(.ack, seq: 1, ack: 1, window: window)
        connection = stack.nextEvent()
        precondition(connection != nil, "not accepted")
        _ = stack.takeEvents(connection)
        return connection
    }

    func send(_ flags: TCPFlags, seq: Int, options: [UInt8], window: Int) {
        send(flags, seq: seq, ack: 0, [], window: window, options: options)
    }

    /// The stack opens; the conversation learns its port and answers.
    func establishActively(options: [UInt8] = Conversation.mss(1460), window: Int = 65_535) {
        connect()
        send([.syn, .ack], seq: 0, ack: 1, [], window: window, options: options)
        expect(.ack, seq: 1, ack: 1)
        _ = stack.nextEvent()
        _ = stack.takeEvents(connection)
    }

    /// The stack's SYN left; its port and initial sequence number are known afterwards.
    @discardableResult
    func connect() -> SentSegment {
        connection = stack.connect(to: Self.remoteAddress, port: 7_777, now: now)
        turn()
        guard let syn = next() else { fatalError("no SYN") }
        remotePort = 7_777
        localPort = syn.sourcePort
        localISS = syn.sequence
        return syn
    }

    // MARK: the user

    func write(_ bytes: [UInt8], flush: Bool = true) {
        var done = 0
        while done < bytes.count {
            let span = stack.outputSpan(connection)
            let n = min(span.room, bytes.count - done)
            bytes.withUnsafeBytes { span.cursor.copyMemory(from: $0.baseAddress! + done, byteCount: n) }
            stack.commit(connection, span.cursor + n)
            done += n
        }
        if flush { turn() }
    }

    func write(_ text: String) { write(Array(text.utf8)) }

    /// Everything unread.
    func read() -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let piece = stack.received(connection)
            if piece.count == 0 { return bytes }
            bytes += piece.array
            stack.consume(connection, piece.count)
        }
    }

    func events() -> StreamEvents {
        guard let c = stack.nextEvent() else { return [] }
        precondition(c == connection)
        return stack.takeEvents(c)
    }
}

func ramp(_ count: Int, from start: Int = 0) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: ($0 + start) &* 7 >> 1) }
}
