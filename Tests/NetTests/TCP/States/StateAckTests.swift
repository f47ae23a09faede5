import Runtime
import Testing

@testable import Net

/// The ACK field in every state, on segments without text: RFC 9293 3.10.7.3 (first) and 3.10.7.4 (fifth), with RFC 5961 5.
@Suite struct StateAck {
    // MARK: not there

    @Test func synSentWithoutSynOrAck() {
        let s = Situation(.synSent)
        s.t.send([], seq: 0, [1, 2, 3])
        s.expect(.nothing, .synSent)
    }

    @Test(arguments: Start.synReceived + Start.synchronized)
    func segmentsWithoutAckAreDropped(start: Start) {
        let s = Situation(start)
        s.t.send([], seq: s.next, [1, 2, 3])
        s.t.send(.fin, seq: s.next)
        s.t.send(.psh, seq: s.next, [1])
        s.expect(.nothing, start.name)
        s.expectEvents([])
    }

    // MARK: acceptable

    @Test func synSentWithTheAckAlone() {
        // Acceptable, but neither SYN nor RST: dropped (fifth).
        let s = Situation(.synSent)
        s.t.send(.ack, seq: 0, ack: 1)
        s.expect(.nothing, .synSent)
    }

    @Test(arguments: Start.synReceived)
    func synReceived(start: Start) {
        let s = Situation(start)
        s.t.send(.ack, seq: 1, ack: 1)
        s.expect(.nothing, .established)
        s.t.connection = s.t.stack.nextEvent()
        #expect(s.t.stack.takeEvents(s.t.connection) == .opened)
    }

    @Test(
        arguments: zip(
            [Start.finWait1, .closing, .lastAck], [TCPState.finWait2, .timeWait, .closed]))
    func ofOurFin(start: Start, after: TCPState) {
        let s = Situation(start)
        s.t.send(.ack, seq: s.next, ack: s.nxt)
        s.expect(.nothing, after)
        s.expectEvents(start == .finWait1 ? [] : .closed)
    }

    @Test(arguments: [Start.established, .closeWait])
    func ofText(start: Start) {
        let s = Situation(start)
        s.t.write("abcd")
        s.t.expect(.ack, seq: 1, ack: s.next, Array("abcd".utf8))
        s.t.send(.ack, seq: s.next, ack: 5)
        #expect(s.t.stack.backlog(s.t.connection) == 0)
        s.expect(.nothing, start.name)
    }

    @Test(arguments: Start.synchronized)
    func again(start: Start) {
        let s = Situation(start)
        s.t.send(.ack, seq: s.next, ack: s.una)
        s.expect(.nothing, start.name)
        s.expectEvents([])
    }

    // MARK: too new

    @Test(arguments: [2, 1000, 1 << 30])
    func synSentTooNew(ack: Int) {
        let s = Situation(.synSent)
        s.t.send(.ack, seq: 0, ack: ack)
        s.expect(.reset(ack), .synSent)
    }

    @Test(arguments: Start.synReceived, [2, 1000, 1 << 30])
    func synReceivedTooNew(start: Start, ack: Int) {
        let s = Situation(start)
        s.t.send(.ack, seq: 1, ack: ack)
        s.expect(.reset(ack), .synReceived)
    }

    /// Acknowledges what was not sent: answered by an ACK, and what it carries is dropped.
    @Test(arguments: Start.synchronized, [1, 1000, 1 << 30])
    func tooNew(start: Start, beyond: Int) {
        let s = Situation(start)
        s.t.send(.ack, seq: s.next, ack: s.nxt + beyond, [1, 2, 3])
        s.expect(.ack, start.name)
        s.expectEvents([])
    }

    // MARK: too old

    @Test(arguments: [0, -1, -100_000])
    func synSentTooOld(ack: Int) {
        let s = Situation(.synSent)
        s.t.send(.ack, seq: 0, ack: ack)
        s.expect(.reset(ack), .synSent)
    }

    @Test(arguments: Start.synReceived, [0, -1, -100_000])
    func synReceivedTooOld(start: Start, ack: Int) {
        let s = Situation(start)
        s.t.send(.ack, seq: 1, ack: ack)
        s.expect(.reset(ack), .synReceived)
    }

    /// Not older than the peer's largest window: a delayed segment, whose text still counts.
    @Test(arguments: Start.receiving)
    func oldButPossible(start: Start) {
        let s = Situation(start)
        s.t.send(.ack, seq: s.next, ack: s.una - 1000, [1, 2, 3])
        #expect(s.t.read() == [1, 2, 3])
        #expect(s.state == start.name)
    }

    /// Older than that (RFC 5961 5.2): nobody's. Dropped, and the sender hears where we are.
    @Test(arguments: Start.receiving)
    func tooOld(start: Start) {
        let s = Situation(start)
        s.t.send(.ack, seq: s.next, ack: s.una - 200_000, [1, 2, 3])
        s.expect(.ack, start.name)
        s.expectEvents([])
    }
}
