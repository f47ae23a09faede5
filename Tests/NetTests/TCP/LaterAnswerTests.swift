import Runtime
import Testing

@testable import Net

/// Requests that are taken on the spot and answered later (LaterAnswer.swift), byte by byte.
@Suite struct LaterAnswerTests {
    /// A connection whose last request was answered on the spot: 7 and 11 are the next `seq` and `ack`.
    private func fixture() -> Conversation {
        let t = AnswerTests.fixture()
        let request = request(t, seq: 1, ack: 6, "first!")
        t.stack.answer(request, write(t.stack.replySpan(of: request)!, "reply"))
        t.turn()
        t.expect(.ack, seq: 6, ack: 7, Array("reply".utf8))
        #expect(t.connection.block.pointee.flags.contains(.answered))
        return t
    }

    private func request(_ t: Conversation, seq: Int, ack: Int, _ text: String) -> PredictedRequest {
        t.timestamp! += 1
        return t.request(t.segment([.ack, .psh], seq: seq, ack: ack, Array(text.utf8)))!
    }

    private func write(_ span: OutputSpan, _ text: String) -> UnsafeMutableRawPointer {
        Array(text.utf8).withUnsafeBytes { span.cursor.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        return span.cursor + text.utf8.count
    }

    private func answer(_ t: Conversation, _ text: String) {
        t.stack.answerKept(t.connection, write(t.stack.outputSpan(t.connection), text), now: t.now)
        #expect(t.stack.findViolation() == nil)
    }

    @Test func theReplyCarriesTheAck() {
        let t = fixture()
        var (seq, ack) = (7, 11)
        for _ in 0..<4 {
            let kept = request(t, seq: seq, ack: ack, "second")
            t.stack.keep(kept)
            #expect(t.stack.findViolation() == nil && t.stack.hasOutput == false)
            #expect(t.pool.freeCount == t.pool.count)
            t.turn()
            t.expectNothing()
            t.now += .milliseconds(5)
            answer(t, "reply")
            // Without `output`; as after any answer on the spot.
            #expect(t.stack.transmitQueue.count == 1)
            #expect(t.connection.block.pointee.flags.contains(.answered))
            (seq, ack) = (seq + 6, ack + 5)
            t.turn()
            let segment = t.expect(.ack, seq: ack - 5, ack: seq, Array("reply".utf8))
            #expect(segment?.timestamps?.echo == t.timestamp)
            t.expectNothing()
        }
        // Nothing is owed; what is not acknowledged leaves again.
        t.wait(.milliseconds(150))
        t.expectNothing()
        t.wait(.seconds(2))
        t.expect(.ack, seq: ack - 5, ack: seq, Array("reply".utf8))
    }

    /// A reply that takes long: the ACK goes before it (RFC 9293 3.8.6.3), and nothing is sent again.
    @Test func theAckDoesNotWaitLong() {
        let t = fixture()
        t.stack.keep(request(t, seq: 7, ack: 11, "second"))
        t.wait(.milliseconds(39))
        t.expectNothing()
        t.wait(.milliseconds(2))
        t.expect(.ack, seq: 11, ack: 13, [])
        t.wait(.seconds(5))
        t.expectNothing()
        answer(t, "reply")
        t.turn()
        t.expect(.ack, seq: 11, ack: 13, Array("reply".utf8))
    }

    @Test func theNextRequestComesBeforeTheReply() {
        let t = fixture()
        t.stack.keep(request(t, seq: 7, ack: 11, "second"))
        if let third = t.request(t.segment([.ack, .psh], seq: 13, ack: 11, Array("third".utf8))) {
            t.stack.queue(third)
        }
        #expect(t.stack.findViolation() == nil)
        #expect(t.events() == .readable && t.read() == Array("third".utf8))
        answer(t, "reply")
        t.turn()
        t.expect(.ack, seq: 11, ack: 18, Array("reply".utf8))
        t.expectNothing()
    }

    /// The peer's window has changed in between, and is too small for the reply.
    @Test func theWindowCloses() {
        let t = fixture()
        t.stack.keep(request(t, seq: 7, ack: 11, "second"))
        t.send(.ack, seq: 13, ack: 11, window: 2)
        answer(t, "reply")
        t.turn()
        t.expectNothing()
        t.send(.ack, seq: 13, ack: 11, window: 2_000)
        t.expect(.ack, seq: 11, ack: 13, Array("reply".utf8))
        #expect(t.stack.findViolation() == nil)
    }

    @Test func thePeerEndsBeforeTheReply() {
        let t = fixture()
        t.stack.keep(request(t, seq: 7, ack: 11, "second"))
        t.send([.ack, .fin], seq: 13, ack: 11)
        t.expect(.ack, seq: 11, ack: 14)
        #expect(t.events() == .endOfStream)
        answer(t, "reply")
        t.turn()
        t.expect(.ack, seq: 11, ack: 14, Array("reply".utf8))
    }

    @Test func theConnectionIsResetBeforeTheReply() {
        let t = fixture()
        t.stack.keep(request(t, seq: 7, ack: 11, "second"))
        t.send(.rst, seq: 13)
        #expect(t.events() == .closed)
        answer(t, "reply")
        t.turn()
        t.expectNothing()
        #expect(t.pool.freeCount == t.pool.count)
    }

    /// A request as long as a segment is acknowledged in its turn (RFC 5681 4.2).
    @Test func aFullSegmentIsAcknowledged() {
        let t = fixture()
        let text = String(repeating: "x", count: Int(t.connection.block.pointee.mss))
        t.stack.keep(request(t, seq: 7, ack: 11, text))
        t.turn()
        t.expect(.ack, seq: 11, ack: 7 + text.utf8.count, [])
    }
}
