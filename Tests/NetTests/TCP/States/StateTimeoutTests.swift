import Runtime
import Testing

@testable import Net

/// The timeouts of RFC 9293 3.10.8 in every state, with RFC 6298 (retransmission), 3.8.6.1 (closed windows) and 3.8.4
/// (keepalive).
@Suite struct StateTimeout {
    // MARK: retransmission

    @Test func synSent() {
        let s = Situation(.synSent)
        s.t.wait(.milliseconds(1_100))
        s.t.expect(.syn, seq: 0)
        s.expect(.nothing, .synSent)
    }

    @Test(arguments: Start.synReceived)
    func synReceived(start: Start) {
        let s = Situation(start)
        s.t.wait(.milliseconds(1_100))
        s.expect(.synAck, .synReceived)
    }

    @Test(arguments: Start.finUnacknowledged)
    func finIsSentAgain(start: Start) {
        let s = Situation(start)
        s.t.wait(.seconds(1))
        let fin = s.t.next()
        #expect(fin?.flags == [.fin, .ack])
        #expect(fin.map { Int($0.sequence &- s.t.localISS) } == 1)
        #expect(s.state == start.name)
    }

    @Test(arguments: [Start.established, .closeWait])
    func textIsSentAgain(start: Start) {
        let s = Situation(start)
        s.t.write("abc")
        s.t.expect(.ack, seq: 1, ack: s.next, Array("abc".utf8))
        s.t.wait(.seconds(2))
        s.t.expect(.ack, seq: 1, ack: s.next, Array("abc".utf8))
        #expect(s.state == start.name)
    }

    @Test(arguments: [Start.established, .finWait2, .closeWait])
    func nothingIsSentAgainWithNothingInFlight(start: Start) {
        let s = Situation(start)
        s.t.wait(.seconds(50))
        s.expect(.nothing, start.name)
    }

    // MARK: giving up (3.8.3)

    @Test(arguments: [Start.synSent, .synReceivedPassive, .synReceivedActive])
    func theHandshakeIsGivenUp(start: Start) {
        let s = Situation(start)
        s.t.wait(.seconds(900))
        while s.t.next() != nil {}
        s.expect(.nothing, .closed)
        s.expectEvents(start == .synReceivedPassive ? [] : .closed)
    }

    @Test(arguments: Start.finUnacknowledged)
    func aFinWithoutAnswerIsGivenUp(start: Start) {
        let s = Situation(start)
        s.t.wait(.seconds(3_600))
        while s.t.next() != nil {}
        s.expect(.nothing, .closed)
        s.expectEvents(.closed)
    }

    @Test(arguments: [Start.established, .closeWait])
    func textWithoutAnswerIsGivenUp(start: Start) {
        let s = Situation(start)
        s.t.write("abc")
        s.t.wait(.seconds(3_600))
        while s.t.next() != nil {}
        s.expect(.nothing, .closed)
        s.expectEvents(.closed)
    }

    // MARK: TIME-WAIT

    @Test func timeWaitEnds() {
        let s = Situation(.timeWait)
        s.t.wait(.seconds(59))
        s.expect(.nothing, .timeWait)
        s.t.wait(.seconds(2))
        s.expect(.nothing, .closed)
        s.t.stack.free(s.t.connection)
        #expect(s.t.stack.controlBlocks == 0)
    }

    // MARK: persist

    /// A closed window is probed as long as the peer answers.
    @Test(arguments: [Start.established, .closeWait])
    func closedWindowsAreProbedWithoutEnd(start: Start) {
        let s = Situation(start)
        s.t.send(.ack, seq: s.next, ack: s.una, window: 0)
        s.t.write("abc")
        s.expect(.nothing, start.name)
        var probes = 0
        for _ in 0..<400 {
            s.t.wait(.seconds(10))
            while s.t.next() != nil {
                probes += 1
                s.t.send(.ack, seq: s.next, ack: s.una, window: 0)
            }
        }
        #expect(probes > 50)
        #expect(s.state == start.name)
        s.t.send(.ack, seq: s.next, ack: s.una, window: 1_000)
        while let segment = s.t.next() { #expect(segment.text == Array("abc".utf8)) }
        #expect(s.state == start.name)
    }

    @Test(arguments: [Start.established, .closeWait])
    func aSilentPeerWithAClosedWindowIsGivenUp(start: Start) {
        let s = Situation(start)
        s.t.send(.ack, seq: s.next, ack: s.una, window: 0)
        s.t.write("abc")
        s.t.wait(.seconds(3_600))
        while s.t.next() != nil {}
        s.expect(.nothing, .closed)
        s.expectEvents(.closed)
    }

    // MARK: keepalive

    @Test(arguments: [Start.established, .finWait2, .closeWait])
    func idlePeersAreProbed(start: Start) {
        let s = Situation(start) { $0.keepalive = .seconds(5) }
        s.t.wait(.milliseconds(5_200))
        s.t.expect(.ack, seq: s.nxt - 1, ack: s.next, [])
        s.expect(.nothing, start.name)
        // An answer, and the clock begins anew.
        s.t.send(.ack, seq: s.next, ack: s.una)
        s.t.wait(.seconds(4))
        s.expect(.nothing, start.name)
    }

    @Test(arguments: [Start.established, .finWait2, .closeWait])
    func silentPeersAreGivenUp(start: Start) {
        let s = Situation(start) { $0.keepalive = .seconds(5) }
        s.t.wait(.seconds(300))
        while s.t.next() != nil {}
        s.expect(.nothing, .closed)
        s.expectEvents(.closed)
    }

    /// Neither before the connection nor in TIME-WAIT.
    @Test(arguments: [Start.synReceivedPassive, .timeWait])
    func whoIsNotProbed(start: Start) {
        let s = Situation(start) { $0.keepalive = .milliseconds(100) }
        s.t.wait(.milliseconds(900))
        s.expect(.nothing, start.name)
    }
}
