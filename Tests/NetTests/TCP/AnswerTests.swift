import Runtime
import Testing

@testable import Net

/// Requests that are served on the spot (Answer.swift), byte by byte.
@Suite struct AnswerTests {
    /// A connection with timestamps, whose peer is about to acknowledge what was sent last: 6 is the next `ack`.
    static func fixture() -> Conversation {
        let t = Conversation { $0.timestamps = true }
        t.timestamp = 1_000
        t.establish()
        t.write("hello")
        t.expect(.ack, seq: 1, ack: 1, Array("hello".utf8))
        return t
    }

    /// Reads the request and writes the answer into the span that was lent.
    private func serve(_ t: Conversation, _ request: PredictedRequest, _ text: String, _ answer: String) {
        #expect(request.text.string == text)
        t.stack.answer(request, write(t, request, answer))
        #expect(t.stack.findViolation() == nil)
    }

    private func write(_ t: Conversation, _ request: PredictedRequest, _ answer: String) -> UnsafeMutableRawPointer {
        let span = t.stack.replySpan(of: request)!
        Array(answer.utf8).withUnsafeBytes { span.cursor.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        return span.cursor + answer.utf8.count
    }

    @Test func leavesAtOnceWithTheAck() {
        let t = Self.fixture()
        var (seq, ack) = (1, 6)
        for number in 0..<5 {
            t.timestamp! += 1
            let text = "request \(number)"
            guard let request = t.request(t.segment([.ack, .psh], seq: seq, ack: ack, Array(text.utf8))) else {
                return #expect(Bool(false), "not served on the spot")
            }
            serve(t, request, text, "reply \(number)")
            // Without `output`.
            #expect(t.stack.transmitQueue.count == 1)
            seq += text.utf8.count
            t.turn()
            let segment = t.expect(.ack, seq: ack, ack: seq, Array("reply \(number)".utf8))
            #expect(segment?.flags.contains(.psh) == true)
            #expect(segment?.timestamps?.echo == t.timestamp)
            t.expectNothing()
            ack += 7
        }
        // No ACK is owed, and nothing is ready.
        t.wait(.milliseconds(150))
        t.expectNothing()
        #expect(t.stack.nextEvent() == nil)
    }

    /// More of the peer's text is on the way.
    @Test func onlyWithPush() {
        let t = Self.fixture()
        #expect(t.request(t.segment(.ack, seq: 1, ack: 6, Array("req".utf8))) == nil)
        #expect(t.events() == .readable && t.read() == Array("req".utf8))
    }

    @Test func waitsForTheWindow() {
        let t = Self.fixture()
        let request = t.request(t.segment([.ack, .psh], seq: 1, ack: 6, Array("req".utf8), window: 4))!
        serve(t, request, "req", "too long")
        #expect(t.stack.transmitQueue.isEmpty)
        t.wait(.seconds(2))
        #expect(t.next() != nil)
    }

    @Test func theRestIsReadLater() {
        let t = Self.fixture()
        let request = t.request(t.segment([.ack, .psh], seq: 1, ack: 6, Array("request and more".utf8)))!
        let cursor = write(t, request, "reply")
        t.stack.queue(request, consumed: 7)
        t.stack.commit(request.connection, cursor)
        #expect(t.stack.findViolation() == nil)
        #expect(t.events() == .readable)
        #expect(t.read() == Array(" and more".utf8))
        t.turn()
        t.expect(.ack, seq: 6, ack: 17, Array("reply".utf8))
    }

    @Test func queuedAsAWhole() {
        let t = Self.fixture()
        let request = t.request(t.segment([.ack, .psh], seq: 1, ack: 6, Array("request".utf8)))!
        t.stack.queue(request)
        #expect(t.stack.findViolation() == nil)
        #expect(t.events() == .readable)
        #expect(t.read() == Array("request".utf8))
    }

    @Test func nothingToSay() {
        let t = Self.fixture()
        let request = t.request(t.segment([.ack, .psh], seq: 1, ack: 6, Array("request".utf8)))!
        serve(t, request, "request", "")
        #expect(t.stack.transmitQueue.isEmpty)
        t.wait(.milliseconds(250))
        t.expect(.ack, seq: 6, ack: 8, [])
    }

    @Test func lostAndSentAgain() {
        let t = Self.fixture()
        let request = t.request(t.segment([.ack, .psh], seq: 1, ack: 6, Array("request".utf8)))!
        serve(t, request, "request", "reply")
        t.turn()
        t.expect(.ack, seq: 6, ack: 8, Array("reply".utf8))
        t.wait(.seconds(3))
        t.expect(.ack, seq: 6, ack: 8, Array("reply".utf8))
    }

    /// The path that was narrow is tried for full segments again while a reply is in flight: what is known of the congestion
    /// window is about smaller ones.
    @Test func aWiderPathIsAnotherMatter() {
        let t = Self.fixture()
        t.write(ramp(1_448))
        let large = t.next()!
        t.input(ICMPErrors.error(3, 4, about: large, mtu: 1_000))
        while t.next() != nil {}
        let block = t.connection.block
        #expect(block.pointee.mss == 948)
        t.send(.ack, seq: 1, ack: 1_454)
        t.wait(.milliseconds(599_700))
        t.write("hello")
        t.wait(.milliseconds(1))
        let request = t.request(t.segment([.ack, .psh], seq: 1, ack: 1_459, Array("request".utf8)))!
        serve(t, request, "request", "reply")
        #expect(block.pointee.flags.contains(.answered))
        t.wait(.milliseconds(190))
        #expect(block.pointee.mss == 948 && block.pointee.flags.contains(.answered))
        let second = t.request(t.segment([.ack, .psh], seq: 8, ack: 1_464, Array("request".utf8)))!
        serve(t, second, "request", "reply")
        t.wait(.milliseconds(150))
        #expect(block.pointee.mss == 1_448)
        #expect(!block.pointee.flags.contains(.answered))
    }

    /// What is not the next request of a peer that has got everything is not served on the spot, and not lost either.
    @Test func notOnTheSpot() {
        let text = Array("request".utf8)
        // A reply is in flight.
        var t = Self.fixture()
        t.write("something")
        #expect(t.request(t.segment([.ack, .psh], seq: 1, ack: 6, text)) == nil)
        #expect(t.events() == .readable && t.read() == text)
        // Text is unread.
        t = Self.fixture()
        t.input(t.segment([.ack, .psh], seq: 1, ack: 6, text))
        #expect(t.request(t.segment([.ack, .psh], seq: 8, ack: 6, text)) == nil)
        #expect(t.read() == text + text)
        // A gap before it.
        t = Self.fixture()
        #expect(t.request(t.segment([.ack, .psh], seq: 8, ack: 6, text)) == nil)
        #expect(t.read().isEmpty)
        // FIN with it; a wrong checksum; the user has ended its direction.
        t = Self.fixture()
        #expect(t.request(t.segment([.ack, .psh, .fin], seq: 1, ack: 6, text)) == nil)
        #expect(t.read() == text)
        t = Self.fixture()
        var frame = t.segment([.ack, .psh], seq: 1, ack: 6, text)
        frame[frame.count - 1] ^= 1
        #expect(t.request(frame) == nil)
        #expect(t.read().isEmpty)
        t = Self.fixture()
        t.stack.shutdown(t.connection)
        #expect(t.request(t.segment([.ack, .psh], seq: 1, ack: 6, text)) == nil)
        #expect(t.read() == text)
    }
}
