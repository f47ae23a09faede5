import Runtime
import Testing

@testable import Net

/// Recovery by SACK blocks (RFC 2018, RFC 6675): the holes are sent again, and nothing else.
@Suite struct SackRecovery {
    @Test func threeSackedSegmentsBeginRecovery() {
        let t = Conversation.begin(text: 10)
        t.expectSegments(0..<10)
        t.wait(.milliseconds(100))
        t.ack(0, sacks: [1..<2])
        t.ack(0, sacks: [1..<3])
        t.expectSegments([])
        t.ack(0, sacks: [1..<4])
        t.expectSegments([0])
        #expect(t.isRecovering)
        #expect(t.stack.statistics.tcpRecoveries == 1)
        t.ack(10)
        t.expectSegments([])
        #expect(!t.isRecovering)
        #expect(t.block.send == nil)
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test(arguments: [false, true]) func onlyHolesAreSentAgain(_ timestamps: Bool) {
        let t = Conversation.begin(text: 10, timestamps: timestamps)
        t.expectSegments(0..<10)
        t.wait(.milliseconds(100))
        t.ack(0, sacks: [6..<10, 4..<5, 1..<3])
        t.expectSegments([0, 3, 5])
        t.wait(.milliseconds(100))
        t.ack(3, sacks: [6..<10, 4..<5])
        t.ack(10)
        t.expectSegments([])
        #expect(t.stack.statistics.tcpRetransmissions == 3)
        #expect(t.stack.statistics.tcpTimeouts == 0)
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test func newTextFollowsTheHoles() {
        let t = Conversation.begin(text: 20)
        t.expectSegments(0..<10)
        t.wait(.milliseconds(100))
        // Each sacked segment has left the network (RFC 6675 "pipe"): another one may enter it.
        t.ack(0, sacks: [1..<2])
        t.expectSegments([10])
        t.ack(0, sacks: [1..<3])
        t.expectSegments([11])
        t.ack(0, sacks: [1..<4])
        t.expectSegments([0])
        t.wait(.milliseconds(100))
        t.ack(12)
        #expect(!t.isRecovering)
        // CUBIC's threshold: seven tenths.
        #expect(t.window >= 7 && t.window < 8)
        t.expectSegments(12..<19)
    }

    @Test func recoveryEndsWithWhatWasInFlightWhenItBegan() {
        let t = Conversation.begin(text: 20)
        t.expectSegments(0..<10)
        t.wait(.milliseconds(100))
        t.ack(0, sacks: [2..<10])
        // 0 and 1 again, and new text for the rest of the window: ssthresh - pipe.
        let sent = t.takeSegments()
        #expect(sent.prefix(2) == [0, 1] && sent.count == 7)
        t.wait(.milliseconds(100))
        t.ack(1, sacks: [2..<10])
        #expect(t.isRecovering)
        t.ack(10)
        #expect(!t.isRecovering)
        #expect(t.stack.statistics.tcpRetransmissions == 2)
    }

    /// A loss in the window after recovery is another event.
    @Test func twoRecoveriesReduceTwice() {
        let t = Conversation.begin(text: 40)
        t.expectSegments(0..<10)
        t.wait(.milliseconds(100))
        t.ack(0, sacks: [1..<10])
        let sent = t.takeSegments()
        let first = t.block.ssthresh
        t.wait(.milliseconds(100))
        t.ack(10)
        _ = t.takeSegments()
        // The first segment after recovery's begin got lost too.
        t.wait(.milliseconds(100))
        t.ack(10, sacks: [11..<(sent.max()! + 1)])
        #expect(t.isRecovering)
        #expect(t.takeSegments().first == 10)
        #expect(t.block.ssthresh < first)
        #expect(t.stack.statistics.tcpRecoveries == 2)
    }

    @Test func aBlockCoversWholeSegmentsOnly() {
        let t = Conversation.begin(text: 10)
        t.expectSegments(0..<10)
        t.wait(.milliseconds(100))
        t.ack(0, octets: [1_500..<4_500])
        #expect(t.sendState.sackedFrames == 2)
        #expect(t.sendState.sackedBytes == 2_000)
        // The rest of both: the frames at its edges are whole now.
        t.ack(0, octets: [1_001..<5_001])
        #expect(t.sendState.sackedFrames == 4)
    }

    /// Blocks that cannot be true are not believed: reversed, beyond what was sent, below or at the ACK, far away.
    @Test func nonsenseIsIgnored() {
        let t = Conversation.begin(text: 10)
        t.expectSegments(0..<10)
        t.wait(.milliseconds(100))
        let blocks = [5_001..<10_001].map { ($0.upperBound, $0.lowerBound) }
        for (left, right) in blocks + [(9_001, 10_002), (1, 3_001), (-5_000, 4_001), (2_000_000_000, 2_000_001_000)] {
            t.ack(0)
            var options: [UInt8] = [1, 1, 5, 10]
            for edge in [left, right] {
                let value = t.localISS &+ UInt32(truncatingIfNeeded: edge)
                options += (0..<4).map { UInt8(value >> (24 - 8 * $0) & 255) }
            }
            t.send(.ack, seq: 1, ack: 1, [], options: options)
            #expect(t.sendState.sackedFrames == 0)
        }
        // An option that is cut off, or of a length that no block has.
        t.send(.ack, seq: 1, ack: 1, [], options: [1, 1, 5, 40])
        t.send(.ack, seq: 1, ack: 1, [], options: [1, 5, 9] + [UInt8](repeating: 0, count: 9))
        t.expectSegments([])
        #expect(t.sendState.sackedFrames == 0)
        t.ack(10)
        #expect(t.pool.freeCount == t.pool.count)
    }

    /// ACKs that repeat nothing but the number say nothing to a sender that knows SACK.
    @Test func duplicateAcksWithoutBlocksDoNotCount() {
        let t = Conversation.begin(text: 10)
        t.expectSegments(0..<10)
        for _ in 0..<8 { t.ack(0) }
        t.expectSegments([])
        #expect(!t.isRecovering)
    }

    /// RFC 2018 8: the receiver may throw away what it had reported. Nothing is freed before it is acknowledged, and a timeout
    /// sends it again.
    @Test func reportedTextMayBeTakenBack() {
        let t = Conversation.begin(text: 6)
        t.expectSegments(0..<6)
        t.wait(.milliseconds(100))
        t.ack(0, sacks: [1..<6])
        t.expectSegments([0])
        t.wait(.milliseconds(100))
        // 1...5 are gone at the receiver.
        t.ack(1)
        t.expectSegments([])
        t.wait(.milliseconds(600))
        #expect(t.stack.statistics.tcpTimeouts == 1)
        #expect(t.sendState.sackedFrames == 0)
        t.expectSegments([1])
        t.ack(2)
        t.expectSegments([2, 3])
        t.ack(4)
        _ = t.takeSegments()
        t.ack(6)
        #expect(t.pool.freeCount == t.pool.count)
    }

    /// A timeout keeps the reports (RFC 6675 5.1): only what is missing leaves again. The next one in a row does not trust
    /// them any more.
    @Test func aTimeoutSendsOnlyWhatIsMissing() {
        let t = Conversation.begin(text: 6)
        t.expectSegments(0..<6)
        t.wait(.milliseconds(100))
        t.ack(0, sacks: [1..<3, 4..<6])
        t.expectSegments([0, 3])
        t.wait(.milliseconds(450))
        #expect(t.stack.statistics.tcpTimeouts == 1)
        t.expectSegments([0])
        t.ack(3, sacks: [4..<6])
        t.expectSegments([3])
        t.ack(6)
        t.expectSegments([])
        #expect(t.stack.statistics.tcpRetransmissions == 4)
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test func aSecondTimeoutForgetsTheReports() {
        let t = Conversation.begin(text: 4)
        t.expectSegments(0..<4)
        t.wait(.milliseconds(100))
        t.ack(0, sacks: [1..<4])
        t.wait(.seconds(2))
        #expect(t.stack.statistics.tcpTimeouts >= 2)
        #expect(t.sendState.sackedFrames == 0)
        #expect(Set(t.takeSegments()) == [0])
        t.ack(1)
        t.expectSegments([1, 2])
    }

    @Test func lostFinLeavesAgain() {
        let t = Conversation.begin(text: 3)
        t.expectSegments(0..<3)
        t.stack.shutdown(t.connection)
        t.turn()
        t.expect([.fin, .ack], seq: 3_001)
        t.wait(.milliseconds(100))
        t.ack(3)
        t.wait(.milliseconds(500))
        t.expect([.fin, .ack], seq: 3_001)
        t.send(.ack, seq: 1, ack: 3_002)
        #expect(t.block.state == .finWait2)
        #expect(t.block.send == nil)
    }

    /// Text and FIN are lost together.
    @Test func lostTextAndFinLeaveAgain() {
        let t = Conversation.begin(text: 3)
        t.expectSegments(0..<3)
        t.stack.shutdown(t.connection)
        t.turn()
        t.expect([.fin, .ack], seq: 3_001)
        t.wait(.seconds(1))
        var seen: Set<Int> = []
        for _ in 0..<6 {
            while let segment = t.next() { seen.insert(Int(segment.sequence &- t.localISS)) }
            t.ack(t.block.sndUna == SequenceNumber(t.localISS &+ 1) ? 1 : 3)
        }
        while let segment = t.next() { seen.insert(Int(segment.sequence &- t.localISS)) }
        #expect(seen == [1, 1_001, 2_001, 3_001])
        t.send(.ack, seq: 1, ack: 3_002)
        #expect(t.block.state == .finWait2)
    }
}
