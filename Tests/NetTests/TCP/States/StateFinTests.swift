import Runtime
import Testing

@testable import Net

/// FIN in every state: RFC 9293 3.10.7.4, eighth. It is acknowledged at once wherever it counts.
@Suite struct StateFin {
    @Test(arguments: [TCPFlags.fin, [.fin, .ack]])
    func synSent(flags: TCPFlags) {
        let s = Situation(.synSent)
        s.t.send(flags, seq: 0, ack: 1)
        s.expect(.nothing, .synSent)
        s.expectEvents([])
    }

    @Test(arguments: Start.synReceived)
    func synReceived(start: Start) {
        let s = Situation(start)
        s.t.send([.ack, .fin], seq: 1, ack: 1)
        s.expect(.ack, .closeWait, received: 2)
        s.t.connection = s.t.stack.nextEvent()
        #expect(s.t.stack.takeEvents(s.t.connection) == [.opened, .endOfStream])
    }

    @Test func established() {
        let s = Situation(.established)
        s.t.send([.ack, .fin], seq: 1, ack: 1)
        s.expect(.ack, .closeWait, received: 2)
        s.expectEvents(.endOfStream)
    }

    /// Without the ACK of our own FIN: both close at once.
    @Test func finWait1() {
        let s = Situation(.finWait1)
        s.t.send([.ack, .fin], seq: 1, ack: 1)
        s.expect(.ack, .closing, received: 2)
        s.expectEvents(.endOfStream)
    }

    @Test func finWait1WithTheAckOfOurs() {
        let s = Situation(.finWait1)
        s.t.send([.ack, .fin], seq: 1, ack: 2)
        s.expect(.ack, .timeWait, received: 2)
        s.expectEvents([.endOfStream, .closed])
    }

    @Test func finWait2() {
        let s = Situation(.finWait2)
        s.t.send([.ack, .fin], seq: 1, ack: 2)
        s.expect(.ack, .timeWait, received: 2)
        s.expectEvents([.endOfStream, .closed])
    }

    /// The peer's FIN again: our ACK of it was lost. The state remains.
    @Test(arguments: Start.ended)
    func again(start: Start) {
        let s = Situation(start)
        s.t.send([.ack, .fin], seq: s.next - 1, ack: s.una)
        s.expect(.ack, start.name)
        s.expectEvents([])
    }

    /// A second FIN behind the first is no FIN of this stream.
    @Test(arguments: Start.ended)
    func behindTheFirst(start: Start) {
        let s = Situation(start)
        s.t.send([.ack, .fin], seq: s.next, ack: s.una)
        #expect(s.state == start.name)
        s.expectEvents([])
    }

    /// In TIME-WAIT the clock starts anew with it.
    @Test func timeWaitBeginsAnew() {
        let s = Situation(.timeWait)
        s.t.wait(.seconds(50))
        s.t.send([.ack, .fin], seq: s.next - 1, ack: s.una)
        s.expect(.ack, .timeWait)
        s.t.wait(.seconds(50))
        s.expect(.nothing, .timeWait)
        s.t.wait(.seconds(11))
        s.expect(.nothing, .closed)
    }

    /// With text, and the text first.
    @Test(arguments: zip(Start.receiving, [TCPState.closeWait, .closing, .timeWait]))
    func withText(start: Start, after: TCPState) {
        let s = Situation(start)
        s.t.send([.ack, .fin], seq: 1, ack: s.una, [7, 8])
        s.expect(.ack, after, received: 4)
        #expect(s.t.read() == [7, 8])
    }

    /// Before its time: it counts when the gap before it is filled.
    @Test(arguments: zip(Start.receiving, [TCPState.closeWait, .closing, .timeWait]))
    func behindAGap(start: Start, after: TCPState) {
        let s = Situation(start)
        s.t.send([.ack, .fin], seq: 3, ack: s.una)
        s.expect(.ack, start.name)
        s.expectEvents([])
        s.t.send(.ack, seq: 1, ack: s.una, [7, 8])
        s.expect(.ack, after, received: 4)
        #expect(s.t.read() == [7, 8])
    }

    @Test(arguments: Start.synReceived + Start.synchronized)
    func beyondTheWindow(start: Start) {
        let s = Situation(start)
        s.t.send([.ack, .fin], seq: s.next + 65_535, ack: s.nxt)
        s.expect(.ack, start.name)
        s.expectEvents([])
    }
}
