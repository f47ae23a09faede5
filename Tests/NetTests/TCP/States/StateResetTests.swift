import Testing

@testable import Net

/// RST in every state: RFC 9293 3.10.7.3 (second) and 3.10.7.4 (second), with RFC 5961 3.2 and RFC 1337.
@Suite struct StateReset {
    // MARK: SYN-SENT: only an acceptable ACK makes a reset believed

    @Test func synSentWithAcceptableAck() {
        let s = Situation(.synSent)
        s.t.send([.rst, .ack], seq: 777, ack: 1)
        s.expect(.nothing, .closed)
        s.expectEvents(.closed)
    }

    @Test(arguments: [0, -1, 2, 1_000_000])
    func synSentWithAnotherAck(ack: Int) {
        let s = Situation(.synSent)
        s.t.send([.rst, .ack], seq: 777, ack: ack)
        s.expect(.nothing, .synSent)
        s.expectEvents([])
    }

    @Test func synSentWithoutAck() {
        let s = Situation(.synSent)
        s.t.send(.rst, seq: 0)
        s.expect(.nothing, .synSent)
        s.expectEvents([])
    }

    // MARK: the exact sequence number

    @Test(arguments: Start.synReceived, [TCPFlags.rst, [.rst, .ack]])
    func synReceivedExact(start: Start, flags: TCPFlags) {
        let s = Situation(start)
        s.t.send(flags, seq: s.next, ack: 1)
        // A passive open goes back to LISTEN and its user never hears of it; an active one was refused.
        s.expect(.nothing, .closed)
        s.expectEvents(start == .synReceivedActive ? .closed : [])
        if start == .synReceivedPassive {
            s.t.send(.syn, seq: 9)
            #expect(s.t.next()?.flags == [.syn, .ack])
        }
    }

    @Test(arguments: Start.synchronized.filter { $0 != .timeWait })
    func exact(start: Start) {
        let s = Situation(start)
        s.t.send(.rst, seq: s.next)
        s.expect(.nothing, .closed)
        s.expectEvents(.closed)
        s.t.stack.free(s.t.connection)
        #expect(s.t.stack.controlBlocks == 0)
        #expect(s.t.pool.freeCount == s.t.pool.count)
    }

    /// RFC 1337 3, fix F1: an old RST must not end TIME-WAIT early.
    @Test func timeWaitIsNotAssassinated() {
        let s = Situation(.timeWait)
        s.t.send(.rst, seq: s.next)
        s.t.send([.rst, .ack], seq: s.next, ack: s.nxt)
        s.t.send(.rst, seq: s.next + 100)
        s.expect(.nothing, .timeWait)
    }

    @Test func unsentAndUnacknowledgedOutputGoesWithTheConnection() {
        let s = Situation(.closeWait)
        s.t.write(Array(repeating: 1, count: 40_000))
        while s.t.next() != nil {}
        s.t.send(.rst, seq: s.next)
        s.expect(.nothing, .closed)
        s.expectEvents(.closed)
        s.t.stack.free(s.t.connection)
        #expect(s.t.pool.freeCount == s.t.pool.count)
    }

    // MARK: elsewhere in the window: proof is asked for (RFC 5961 3.2, 2)

    @Test(arguments: Start.synReceived + Start.synchronized.filter { $0 != .timeWait }, [1, 100, 30_000])
    func inTheWindow(start: Start, offset: Int) {
        let s = Situation(start)
        s.t.send(.rst, seq: s.next + offset)
        s.expect(.ack, start.name)
        s.expectEvents([])
        #expect(s.t.stack.statistics.tcpChallengeAcks == 1)
    }

    /// The proof: whoever really has no connection answers the challenge with the exact number.
    @Test func theChallengeIsAnsweredByTheExactReset() {
        let s = Situation(.established)
        s.t.send(.rst, seq: s.next + 5)
        let challenge = s.t.next()!
        s.t.send(.rst, seq: Int(challenge.acknowledgement &- s.t.remoteISS))
        s.expect(.nothing, .closed)
    }

    // MARK: outside of the window: dropped without a word (RFC 5961 3.2, 1)

    @Test(arguments: Start.synReceived + Start.synchronized, [-1, -70_000, 65_536, 1 << 30])
    func outside(start: Start, offset: Int) {
        let s = Situation(start)
        s.t.send(.rst, seq: s.next + offset)
        s.expect(.nothing, start.name)
        s.expectEvents([])
    }
}
