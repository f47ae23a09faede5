import Runtime
import Testing

@testable import Net

/// Text in every state: RFC 9293 3.10.7.4, first (acceptability, trimming) and seventh.
@Suite struct StateText {
    private let abc = Array("abc".utf8)

    // MARK: in order

    @Test(arguments: [TCPFlags.ack, [.ack, .psh], []])
    func synSent(flags: TCPFlags) {
        let s = Situation(.synSent)
        s.t.send(flags, seq: 0, ack: 1, abc)
        s.expect(.nothing, .synSent)
        s.expectEvents([])
    }

    @Test(arguments: Start.synReceived)
    func synReceivedInOrder(start: Start) {
        let s = Situation(start)
        s.t.send(.ack, seq: 1, ack: 1, abc)
        #expect(s.state == .established)
        s.t.connection = s.t.stack.nextEvent()
        #expect(s.t.stack.takeEvents(s.t.connection) == [.opened, .readable])
        #expect(s.t.read() == abc)
    }

    /// Delivered; the ACK may wait (3.8.6.3), not longer than half a second.
    @Test(arguments: Start.receiving)
    func inOrder(start: Start) {
        let s = Situation(start)
        s.t.send(.ack, seq: s.next, ack: s.una, abc)
        s.expect(.nothing, start.name)
        s.expectEvents(.readable)
        #expect(s.t.read() == abc)
        s.t.wait(.milliseconds(150))
        s.expect(.ack, start.name, received: s.next + 3)
    }

    @Test(arguments: Start.receiving)
    func twoFullSegmentsAreAcknowledgedAtOnce(start: Start) {
        let s = Situation(start)
        s.t.send(.ack, seq: s.next, ack: s.una, ramp(1460))
        // The first may be acknowledged by itself, the second must be.
        while s.t.next() != nil {}
        s.t.send(.ack, seq: s.next + 1460, ack: s.una, ramp(1460, from: 1460))
        s.expect(.ack, start.name, received: s.next + 2920)
        s.expectEvents(.readable)
        #expect(s.t.read() == ramp(2920))
    }

    /// Seventh: "this should not occur, since a FIN has been received": the text is ignored, and the peer hears where we
    /// are.
    @Test(arguments: Start.ended)
    func behindTheFin(start: Start) {
        let s = Situation(start)
        s.t.send(.ack, seq: s.next, ack: s.una, abc)
        s.expect(.ack, start.name)
        s.expectEvents([])
    }

    // MARK: old

    @Test(arguments: Start.synReceived + Start.synchronized, [3, 1000, 70_000])
    func old(start: Start, before: Int) {
        let s = Situation(start)
        s.t.send(.ack, seq: s.next - before, ack: s.nxt, abc)
        s.expect(.ack, start.name)
        s.expectEvents([])
    }

    @Test(arguments: Start.receiving)
    func oldAndNew(start: Start) {
        let s = Situation(start)
        s.t.send(.ack, seq: s.next, ack: s.una, abc)
        s.t.send(.ack, seq: s.next + 1, ack: s.una, Array("bcdef".utf8))
        s.expectEvents(.readable)
        #expect(s.t.read() == Array("abcdef".utf8))
        #expect(s.state == start.name)
    }

    // MARK: beyond the window

    @Test(arguments: Start.synReceived + Start.synchronized, [0, 1, 1 << 20])
    func beyondTheWindow(start: Start, further: Int) {
        let s = Situation(start)
        let window = 65_535
        s.t.send(.ack, seq: s.next + window + further, ack: s.nxt, abc)
        s.expect(.ack, start.name)
        s.expectEvents([])
    }

    /// What lies inside is taken, the rest is the peer's to send again.
    @Test func acrossTheRightEdge() {
        let s = Situation(.established) { $0.receiveWindow = 2_048 }
        s.t.send([.ack, .fin], seq: s.next, ack: s.una, ramp(1460))
        #expect(s.state == .closeWait)
        let u = Situation(.established) { $0.receiveWindow = 2_048 }
        let window = u.window
        u.t.send(.ack, seq: u.next, ack: u.una, ramp(1460))
        u.t.send([.ack, .fin], seq: u.next + 1460, ack: u.una, ramp(1460, from: 1460))
        #expect(u.state == .established, "the FIN lies outside")
        #expect(u.t.read() == ramp(window))
    }

    // MARK: behind a gap

    @Test(arguments: Start.receiving)
    func behindAGap(start: Start) {
        let s = Situation(start)
        s.t.send(.ack, seq: s.next + 3, ack: s.una, Array("def".utf8))
        s.expect(.ack, start.name)
        s.expectEvents([])
        s.t.send(.ack, seq: s.next, ack: s.una, abc)
        // RFC 5681 4.2: at once, because it fills a gap.
        s.expect(.ack, start.name, received: s.next + 6)
        s.expectEvents(.readable)
        #expect(s.t.read() == Array("abcdef".utf8))
    }

    @Test(arguments: Start.synReceived)
    func synReceivedBehindAGap(start: Start) {
        let s = Situation(start)
        s.t.send(.ack, seq: 4, ack: 1, Array("def".utf8))
        s.expect(.ack, .established)
        s.t.send(.ack, seq: 1, ack: 1, abc)
        s.t.connection = s.t.stack.nextEvent()
        #expect(s.t.read() == Array("abcdef".utf8))
    }

    // MARK: URG (sixth; RFC 9293 3.8.5, RFC 6093): accepted, and the text is text

    @Test(arguments: Start.receiving)
    func urgent(start: Start) {
        let s = Situation(start)
        s.t.send([.ack, .urg], seq: s.next, ack: s.una, abc)
        s.expectEvents(.readable)
        #expect(s.t.read() == abc)
        #expect(s.state == start.name)
    }

    @Test(arguments: Start.ended)
    func urgentBehindTheFin(start: Start) {
        let s = Situation(start)
        s.t.send([.ack, .urg], seq: s.next, ack: s.una, abc)
        s.expect(.ack, start.name)
    }
}
