import Runtime
import Testing

@testable import Net

/// TIME-WAIT: old segments are answered, new incarnations let in (RFC 9293 3.6.1, RFC 6191, RFC 1337).
@Suite struct TCPTimeWait {
    /// The stack closed first, everything is acknowledged: 2 is next on both sides.
    private func timeWait(timestamp: UInt32? = nil) -> Conversation {
        let t = Conversation { $0.timestamps = true }
        t.timestamp = timestamp
        t.establish()
        t.stack.shutdown(t.connection)
        t.turn()
        t.send([.ack, .fin], seq: 1, ack: 2)
        while t.next() != nil {}
        _ = t.events()
        t.stack.free(t.connection)
        #expect(t.stack.controlBlocks == 1 && t.stack.liveConnections == 0)
        return t
    }

    /// The SYN opened the connection anew.
    private func expectOpen(_ t: Conversation, after old: UInt32, _ location: SourceLocation = #_sourceLocation) {
        guard let answer = t.next() else {
            Issue.record("no answer", sourceLocation: location)
            return
        }
        #expect(answer.flags == [.syn, .ack], sourceLocation: location)
        #expect(
            SequenceNumber(answer.sequence) > SequenceNumber(old), "sequence numbers go on", sourceLocation: location)
        t.localISS = answer.sequence
        if t.timestamp != nil { t.timestampEcho = answer.timestamps!.value }
        t.send(.ack, seq: 1, ack: 1)
        #expect(t.stack.nextEvent() != nil, sourceLocation: location)
        #expect(t.stack.controlBlocks == 1, sourceLocation: location)
        #expect(t.stack.statistics.tcpTimeWaitReused == 1, sourceLocation: location)
    }

    // MARK: neither incarnation has timestamps

    @Test func laterSequenceOpensAnew() {
        let t = timeWait()
        t.remoteISS &+= 5_000
        let old = t.localISS
        t.send(.syn, seq: 0)
        expectOpen(t, after: old)
    }

    @Test(arguments: [-100, 1, 2]) func earlierSequenceIsAnsweredByAnAck(_ sequence: Int) {
        let t = timeWait()
        t.send(.syn, seq: sequence)
        t.expect(.ack, seq: 2, ack: 2)
        #expect(t.stack.liveConnections == 0)
    }

    // MARK: both have

    @Test(arguments: [-100_000, 0, 100_000]) func laterTimestampOpensAnewWhateverTheSequence(_ sequence: Int) {
        let t = timeWait(timestamp: 1_000)
        let old = t.localISS
        t.timestamp = 1_001
        t.remoteISS &+= UInt32(truncatingIfNeeded: sequence)
        t.send(.syn, seq: 0)
        expectOpen(t, after: old)
    }

    @Test func equalTimestampNeedsALaterSequence() {
        let t = timeWait(timestamp: 1_000)
        t.send(.syn, seq: -5)
        t.expect(.ack, seq: 2, ack: 2)
        let old = t.localISS
        t.remoteISS &+= 77
        t.send(.syn, seq: 0)
        expectOpen(t, after: old)
    }

    @Test func earlierTimestampIsAnOldSyn() {
        let t = timeWait(timestamp: 1_000)
        t.timestamp = 999
        t.send(.syn, seq: 9_000)
        t.expect(.ack, seq: 2, ack: 2)
        #expect(t.stack.liveConnections == 0)
    }

    // MARK: one of them has

    @Test func timestampsOnlyInTheNewOneOpenAnew() {
        let t = timeWait()
        let old = t.localISS
        t.timestamp = 5
        t.remoteISS &-= 1_000
        t.send(.syn, seq: 0)
        expectOpen(t, after: old)
    }

    @Test func timestampsOnlyInTheOldOne() {
        let t = timeWait(timestamp: 1_000)
        t.timestamp = nil
        t.send(.syn, seq: -10)
        t.expect(.ack, seq: 2, ack: 2)
        let old = t.localISS
        t.remoteISS &+= 10
        t.send(.syn, seq: 0)
        expectOpen(t, after: old)
    }

    // MARK: PAWS across incarnations (RFC 7323 5.2, appendix B.2)

    @Test func segmentsOfTheOldIncarnationAreRefusedByTheNewOne() {
        let t = timeWait(timestamp: 1_000)
        let old = t.localISS
        t.timestamp = 1_500
        t.send(.syn, seq: 0)
        expectOpen(t, after: old)
        // Its sequence number fits, its time does not.
        t.timestamp = 1_000
        t.send(.ack, seq: 1, ack: 1, "old")
        t.expect(.ack, seq: 1, ack: 1)
        #expect(t.stack.statistics.tcpOldTimestamps == 1)
    }

    // MARK: what else comes

    /// RFC 1337: TIME-WAIT is not cut short, by whatever RST.
    @Test func resetIsIgnored() {
        let t = timeWait()
        t.send(.rst, seq: 2)
        t.send(.rst, seq: 100)
        t.send([.rst, .ack], seq: 2, ack: 2)
        t.expectNothing()
        #expect(t.stack.controlBlocks == 1)
    }

    @Test func finAgainIsAcknowledgedAndStartsTheClockAnew() {
        let t = timeWait()
        t.wait(.seconds(50))
        t.send([.ack, .fin], seq: 1, ack: 2)
        t.expect(.ack, seq: 2, ack: 2)
        t.wait(.seconds(50))
        #expect(t.stack.controlBlocks == 1)
        t.wait(.seconds(11))
        #expect(t.stack.controlBlocks == 0)
    }

    /// Other old segments are answered, and do not prolong it.
    @Test func oldTextIsAnsweredOnly() {
        let t = timeWait()
        t.wait(.seconds(50))
        t.send(.ack, seq: 0, ack: 2, "x")
        t.expect(.ack, seq: 2, ack: 2)
        t.send(.ack, seq: 100_000, ack: 2, "x")
        t.expect(.ack, seq: 2, ack: 2)
        t.send(.ack, seq: 2, ack: 2, "behind the FIN")
        t.expect(.ack, seq: 2, ack: 2)
        t.wait(.seconds(11))
        #expect(t.stack.controlBlocks == 0)
    }

    /// The name is taken already: a new incarnation needs no more memory than the old one.
    @Test func reuseNeedsNoRoomInTheBacklog() {
        let t = Conversation { $0.maxHalfOpen = 1 }
        t.establish()
        t.stack.shutdown(t.connection)
        t.turn()
        t.send([.ack, .fin], seq: 1, ack: 2)
        while t.next() != nil {}
        _ = t.events()
        t.stack.free(t.connection)
        t.remotePort = 1
        t.send(.syn, seq: 0)
        _ = t.next()
        t.remotePort = 40_000
        t.send(.syn, seq: 9_000)
        #expect(t.next()?.flags == [.syn, .ack])
        #expect(t.stack.statistics.tcpSynCookiesSent == 0)
        #expect(t.stack.controlBlocks == 2)
    }
}
