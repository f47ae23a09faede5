import Runtime
import Testing

@testable import Net

/// How long a connection waits for its peer: R1, R2 and the user timeout (RFC 9293 3.8.3, RFC 5482), probes of a closed
/// window (3.8.6.1) and keepalive (3.8.4).
@Suite struct TCPPatience {
    /// When the connection was given up, in seconds after `start`; nil: not within `limit`.
    private func end(_ t: Conversation, within limit: Int64) -> Double? {
        let start = t.now
        while t.now - start < .seconds(limit) {
            t.wait(.milliseconds(100))
            while t.next() != nil {}
            if let c = t.stack.nextEvent(), t.stack.takeEvents(c).contains(.closed) {
                return Double(t.now - start) / 1e9
            }
        }
        return nil
    }

    /// RFC 9293 MUST-20, MUST-21: R2 is far beyond 100 seconds by default.
    @Test func fifteenRetransmissionsByDefault() {
        let t = Conversation()
        t.establish()
        t.write("x")
        t.answersARP = false
        let seconds = end(t, within: 2_000)
        #expect(seconds != nil && seconds! > 500 && seconds! < 600)
        #expect(t.stack.statistics.tcpTimeouts == 15 && t.stack.statistics.tcpGivenUp == 1)
    }

    @Test(arguments: [1, 5, 30, 120]) func userTimeoutEndsAtItsTime(_ timeout: Int64) {
        let t = Conversation { $0.userTimeout = .seconds(timeout) }
        t.establish()
        t.write("x")
        let seconds = end(t, within: 2_000)
        #expect(seconds != nil && abs(seconds! - Double(timeout)) < 0.3)
    }

    /// Progress of any kind starts it anew.
    @Test func progressRenewsTheUserTimeout() {
        let t = Conversation { $0.userTimeout = .seconds(5) }
        t.establish()
        t.write(ramp(2_000))
        for acknowledged in 1...10 {
            t.wait(.seconds(4))
            t.send(.ack, seq: 1, ack: 1 + acknowledged * 100)
        }
        while t.next() != nil {}
        #expect(t.stack.nextEvent() == nil && t.stack.liveConnections == 1)
        let seconds = end(t, within: 100)
        #expect(seconds != nil && seconds! < 5.5)
    }

    /// The idle have nothing to wait for.
    @Test func idleConnectionsKnowNoUserTimeout() {
        let t = Conversation { $0.userTimeout = .seconds(5) }
        t.establish()
        #expect(end(t, within: 1_000) == nil)
    }

    /// R1 (RFC 1122 4.2.3.5): the next hop may have gone to another station.
    @Test func nextHopIsDoubtedAfterThreeRetransmissions() {
        let t = Conversation()
        t.establish()
        t.answersARP = false
        let requests = t.stack.statistics.arpRequestsSent
        t.write("x")
        t.wait(.milliseconds(1_300))
        #expect(t.stack.statistics.arpRequestsSent == requests)
        t.wait(.seconds(10))
        #expect(t.stack.statistics.arpRequestsSent > requests)
        // It has: what was not acknowledged goes there.
        while t.frame() != nil {}
        let other = MACAddress(bits: 0x02_00_00_00_00_09)
        t.input(t.arp(.reply, sender: Conversation.remoteAddress, other, target: Conversation.localAddress))
        t.wait(.seconds(30))
        let frames = sequence(first: t.frame(), next: { _ in t.frame() }).prefix { $0 != nil }
        #expect(frames.contains { $0!.prefix(6) == [2, 0, 0, 0, 0, 9] && $0![12] == 8 && $0![13] == 0 })
    }

    // MARK: a closed window

    /// RFC 9293 MUST-37: no end while the peer answers, however long it takes; then everything goes on.
    @Test func closedWindowsAreProbedForDaysWhileThePeerAnswers() {
        let t = Conversation()
        t.establish()
        t.send(.ack, seq: 1, ack: 1, [], window: 0)
        t.write("abc")
        t.expectNothing()
        let start = t.now
        var probes = 0
        while t.now - start < .seconds(2 * 86_400) {
            t.wait(.seconds(5))
            while t.next() != nil {
                probes += 1
                t.send(.ack, seq: 1, ack: 1, [], window: 0)
            }
        }
        // RFC 1122 4.2.2.17: the intervals grow, to a minute here.
        #expect((2_500...3_500).contains(probes))
        t.send(.ack, seq: 1, ack: 1, [], window: 1_000)
        t.wait(.seconds(1))
        t.expect(.ack, seq: 1, ack: 1, Array("abc".utf8))
        #expect(t.stack.nextEvent() == nil)
    }

    @Test func silenceBehindAClosedWindowEnds() {
        for (timeout, bound) in [(Int64(0), 960.0), (60, 125.0)] {
            let t = Conversation { $0.userTimeout = .seconds(timeout) }
            t.establish()
            t.send(.ack, seq: 1, ack: 1, [], window: 0)
            t.write("abc")
            let seconds = end(t, within: 2_000)
            #expect(seconds != nil && seconds! <= bound)
        }
    }

    // MARK: keepalive

    /// As Redis sets up the kernel: after `tcp-keepalive` seconds three probes, a third of it apart.
    @Test func threeProbesThenTheEnd() {
        let t = Conversation { $0.keepalive = .seconds(30) }
        t.establish()
        var probes: [Int64] = []
        let start = t.now
        while t.now - start < .seconds(70) {
            t.wait(.milliseconds(100))
            while let segment = t.next() {
                if segment.flags.contains(.rst) { continue }
                // RFC 9293 3.8.4: the octet before the next one, nothing in it.
                #expect(segment.sequence == t.localISS && segment.text.isEmpty)
                probes.append((t.now - start) / 1_000_000_000)
            }
        }
        #expect(probes == [30, 40, 50])
        #expect(t.events() == .closed)
        #expect(t.stack.statistics.tcpKeepaliveProbes == 3)
    }

    @Test func answersKeepTheConnection() {
        let t = Conversation { $0.keepalive = .seconds(30) }
        t.establish()
        for _ in 0..<100 {
            t.wait(.milliseconds(30_100))
            t.expect(.ack, seq: 0, ack: 1, [])
            t.send(.ack, seq: 1, ack: 1)
        }
        #expect(t.stack.nextEvent() == nil)
    }

    /// RFC 9293 MUST-25: off unless asked for.
    @Test func offByDefault() {
        let t = Conversation()
        t.establish()
        t.wait(.seconds(100_000))
        t.expectNothing()
        #expect(t.stack.liveConnections == 1)
    }

    /// The probes of others are answered (RFC 1122 4.2.3.6), with an octet of garbage or without.
    @Test(arguments: [[], [0]] as [[UInt8]]) func probesAreAnswered(_ text: [UInt8]) {
        let t = Conversation()
        t.establish()
        t.send(.ack, seq: 0, ack: 1, text)
        t.expect(.ack, seq: 1, ack: 1)
        t.wait(.seconds(75))
        t.send(.ack, seq: 0, ack: 1, text)
        t.expect(.ack, seq: 1, ack: 1)
        #expect(t.read().isEmpty)
    }
}
