import Runtime
import Testing

@testable import Net

/// SYN cookies where the device has several queues. The ACK may arrive at another shard than the SYN. Each stack has a
/// secret of its own, so that only the one that gave a cookie away takes it: a connection never exists twice.
@Suite struct TCPCookieStrays {
    /// Two shards of one address, each with a full backlog.
    private func shards() -> (Conversation, Conversation) {
        let pair = (0..<2).map { index in
            let t = Conversation(seed: UInt64(index + 1)) {
                $0.strayHandling = true
                $0.maxHalfOpen = 1
            }
            t.remotePort = 1
            t.send(.syn, seq: 0)
            _ = t.next()
            t.remotePort = 40_000
            t.send(.syn, seq: 0)
            t.localISS = t.next()!.sequence
            dropStrays(t)
            return t
        }
        return (pair[0], pair[1])
    }

    private func dropStrays(_ t: Conversation) {
        while let d = t.stack.strays.pop() { t.pool.release(d.frame) }
    }

    /// What the others are shown of a frame that arrived here.
    private func isHandedOn(_ t: Conversation, _ frame: [UInt8]) -> Bool {
        t.input(frame)
        let shown = !t.stack.strays.isEmpty
        dropStrays(t)
        return shown
    }

    @Test func ackAtAnotherShardFindsTheWayBack() {
        let (here, there) = shards()
        #expect(here.localISS != there.localISS, "a secret for each")
        let ack = here.segment(.ack, seq: 1, ack: 1, Array("PING".utf8))
        #expect(isHandedOn(there, ack), "the other shard does not know the cookie, though it has given some away")
        there.expectNothing()
        here.input(stray: ack)
        here.connection = here.stack.nextEvent()
        #expect(here.connection != nil)
        #expect(here.read() == Array("PING".utf8))
        // Again at the other shard, while the cookie is good: still one connection.
        #expect(isHandedOn(there, ack))
        #expect(there.stack.statistics.tcpSynCookiesAccepted == 0)
        // And what follows there is handed on as for any connection.
        let more = here.segment(.ack, seq: 5, ack: 1, Array("PONG".utf8))
        #expect(isHandedOn(there, more))
        here.input(stray: more)
        #expect(here.read() == Array("PONG".utf8))
    }

    /// Whoever is asked last answers for all.
    @Test func aBadCookieIsResetByTheLastShard() {
        let (here, there) = shards()
        let ack = here.segment(.ack, seq: 1, ack: 99)
        #expect(isHandedOn(here, ack))
        here.expectNothing()
        there.localISS = here.localISS
        there.input(stray: ack)
        there.expect(.rst, seq: 99)
        #expect(there.stack.statistics.tcpSynCookiesFailed == 1 && here.stack.statistics.tcpSynCookiesFailed == 0)
    }

    /// The client sent its SYN again, over the other queue, and takes the first answer: the other shard's half-open
    /// connection or cookie is in nobody's way.
    @Test func bothShardsAnsweredTheSyn() {
        let (here, there) = shards()
        here.send(.ack, seq: 1, ack: 1)
        #expect(here.stack.nextEvent() != nil)
        let text = here.segment(.ack, seq: 1, ack: 1, Array("x".utf8))
        #expect(isHandedOn(there, text))
        #expect(there.stack.statistics.tcpSynCookiesAccepted == 0 && there.stack.controlBlocks == 1)
    }
}
