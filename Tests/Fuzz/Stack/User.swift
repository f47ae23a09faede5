import Runtime

@testable import Net

/// What the byte with this sequence number is, in each direction: streams can be checked without being kept.
@inline(__always) func textByte(_ sequence: UInt32, fromStack: Bool) -> UInt8 {
    let mixed = sequence &* 0x9E37_79B1
    return UInt8(truncatingIfNeeded: mixed >> 24) ^ (fromStack ? 0x55 : 0)
}

/// The user of one connection.
struct User {
    let connection: TCPConnection
    private var events: StreamEvents = []
    /// Where the next unread byte lies; known from the first read on.
    private var position: SequenceNumber?
    /// The right edge of the window as it was: it never moves left.
    private var edge: SequenceNumber?

    init(_ connection: TCPConnection) { self.connection = connection }

    private var block: Block { connection.block }

    mutating func note(_ new: StreamEvents) {
        if events.contains(.closed) { fail("event \(new.rawValue) after the end") }
        if events.contains(.opened), new.contains(.opened) { fail("opened twice") }
        if events.contains(.endOfStream), new.contains(.endOfStream) { fail("two ends of one stream") }
        events.formUnion(new.subtracting(.writable))
    }

    mutating func check(_ stack: Stack) {
        let b = block.pointee
        guard b.state.isSynchronized else { return }
        if let edge, b.rcvEdge < edge { fail("\(stack.describe(block)): the window shrank by \(edge - b.rcvEdge)") }
        edge = b.rcvEdge
    }

    /// Reads at most `limit` bytes; each must be the one of its place.
    mutating func read(_ stack: Stack, _ limit: Int) {
        var left = limit
        while left > 0 {
            let b = block.pointee
            let piece = stack.received(connection)
            if piece.count == 0 {
                if b.rcvBytes != 0 { fail("\(b.rcvBytes) bytes unread, and nothing to see") }
                return
            }
            let fin = b.flags.contains(.finSeen) && b.rcvNxt == b.rcvFin + 1 ? 1 : 0
            let here = b.rcvNxt - fin - Int(b.rcvBytes)
            if let position, position != here { fail("reading goes on \(here - position) bytes further") }
            let n = min(piece.count, left)
            for index in stride(from: 0, to: n, by: 11)
            where (piece.base + index).load(as: UInt8.self) != textByte((here + index).raw, fromStack: false) {
                fail("\(stack.describe(block)): a wrong byte, \(index) of \(n)")
            }
            stack.consume(connection, n)
            position = here + n
            left -= n
        }
    }

    /// A request on the spot; its length decides how it ends.
    mutating func serve(_ stack: Stack, _ request: PredictedRequest) {
        let text = request.text
        let here = block.pointee.rcvNxt - text.count
        if let position, position != here { fail("a request \(here - position) bytes further") }
        for index in stride(from: 0, to: text.count, by: 11)
        where text[index] != textByte((here + index).raw, fromStack: false) {
            fail("\(stack.describe(block)): a wrong byte, \(index) of \(text.count)")
        }
        guard text.count % 4 != 0, let span = stack.replySpan(of: request) else { return stack.queue(request) }
        let n = min(span.room, text.count &* 3 % 700)
        let start = block.pointee.sndEnd
        for index in 0..<n {
            span.cursor.storeBytes(
                of: textByte((start + index).raw, fromStack: true), toByteOffset: index, as: UInt8.self)
        }
        let consumed = text.count % 4 == 1 ? text.count / 2 : text.count
        position = here + consumed
        if text.count % 8 == 2 {
            stack.keep(request)
            return stack.answerKept(connection, span.cursor + n, now: stack.now)
        }
        if consumed == text.count { return stack.answer(request, span.cursor + n) }
        stack.queue(request, consumed: consumed)
        stack.commit(connection, span.cursor + n)
    }

    /// Writes about `count` bytes in spans.
    func write(_ stack: Stack, _ count: Int) {
        var left = count
        while left > 0 {
            let span = stack.outputSpan(connection)
            if span.room < 1 { fail("a span without room") }
            let b = block.pointee
            let start = b.sndEnd + b.sndChunks.count
            let n = min(span.room, left)
            for index in 0..<n {
                span.cursor.storeBytes(
                    of: textByte((start + index).raw, fromStack: true), toByteOffset: index, as: UInt8.self)
            }
            stack.commit(connection, span.cursor + n)
            left -= n
        }
    }

    /// A span is lent and nothing written.
    func writeNothing(_ stack: Stack) {
        let span = stack.outputSpan(connection)
        stack.commit(connection, span.cursor)
    }
}
