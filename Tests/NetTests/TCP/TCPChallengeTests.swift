import Runtime
import Testing

@testable import Net

/// RFC 5961: blind attackers with RST, SYN and text; and how often they are answered.
@Suite struct TCPChallenge {
    // MARK: RST (3.2)

    @Test func exactResetCloses() {
        let t = Conversation()
        t.establish()
        t.send(.ack, seq: 1, ack: 1, "abc")
        t.send(.rst, seq: 4)
        #expect(t.events() == [.readable, .closed])
        #expect(t.read() == Array("abc".utf8))
        t.stack.free(t.connection)
        t.turn()
        #expect(t.stack.controlBlocks == 0)
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test func resetElsewhereInTheWindowIsChallenged() {
        let t = Conversation()
        t.establish()
        t.send(.rst, seq: 100)
        t.expect(.ack, seq: 1, ack: 1)
        t.send(.rst, seq: 70_000)
        t.send(.rst, seq: -5)
        t.expectNothing()
        #expect(t.stack.nextEvent() == nil)
        #expect(t.stack.statistics.tcpChallengeAcks == 1)
    }

    /// The challenge tells a real peer which number is right.
    @Test func realPeerResetsAfterTheChallenge() {
        let t = Conversation()
        t.establish()
        t.send(.rst, seq: 300)
        let challenge = t.expect(.ack, seq: 1, ack: 1)!
        t.send(.rst, seq: Int(challenge.acknowledgement &- t.remoteISS))
        #expect(t.events() == .closed)
    }

    // MARK: SYN (4.2)

    /// Whatever its sequence number.
    @Test(arguments: [-100_000, 0, 1, 50, 100_000]) func synIsChallenged(_ sequence: Int) {
        let t = Conversation()
        t.establish()
        t.send(.syn, seq: sequence)
        t.expect(.ack, seq: 1, ack: 1)
        #expect(t.stack.liveConnections == 1)
        #expect(t.stack.statistics.tcpChallengeAcks == 1)
    }

    /// Timestamps do not change that: a peer that has started anew knows nothing of the old ones.
    @Test func synWithoutTheTimestampsAgreedOnIsChallenged() {
        let t = Conversation { $0.timestamps = true }
        t.timestamp = 5_000
        t.establish()
        t.timestamp = nil
        t.send(.syn, seq: 7_000)
        t.expect(.ack, seq: 1, ack: 1)
        t.now += .seconds(1)
        t.timestamp = 10
        t.send(.syn, seq: 7_000)
        t.expect(.ack, seq: 1, ack: 1)
    }

    // MARK: ACK (5.2)

    @Test func ackOfWhatWasNotSentIsChallenged() {
        let t = Conversation()
        t.establish()
        t.send(.ack, seq: 1, ack: 1000, "evil")
        t.expect(.ack, seq: 1, ack: 1)
        #expect(t.read().isEmpty)
    }

    @Test func ackOlderThanTheLargestWindowIsChallenged() {
        let t = Conversation()
        t.establish(window: 4_000)
        t.write(ramp(100))
        t.expect(.ack, seq: 1)
        t.send(.ack, seq: 1, ack: 101, [], window: 4_000)
        t.send(.ack, seq: 1, ack: 101 - 4_001, "evil", window: 4_000)
        t.expect(.ack, seq: 101, ack: 1)
        #expect(t.stack.statistics.tcpChallengeAcks == 1)
        #expect(t.read().isEmpty)
        // An old one that the peer may have sent: what comes with it counts.
        t.send(.ack, seq: 1, ack: 1, "good", window: 4_000)
        #expect(t.read() == Array("good".utf8))
    }

    // MARK: limits (7)

    @Test func oneConnectionIsAnsweredTwiceASecond() {
        let t = Conversation()
        t.establish()
        var count = 0
        for _ in 0..<1000 {
            t.now += .milliseconds(2)
            t.send(.rst, seq: 100)
            while t.next() != nil { count += 1 }
        }
        #expect(count == 4)
        #expect(t.stack.statistics.tcpChallengesSuppressed == 996)
    }

    /// Half to one and a half of the limit, another number each second.
    @Test func allConnectionsTogetherAreAnsweredWithinASecretBudget() {
        let t = Conversation { $0.challengeAcks = 20 }
        var connections: [(UInt16, UInt32)] = []
        for port in 0..<100 {
            t.remotePort = UInt16(1_000 + port)
            t.establish()
            connections.append((t.remotePort, t.localISS))
        }
        t.now = .seconds(100)
        var counts: [Int] = []
        for _ in 0..<50 {
            t.now += .seconds(1)
            var count = 0
            for (port, iss) in connections {
                (t.remotePort, t.localISS) = (port, iss)
                t.send(.rst, seq: 100)
                while t.next() != nil { count += 1 }
            }
            counts.append(count)
        }
        #expect(counts.allSatisfy { (10...30).contains($0) })
        #expect(Set(counts).count > 10)
    }

    /// Two peers who take each other's ACKs for nonsense do not answer each other for ever; a peer that has not got our
    /// ACK hears it each time it sends its text again.
    @Test func emptySegmentsOutsideTheWindowAreAnsweredSeldom() {
        let t = Conversation()
        t.establish()
        t.send(.ack, seq: 1, ack: 1, "abc")
        t.wait(.milliseconds(50))
        t.expect(.ack, seq: 1, ack: 4)
        var count = 0
        for _ in 0..<100 {
            t.now += .milliseconds(5)
            t.send(.ack, seq: 3, ack: 1)
            while t.next() != nil { count += 1 }
        }
        #expect(count == 1)
        for _ in 0..<10 {
            t.send(.ack, seq: 1, ack: 1, "abc")
            t.expect(.ack, seq: 1, ack: 4)
        }
    }

    @Test func budgetsAreSecretAndBounded() {
        let generator = SequenceGenerator(secret: (1, 2))
        let other = SequenceGenerator(secret: (1, 3))
        let budgets = (0..<1000).map { generator.challengeBudget($0, limit: 1000) }
        #expect(budgets.allSatisfy { (500...1500).contains($0) })
        #expect((800...1200).contains(budgets.reduce(0, +) / 1000))
        #expect(budgets != (0..<1000).map { other.challengeBudget($0, limit: 1000) })
    }
}
