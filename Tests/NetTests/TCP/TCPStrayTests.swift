import Runtime
import Testing

@testable import Net

/// A stack among several on the queues of one device: what it cannot have been sent is shown to the others first.
@Suite struct TCPStrays {
    private func among() -> Conversation { Conversation { $0.strayHandling = true } }

    /// How many frames the others were shown; they are dropped.
    private func strays(_ t: Conversation) -> Int {
        var count = 0
        while let d = t.stack.strays.pop() {
            t.pool.release(d.frame)
            count += 1
        }
        return count
    }

    @Test func segmentsOfUnknownFlowsAreShownToTheOthers() {
        let t = among()
        _ = strays(t)
        t.send(.ack, seq: 5, ack: 1234, "text")
        t.send(.rst, seq: 5)
        t.send([.syn, .ack], seq: 5, ack: 7)
        t.expectNothing()
        #expect(strays(t) == 3)
        #expect(t.stack.statistics.tcpUnknown == 0)
        #expect(t.stack.statistics.tcpSegmentsReceived == 0)
    }

    /// The SYN was sent again to this shard, but the peer has taken another shard's SYN,ACK.
    @Test func anotherShardsAckInSynReceivedIsNotReset() {
        let t = among()
        t.send(.syn, seq: 0)
        t.localISS = t.next()!.sequence
        _ = strays(t)
        t.send(.ack, seq: 1, ack: 77)
        t.send([.ack, .fin], seq: 1, ack: 78, "text")
        t.expectNothing()
        #expect(strays(t) == 2)
        // Its own completes the handshake.
        t.send(.ack, seq: 1, ack: 1)
        #expect(t.stack.nextEvent() != nil)
        #expect(strays(t) == 0)
    }

    @Test func theLastShardAnswersAsTheRFCSays() {
        let t = among()
        t.send(.syn, seq: 0)
        t.localISS = t.next()!.sequence
        _ = strays(t)
        t.input(stray: t.segment(.ack, seq: 1, ack: 77))
        t.expect(.rst, seq: 77)
        #expect(strays(t) == 0)
    }

    /// The old incarnation waits here, the new one lives on another shard.
    @Test func textBehindTheFinOfATimeWaitIsShownToTheOthers() {
        let t = among()
        t.establish()
        t.stack.shutdown(t.connection)
        t.turn()
        t.send([.ack, .fin], seq: 1, ack: 2)
        while t.next() != nil {}
        _ = strays(t)
        t.send(.ack, seq: 70_000, ack: 9, "new")
        t.expectNothing()
        #expect(strays(t) == 1)
        // The old one's FIN again is its own.
        t.send([.ack, .fin], seq: 1, ack: 2)
        t.expect(.ack, seq: 2, ack: 2)
        t.input(stray: t.segment(.ack, seq: 70_000, ack: 9))
        t.expect(.ack, seq: 2, ack: 2)
        #expect(strays(t) == 0)
    }

    /// One shard was late in handing over what had come before the end: the order was changed here, not on the way.
    @Test func whatTheEndHasOvertakenIsDropped() {
        let t = among()
        t.establish()
        t.send([.ack, .fin], seq: 1, ack: 1)
        t.expect(.ack, seq: 1, ack: 2)
        t.stack.shutdown(t.connection)
        t.turn()
        t.expect([.ack, .fin], seq: 1, ack: 2)
        t.send(.ack, seq: 2, ack: 2)
        _ = strays(t)
        t.input(stray: t.segment(.ack, seq: 1, ack: 1))
        t.send(.ack, seq: 1, ack: 1)
        t.expectNothing()
        #expect(strays(t) == 0)
        #expect(t.stack.statistics.tcpLate == 2)
        // Another connection between the same ports, which may live on another shard.
        t.send(.ack, seq: 3, ack: 1)
        t.send(.ack, seq: 5_000_000, ack: 1)
        #expect(strays(t) == 2)
        // Nobody is as late as this.
        t.wait(EndedConnections.patience)
        t.input(stray: t.segment(.ack, seq: 1, ack: 1))
        t.expect(.rst, seq: 1)
        #expect(t.pool.freeCount == t.pool.count)
    }

    /// Among so many ports are some whose place in the table is that of the one that has ended.
    @Test func otherConnectionsOfTheSameClientHaveNotEnded() {
        let t = among()
        t.establish()
        t.send([.rst, .ack], seq: 1, ack: 1)
        _ = strays(t)
        for port in 40_001...UInt16(42_048) {
            t.remotePort = port
            t.send(.ack, seq: 1, ack: 1)
            #expect(strays(t) == 1, "port \(port)")
        }
        #expect(t.stack.statistics.tcpLate == 0)
    }

    @Test func whatAResetHasOvertakenIsDropped() {
        let t = among()
        t.establish()
        t.send([.rst, .ack], seq: 1, ack: 1)
        _ = strays(t)
        t.input(stray: t.segment(.ack, seq: 1, ack: 1))
        t.expectNothing()
        #expect(t.stack.statistics.tcpLate == 1)
    }

    /// A stack that has all queues sees the order in which they were sent.
    @Test func aStackAloneAnswers() {
        let t = Conversation()
        t.establish()
        t.send([.rst, .ack], seq: 1, ack: 1)
        t.send(.ack, seq: 1, ack: 1)
        t.expect(.rst, seq: 1)
    }

    @Test func aHandedFrameOfAKnownFlowIsAsGoodAsAnOwnOne() {
        let t = among()
        t.establish()
        t.input(stray: t.segment(.ack, seq: 1, ack: 1, Array("PING".utf8)))
        #expect(t.events() == .readable)
        #expect(t.read() == Array("PING".utf8))
    }
}
