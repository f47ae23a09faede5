import Runtime
import Testing

@testable import Net

/// The user's calls in every state: RFC 9293 3.10.1 to 3.10.6. OPEN is `listen` and `connect`, SEND `outputSpan` and
/// `commit`, RECEIVE `received` and `consume`, CLOSE `shutdown` (and `free`, which does not wait), ABORT `abort`, STATUS
/// `info`. Before it is accepted a passive connection in SYN-RECEIVED has no user.
@Suite struct StateUser {
    private static let known = Start.allCases.filter { $0 != .synReceivedPassive }

    // MARK: OPEN (3.10.1)

    /// A second OPEN of a connection that exists cannot be said: `connect` takes a free port of its own each time.
    @Test func openTakesAnotherPort() {
        let t = Conversation()
        let first = t.connect().sourcePort
        let second = t.connect().sourcePort
        #expect(first != second)
        #expect(t.stack.controlBlocks == 2)
    }

    @Test func openAtTheLimit() {
        let t = Conversation { $0.maxConnections = 1 }
        t.establish()
        #expect(t.stack.connect(to: Conversation.remoteAddress, port: 7, now: t.now) == nil)
    }

    // MARK: SEND (3.10.2)

    @Test(arguments: [Start.synSent, .synReceivedActive])
    func sendWaitsForTheConnection(start: Start) {
        let s = Situation(start)
        s.t.write("abc")
        s.expect(.nothing, start.name)
        if start == .synSent {
            s.t.send([.syn, .ack], seq: 0, ack: 1, options: Conversation.mss(1460))
        } else {
            s.t.send(.ack, seq: 1, ack: 1)
        }
        s.t.expect(.ack, seq: 1, ack: 1, Array("abc".utf8))
    }

    @Test(arguments: [Start.established, .closeWait])
    func sendSends(start: Start) {
        let s = Situation(start)
        s.t.write("abc")
        s.t.expect(.ack, seq: 1, ack: s.next, Array("abc".utf8))
        s.expect(.nothing, start.name)
    }

    /// "error: connection closing": what is written behind the FIN goes nowhere.
    @Test(arguments: [Start.finWait1, .finWait2, .closing, .lastAck, .timeWait])
    func sendBehindTheFin(start: Start) {
        let s = Situation(start)
        s.t.write("abc")
        s.expect(.nothing, start.name)
    }

    // MARK: RECEIVE (3.10.3)

    @Test(arguments: known)
    func receiveOfNothing(start: Start) {
        let s = Situation(start)
        #expect(s.t.read().isEmpty)
        s.expect(.nothing, start.name)
    }

    /// What came before the FIN stays readable in all states behind it, and after the end.
    @Test func receiveAfterTheEnd() {
        let s = Situation(.finWait2)
        s.t.send([.ack, .fin], seq: 1, ack: 2, [1, 2, 3])
        s.expect(.ack, .timeWait, received: 5)
        s.t.wait(.seconds(61))
        s.expect(.nothing, .closed)
        #expect(s.t.read() == [1, 2, 3])
    }

    // MARK: CLOSE (3.10.4)

    /// Nobody waits for anything: the block goes without a segment.
    @Test func closeInSynSent() {
        let s = Situation(.synSent)
        s.t.stack.free(s.t.connection)
        s.t.turn()
        s.expect(.nothing, .closed)
        #expect(s.t.stack.controlBlocks == 0)
    }

    @Test func closeInSynReceivedWaitsForTheConnection() {
        let s = Situation(.synReceivedActive)
        s.t.stack.shutdown(s.t.connection)
        s.t.turn()
        s.expect(.nothing, .synReceived)
        s.t.send(.ack, seq: 1, ack: 1)
        s.t.expect([.fin, .ack], seq: 1, ack: 1)
        s.expect(.nothing, .finWait1)
    }

    @Test(arguments: zip([Start.established, .closeWait], [TCPState.finWait1, .lastAck]))
    func closeSendsFin(start: Start, after: TCPState) {
        let s = Situation(start)
        s.t.stack.shutdown(s.t.connection)
        s.t.turn()
        s.t.expect([.fin, .ack], seq: 1, ack: s.next)
        s.expect(.nothing, after)
    }

    /// FIN comes behind all that was written.
    @Test(arguments: zip([Start.established, .closeWait], [TCPState.finWait1, .lastAck]))
    func closeBehindText(start: Start, after: TCPState) {
        let s = Situation(start)
        s.t.write(Array("abc".utf8), flush: false)
        s.t.stack.shutdown(s.t.connection)
        s.t.turn()
        s.t.expect(.ack, seq: 1, ack: s.next, Array("abc".utf8))
        s.t.expect([.fin, .ack], seq: 4, ack: s.next)
        s.expect(.nothing, after)
    }

    @Test(arguments: [Start.finWait1, .finWait2, .closing, .lastAck, .timeWait])
    func closeTwice(start: Start) {
        let s = Situation(start)
        s.t.stack.shutdown(s.t.connection)
        s.t.turn()
        s.expect(.nothing, start.name)
    }

    // MARK: ABORT (3.10.5)

    @Test func abortInSynSent() {
        let s = Situation(.synSent)
        s.t.stack.abort(s.t.connection)
        s.t.turn()
        s.expect(.nothing, .closed)
        s.expectEvents([])
    }

    @Test(arguments: [Start.synReceivedActive, .established, .finWait1, .finWait2, .closeWait])
    func abortResets(start: Start) {
        let s = Situation(start)
        s.t.stack.abort(s.t.connection)
        s.t.turn()
        s.t.expect([.rst, .ack], seq: s.nxt, ack: s.next)
        s.expect(.nothing, .closed)
        s.expectEvents([])
    }

    /// Both have said all: nobody needs to be told.
    @Test(arguments: [Start.closing, .lastAck, .timeWait])
    func abortWithoutAWord(start: Start) {
        let s = Situation(start)
        s.t.stack.abort(s.t.connection)
        s.t.turn()
        s.expect(.nothing, .closed)
        s.expectEvents([])
    }

    @Test(arguments: known)
    func abortGivesEverythingBack(start: Start) {
        let s = Situation(start)
        s.t.write(Array(repeating: 7, count: 50_000))
        s.t.stack.abort(s.t.connection)
        s.t.stack.free(s.t.connection)
        s.t.turn()
        while s.t.next() != nil {}
        #expect(s.t.stack.controlBlocks == 0)
        #expect(s.t.pool.freeCount == s.t.pool.count)
    }

    // MARK: STATUS (3.10.6)

    @Test(arguments: known)
    func status(start: Start) {
        let s = Situation(start)
        let info = s.t.stack.info(s.t.connection)
        #expect(info.state.rawValue == start.name.rawValue)
        #expect(info.unacknowledged == UInt64(s.nxt - s.una))
        #expect(info.unsent == 0 && info.unread == 0)
        #expect(info.retransmissions == 0 && info.backoff == 0)
    }

    @Test func statusOfAConnectionThatIsOver() {
        let s = Situation(.established)
        s.t.send(.rst, seq: 1)
        #expect(s.t.stack.info(s.t.connection).state == .closed)
    }

    @Test func statusTellsTheWindowsAndTheRoundTrip() {
        let t = Conversation()
        t.establish(options: Conversation.mss(1000), window: 5_000)
        t.write(Array(repeating: 1, count: 3_000))
        t.now += .milliseconds(80)
        var info = t.stack.info(t.connection)
        #expect(info.unacknowledged == 3_000 && info.unsent == 0)
        t.send(.ack, seq: 1, ack: 3_001, window: 4_000)
        t.send(.ack, seq: 1, ack: 3_001, Array("unread".utf8), window: 4_000)
        info = t.stack.info(t.connection)
        #expect(info.state == .established && info.state.name == "established")
        #expect(info.maximumSegmentSize == 1_000)
        #expect(info.sendWindow == 4_000)
        #expect(info.receiveWindow > 60_000)
        #expect(info.unread == 6)
        #expect(info.unacknowledged == 0)
        #expect(info.roundTrip > 100 && info.roundTrip <= 80_000)
        #expect(info.retransmissionTimeout >= 200_000)
        #expect(info.congestionWindow >= 10_000)
        #expect(info.slowStartThreshold == nil)
    }

    @Test func statusCountsWhatIsSentAgain() {
        let s = Situation(.established)
        s.t.write("abc")
        s.t.wait(.seconds(10))
        let info = s.t.stack.info(s.t.connection)
        #expect(info.retransmissions >= 3 && info.backoff >= 3)
        #expect(info.retransmissionTimeout > 1_000_000)
    }
}
