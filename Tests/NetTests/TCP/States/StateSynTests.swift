import Testing

@testable import Net

/// SYN, with and without ACK, in every state: RFC 9293 3.10.7.3 (first, fourth) and 3.10.7.4 (first, fourth), with
/// RFC 5961 4.2 and RFC 6191.
@Suite struct StateSyn {
    // MARK: SYN-SENT

    @Test func synSentWithSynAck() {
        let s = Situation(.synSent)
        s.t.send([.syn, .ack], seq: 0, ack: 1, options: Conversation.mss(1460))
        s.expect(.ack, .established, received: 1)
        s.expectEvents(.opened)
    }

    @Test func synSentWithSyn() {
        let s = Situation(.synSent)
        s.t.send(.syn, seq: 0)
        s.expect(.synAck, .synReceived)
        s.expectEvents([])
    }

    /// First: SEG.ACK =< ISS or SEG.ACK > SND.NXT.
    @Test(arguments: [-5, 0, 2, 40])
    func synSentWithAnotherAck(ack: Int) {
        let s = Situation(.synSent)
        s.t.send([.syn, .ack], seq: 0, ack: ack)
        s.expect(.reset(ack), .synSent)
        s.expectEvents([])
    }

    // MARK: SYN-RECEIVED

    /// The SYN again: ours was lost. The RFC's ACK would do; SYN,ACK is what the peer waits for (docs/tcp.md).
    @Test(arguments: Start.synReceived)
    func synReceivedWithTheSameSyn(start: Start) {
        let s = Situation(start)
        s.t.send(.syn, seq: 0, options: Conversation.mss(1460), window: 65_535)
        s.expect(.synAck, .synReceived)
    }

    /// Fourth, after an active open: as in the synchronized states.
    @Test(arguments: [1, 10, 60_000])
    func synReceivedActivelyWithAnotherSynInTheWindow(seq: Int) {
        let s = Situation(.synReceivedActive)
        s.t.send(.syn, seq: seq)
        s.expect(.ack, .synReceived)
        s.t.send(.rst, seq: s.next)
        s.expect(.nothing, .closed)
    }

    @Test(arguments: Start.synReceived)
    func synReceivedWithSynAck(start: Start) {
        let s = Situation(start)
        s.t.send([.syn, .ack], seq: 0, ack: 1)
        // The second half of a simultaneous open (figure 8), which a passive one cannot tell from it.
        #expect(s.state == .established)
        #expect(s.t.stack.nextEvent() != nil)
    }

    // MARK: synchronized states: never more than a challenge, whatever the sequence number (RFC 5961 4.2)

    @Test(arguments: Start.synchronized.filter { $0 != .timeWait }, [-1, 0, 1, 500, 65_536, 1 << 30])
    func synchronized(start: Start, offset: Int) {
        let s = Situation(start)
        s.t.send(.syn, seq: s.next + offset)
        s.expect(.ack, start.name)
        s.expectEvents([])
    }

    @Test(arguments: Start.synchronized, [0, 1, 500])
    func synchronizedWithSynAck(start: Start, offset: Int) {
        let s = Situation(start)
        s.t.send([.syn, .ack], seq: s.next + offset, ack: s.nxt)
        s.expect(.ack, start.name)
        s.expectEvents([])
    }

    // MARK: TIME-WAIT

    /// RFC 9293 3.10.7.4 and RFC 6191: beyond the old incarnation, on a port that is listened on.
    @Test(arguments: [1, 100_000])
    func timeWaitWithALaterSyn(offset: Int) {
        let s = Situation(.timeWait)
        let before = s.t.localISS &+ UInt32(s.nxt)
        s.t.send(.syn, seq: s.next + offset)
        let answer = s.t.next()
        #expect(answer?.flags == [.syn, .ack])
        #expect(SequenceNumber(answer?.sequence ?? 0) > SequenceNumber(before))
        #expect(s.state == .synReceived)
    }

    @Test(arguments: [-1, -1000])
    func timeWaitWithAnEarlierSyn(offset: Int) {
        let s = Situation(.timeWait)
        s.t.send(.syn, seq: s.next + offset)
        s.expect(.ack, .timeWait)
    }

    @Test func timeWaitWithALaterSynWhenNobodyListens() {
        let s = Situation(.timeWait)
        s.t.stack.stopListening(port: s.t.localPort)
        s.t.send(.syn, seq: s.next + 1000)
        s.expect(.ack, .timeWait)
    }
}
