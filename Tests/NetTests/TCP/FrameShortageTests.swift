import Runtime
import Testing

@testable import Net

/// Whoever reads slowly, or not at all, holds a bounded number of frames; the link gets frames when all others wait.
@Suite struct FrameShortage {
    /// A connection of the conversation's, to go on with later.
    private struct Peer {
        let port: UInt16
        let localISS: UInt32
        let connection: TCPConnection
    }

    private func open(_ t: Conversation, options: [UInt8] = Conversation.mss(1460)) -> Peer {
        t.remotePort += 1
        // What others have to tell is not waited for.
        while let c = t.stack.nextEvent() { _ = t.stack.takeEvents(c) }
        t.establish(options: options)
        return Peer(port: t.remotePort, localISS: t.localISS, connection: t.connection)
    }

    private func resume(_ t: Conversation, _ peer: Peer) {
        t.remotePort = peer.port
        t.localISS = peer.localISS
        t.connection = peer.connection
    }

    /// Peers that never acknowledge hold a frame each, and a sixteenth of the pool stays for the link and for ACKs: new
    /// connections open, and once somebody acknowledges, all get what is theirs.
    @Test func silentPeersLeaveTheReserve() {
        let t = Conversation(frames: 256)
        var peers: [Peer] = []
        var texts = 0
        for _ in 0..<400 {
            peers.append(open(t))
            t.write(ramp(100))
            #expect(t.pool.freeCount >= 256 / 16)
            while let segment = t.next() { texts += segment.text.isEmpty ? 0 : 1 }
        }
        #expect(texts == 240)
        #expect(t.stack.statistics.frameShortages > 0)
        var acknowledged: Set<UInt16> = []
        // The first 240 acknowledge, the others get their text and acknowledge it.
        for peer in peers {
            resume(t, peer)
            t.send(.ack, seq: 1, ack: 101)
            acknowledged.insert(peer.port)
            while let segment = t.next() {
                #expect(segment.text == ramp(100))
                texts += 1
            }
        }
        #expect(texts == 400)
        #expect(t.pool.freeCount == t.pool.count)
    }

    /// Text that nobody reads: frames while there are many, then memory from the heap.
    @Test func unreadTextLeavesFramesFree() {
        let t = Conversation(frames: 512) { $0.receiveWindow = 512 << 10 }
        var peers: [Peer] = []
        for index in 0..<24 {
            peers.append(open(t, options: Conversation.mss(1460) + [4, 2, 3, 3, 7]))
            for step in 0..<100 {
                t.input(t.segment(.ack, seq: 1 + 1_400 * step, ack: 1, ramp(1_400, from: 1_400 * step)), silent: true)
                // The SYN's window is 64 KiB.
                if step % 40 == 0 { t.turn() }
            }
            // Behind a gap as much.
            for step in 102..<150 {
                t.input(t.segment(.ack, seq: 1 + 1_400 * step, ack: 1, ramp(1_400)), silent: true)
            }
            t.turn()
            while t.next() != nil {}
            #expect(t.pool.freeCount >= 512 / 8 - 1, "connection \(index)")
        }
        // The first one has not got them all.
        #expect(Int(peers[0].connection.block.pointee.rcvFrames) <= 512 / 2)
        #expect(peers[23].connection.block.pointee.rcvBytes == 140_000)
        for peer in peers {
            resume(t, peer)
            let text = t.read()
            let whole = text == ramp(140_000)
            let first = zip(text, ramp(140_000)).enumerated().first { $0.element.0 != $0.element.1 }?.offset
            #expect(whole, "port \(peer.port): \(text.count) bytes, wrong at \(first ?? -1)")
            t.send([.rst, .ack], seq: 140_001, ack: 1)
            while t.next() != nil {}
        }
        #expect(t.pool.freeCount == t.pool.count)
    }

    /// A peer that reads nothing while it asks for much: its replies wait on the heap, and another's come as always.
    @Test func oneSlowReaderDoesNotDelayAnother() {
        let t = Conversation(frames: 512)
        let slow = open(t)
        t.write(ramp(2_000_000))
        while t.next() != nil {}
        #expect(t.pool.freeCount > 512 / 2)
        let other = open(t)
        t.write("hello")
        t.expect(.ack, seq: 1, ack: 1, Array("hello".utf8))
        t.send(.ack, seq: 1, ack: 6)
        for peer in [slow, other] {
            resume(t, peer)
            t.send([.rst, .ack], seq: 1, ack: 1)
        }
        #expect(t.pool.freeCount == t.pool.count)
    }

    /// Two stacks: fifty clients that never read what they ask for, one that does, over a wire that loses frames, with pools
    /// far too small for all. The one is served, and the others' text is theirs when they read at last.
    @Test(arguments: 0..<3) func manySlowReaders(_ seed: UInt64) {
        let pair = Pair(seed: seed, frames: 512) {
            $0.receiveWindow = 64 << 10
            $0.timestamps = seed % 2 == 0
        }
        pair.wire.faults.delay = .milliseconds(1)
        pair.wire.faults.loss = 0.01 * Double(seed)
        pair.b.stack.listen(port: 7)
        let server = EchoServer()
        let text = ramp(20_000)
        var readers: [UInt: SlowReader] = [:]
        func connect(_ waits: Bool) -> SlowReader {
            let c = pair.a.stack.connect(to: IPv4Address(10, 0, 0, 2), port: 7, now: pair.now)!
            let reader = SlowReader(c, text, waits: waits)
            readers[UInt(bitPattern: c.block)] = reader
            return reader
        }
        for _ in 0..<50 { _ = connect(true) }
        let serve = { (stack: Stack) in
            while let c = stack.nextEvent() {
                readers[UInt(bitPattern: c.block)]!.handle(stack, stack.takeEvents(c))
            }
            for reader in readers.values { reader.work(stack) }
        }
        _ = pair.run(
            for: .seconds(5), maxStep: .milliseconds(1), serveA: serve, serveB: { server.serve($0) }, until: { false })
        #expect(pair.b.pool.freeCount >= 512 / 32 && pair.a.pool.freeCount >= 512 / 32)
        let quick = connect(false)
        let start = pair.now
        let served = pair.run(
            for: .seconds(60), maxStep: .milliseconds(1), serveA: serve, serveB: { server.serve($0) },
            until: { quick.isDone })
        #expect(served && pair.now - start < .seconds(20), "seed \(seed): \(quick.received.count)")
        for reader in readers.values { reader.waits = false }
        let done = pair.run(
            for: .seconds(300), maxTurns: 100_000, maxStep: .milliseconds(1), serveA: serve,
            serveB: { server.serve($0) }, until: { readers.values.allSatisfy { $0.isDone && $0.isClosed } })
        #expect(done)
        #expect(readers.values.allSatisfy { $0.received.count == text.count && $0.isRight })
        _ = pair.run(for: .seconds(100), serveA: serve, serveB: { server.serve($0) }, until: { false })
        pair.expectClean()
    }
}

/// Sends a text to an echo server, and reads the answer when it no longer waits.
private final class SlowReader {
    private let connection: TCPConnection
    private let text: [UInt8]
    private var written = 0
    var waits: Bool
    private(set) var received: [UInt8] = []
    private(set) var isClosed = false
    private var isOpen = false
    private var ended = false

    init(_ connection: TCPConnection, _ text: [UInt8], waits: Bool) {
        self.connection = connection
        self.text = text
        self.waits = waits
    }

    var isDone: Bool { received.count == text.count }
    var isRight: Bool { received == text }

    func handle(_ stack: Stack, _ events: StreamEvents) {
        if events.contains(.opened) { isOpen = true }
        if events.contains(.closed) {
            read(stack)
            stack.free(connection)
            isClosed = true
        }
    }

    func work(_ stack: Stack) {
        guard isOpen, !isClosed else { return }
        while written < text.count, stack.backlog(connection) < 4_000 {
            let span = stack.outputSpan(connection)
            let n = min(span.room, text.count - written, 1_000)
            text.withUnsafeBytes { span.cursor.copyMemory(from: $0.baseAddress! + written, byteCount: n) }
            stack.commit(connection, span.cursor + n)
            written += n
        }
        if !waits { read(stack) }
        if isDone, !ended {
            ended = true
            stack.shutdown(connection)
        }
    }

    private func read(_ stack: Stack) {
        while true {
            let piece = stack.received(connection)
            if piece.count == 0 { return }
            received += piece.array
            stack.consume(connection, piece.count)
        }
    }
}
