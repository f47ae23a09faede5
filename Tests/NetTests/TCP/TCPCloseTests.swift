import Runtime
import Testing

@testable import Net

@Suite struct TCPClose {
    @Test func peerClosesFirst() {
        let t = Conversation()
        t.establish()
        t.send([.ack, .fin], seq: 1, ack: 1, "bye")
        t.expect(.ack, seq: 1, ack: 5)
        #expect(t.events() == [.readable, .endOfStream])
        #expect(t.read() == Array("bye".utf8))
        // Half-close: we may go on.
        t.write("more")
        t.expect(.ack, seq: 1, ack: 5, Array("more".utf8))
        t.stack.shutdown(t.connection)
        t.turn()
        t.expect([.fin, .ack], seq: 5, ack: 5)
        t.send(.ack, seq: 5, ack: 6)
        #expect(t.events() == .closed)
        t.stack.free(t.connection)
        #expect(t.stack.controlBlocks == 0)
        #expect(t.stack.scheduledTimers == 1)  // the neighbour's
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test func weCloseFirst() {
        let t = Conversation()
        t.establish()
        t.write(Array("last".utf8), flush: false)
        t.stack.shutdown(t.connection)
        t.turn()
        t.expect(.ack, seq: 1, ack: 1, Array("last".utf8))
        t.expect([.fin, .ack], seq: 5, ack: 1)
        t.send(.ack, seq: 1, ack: 6)
        #expect(t.stack.nextEvent() == nil)
        // The peer may go on.
        t.send(.ack, seq: 1, ack: 6, "yes")
        #expect(t.events() == .readable)
        #expect(t.read() == Array("yes".utf8))
        t.send([.ack, .fin], seq: 4, ack: 6)
        t.expect(.ack, seq: 6, ack: 5)
        #expect(t.events() == [.endOfStream, .closed])
        #expect(t.stack.liveConnections == 0 && t.stack.controlBlocks == 1)
        t.stack.free(t.connection)
        // FIN again is acknowledged again.
        t.send([.ack, .fin], seq: 4, ack: 6)
        t.expect(.ack, seq: 6, ack: 5)
        t.wait(.seconds(61))
        #expect(t.stack.controlBlocks == 0)
    }

    @Test func bothCloseAtOnce() {
        let t = Conversation()
        t.establish()
        t.stack.shutdown(t.connection)
        t.turn()
        t.expect([.fin, .ack], seq: 1, ack: 1)
        t.send([.ack, .fin], seq: 1, ack: 1)
        t.expect(.ack, seq: 2, ack: 2)
        #expect(t.events() == .endOfStream)
        t.send(.ack, seq: 2, ack: 2)
        #expect(t.events() == .closed)
        t.stack.free(t.connection)
        #expect(t.stack.controlBlocks == 1)
        t.wait(.seconds(61))
        #expect(t.stack.controlBlocks == 0)
    }

    @Test func finIsRetransmitted() {
        let t = Conversation()
        t.establish()
        t.stack.shutdown(t.connection)
        t.turn()
        t.expect([.fin, .ack], seq: 1, ack: 1)
        t.wait(.milliseconds(250))
        t.expect([.fin, .ack], seq: 1, ack: 1)
        t.send(.ack, seq: 1, ack: 2)
        t.wait(.seconds(10))
        t.expectNothing()
    }

    /// Text and FIN are lost, a timeout begins again before both, and the ACK of the text must not be the end of it.
    @Test func finBehindRetransmittedTextIsSentAgain() {
        let t = Conversation()
        t.establish()
        t.write(Array("text".utf8), flush: false)
        t.stack.shutdown(t.connection)
        t.turn()
        t.expect(.ack, seq: 1, ack: 1, Array("text".utf8))
        t.expect([.fin, .ack], seq: 5, ack: 1)
        t.wait(.milliseconds(210))
        while t.next() != nil {}
        // The FIN that left with the retransmission is lost again.
        t.send(.ack, seq: 1, ack: 5)
        var finWasSent = false
        for _ in 0..<10 {
            t.wait(.milliseconds(200))
            while let segment = t.next() { finWasSent = finWasSent || segment.flags.contains(.fin) }
        }
        #expect(finWasSent)
    }

    @Test func finBehindAGapWaits() {
        let t = Conversation()
        t.establish()
        t.send([.ack, .fin], seq: 4, ack: 1, "def")
        t.expect(.ack, seq: 1, ack: 1)
        #expect(t.stack.nextEvent() == nil)
        t.send(.ack, seq: 1, ack: 1, "abc")
        t.expect(.ack, seq: 1, ack: 8)
        #expect(t.events() == [.readable, .endOfStream])
        #expect(t.read() == Array("abcdef".utf8))
    }

    @Test func finWithTheLastAckOfOurFin() {
        let t = Conversation()
        t.establish()
        t.stack.shutdown(t.connection)
        t.turn()
        t.expect([.fin, .ack], seq: 1, ack: 1)
        t.send([.ack, .fin], seq: 1, ack: 2)
        t.expect(.ack, seq: 2, ack: 2)
        #expect(t.events() == [.endOfStream, .closed])
    }

    @Test func writesAfterShutdownGoNowhere() {
        let t = Conversation()
        t.establish()
        t.stack.shutdown(t.connection)
        t.write("lost")
        t.expect([.fin, .ack], seq: 1, ack: 1)
        t.expectNothing()
        t.send(.rst, seq: 1)
        t.write("lost too")
        #expect(t.events() == .closed)
        t.stack.free(t.connection)
        t.turn()
        #expect(t.stack.controlBlocks == 0)
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test func freeClosesInTheBackground() {
        let t = Conversation()
        t.establish()
        t.write(Array("OK".utf8), flush: false)
        t.stack.shutdown(t.connection)
        t.stack.free(t.connection)
        t.turn()
        t.expect(.ack, seq: 1, ack: 1, Array("OK".utf8))
        t.expect([.fin, .ack], seq: 3, ack: 1)
        // What still comes is acknowledged and dropped.
        t.send(.ack, seq: 1, ack: 4, "ignored")
        t.wait(.milliseconds(50))
        t.expect(.ack, seq: 4, ack: 8)
        #expect(t.stack.nextEvent() == nil)
        t.send([.ack, .fin], seq: 8, ack: 4)
        t.expect(.ack, seq: 4, ack: 9)
        t.wait(.seconds(61))
        #expect(t.stack.controlBlocks == 0)
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test func patienceWithAPeerThatNeverClosesIsBounded() {
        let t = Conversation()
        t.establish()
        t.stack.free(t.connection)
        t.turn()
        t.expect([.fin, .ack], seq: 1, ack: 1)
        t.send(.ack, seq: 1, ack: 2)
        t.wait(.seconds(59))
        #expect(t.stack.controlBlocks == 1)
        t.wait(.seconds(2))
        #expect(t.stack.controlBlocks == 0)
        t.expect([.rst, .ack], seq: 2)
    }

    @Test func abortResets() {
        let t = Conversation()
        t.establish()
        t.write("abc")
        t.expect(.ack, seq: 1)
        t.send(.ack, seq: 1, ack: 1, "unread")
        t.stack.abort(t.connection)
        t.turn()
        t.expect([.rst, .ack], seq: 4, ack: 7)
        #expect(t.stack.nextEvent() == nil)
        t.stack.free(t.connection)
        t.turn()
        #expect(t.stack.controlBlocks == 0)
        #expect(t.pool.freeCount == t.pool.count)
        t.send(.ack, seq: 7, ack: 4)
        t.expect(.rst, seq: 4)
    }

    @Test func timeWaitGivesWayAtTheLimit() {
        let t = Conversation { $0.maxConnections = 2 }
        for port in 1...6 {
            t.remotePort = UInt16(1_000 + port)
            t.establish()
            t.stack.shutdown(t.connection)
            t.turn()
            t.send([.ack, .fin], seq: 1, ack: 2)
            while t.next() != nil {}
            _ = t.events()
            t.stack.free(t.connection)
        }
        #expect(t.stack.controlBlocks == 2)
        #expect(t.stack.statistics.tcpConnectionLimitDrops == 0)
    }
}
