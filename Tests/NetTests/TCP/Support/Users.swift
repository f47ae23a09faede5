import Runtime
import Testing

@testable import Net

/// Writes a message, reads until the peer's end, and closes.
final class StreamUser {
    private let toSend: [UInt8]
    private var written = 0
    private(set) var received: [UInt8] = []
    private(set) var isClosed = false
    private var ended = false
    private var paused = false
    /// Stops writing above this backlog until `.writable`.
    var backlogLimit = 64 << 10

    init(toSend: [UInt8]) { self.toSend = toSend }

    func serve(_ stack: Stack, _ mine: TCPConnection) {
        while let c = stack.nextEvent() {
            precondition(c == mine)
            handle(stack, c, stack.takeEvents(c))
        }
        if !isClosed { write(stack, mine) }
    }

    func handle(_ stack: Stack, _ c: TCPConnection, _ events: StreamEvents) {
        if events.contains(.writable) { paused = false }
        while true {
            let piece = stack.received(c)
            if piece.count == 0 { break }
            received += piece.array
            stack.consume(c, piece.count)
        }
        if events.contains(.closed) {
            stack.free(c)
            isClosed = true
        }
    }

    func write(_ stack: Stack, _ c: TCPConnection) {
        while written < toSend.count, !paused {
            let span = stack.outputSpan(c)
            let n = min(span.room, toSend.count - written)
            toSend.withUnsafeBytes { span.cursor.copyMemory(from: $0.baseAddress! + written, byteCount: n) }
            stack.commit(c, span.cursor + n)
            written += n
            if stack.backlog(c) > backlogLimit { paused = true }
        }
        if written == toSend.count, !ended {
            ended = true
            stack.shutdown(c)
        }
    }
}

/// Sends back what it reads; closes after its clients.
final class EchoServer {
    private(set) var open = 0
    private(set) var accepted = 0

    func serve(_ stack: Stack) {
        while let c = stack.nextEvent() {
            let events = stack.takeEvents(c)
            if events.contains(.opened) {
                open += 1
                accepted += 1
            }
            while true {
                let piece = stack.received(c)
                if piece.count == 0 { break }
                let span = stack.outputSpan(c)
                let n = min(span.room, piece.count)
                span.cursor.copyMemory(from: piece.base, byteCount: n)
                stack.commit(c, span.cursor + n)
                stack.consume(c, n)
            }
            if events.contains(.endOfStream) { stack.shutdown(c) }
            if events.contains(.closed) {
                stack.free(c)
                open -= 1
            }
        }
    }
}

extension Pair {
    /// After TIME-WAIT and ageing nothing may be left: no frame, no block, no timer.
    func expectClean(_ location: SourceLocation = #_sourceLocation) {
        wire.faults = .init()
        for _ in 0..<200 {
            guard let deadline = nextDeadline else { break }
            now = max(now + 20_000, deadline)
            wire.advance(now: now)
            a.turn(now) { _ in }
            b.turn(now) { _ in }
        }
        for host in [a, b] {
            #expect(host.stack.controlBlocks == 0, "control blocks", sourceLocation: location)
            #expect(host.stack.scheduledTimers == 0, "timers", sourceLocation: location)
            #expect(host.pool.freeCount == host.pool.count, "frames", sourceLocation: location)
        }
    }
}
