import Runtime
import Testing

@testable import Net

/// Tail loss probes (RFC 8985 7): two round trips without an ACK, then a segment that provokes one.
@Suite struct TailLossProbes {
    @Test func theLastSegmentIsRepeated() {
        let t = Conversation.begin(text: 4)
        t.expectSegments(0..<4)
        t.wait(.milliseconds(195))
        t.expectSegments([])
        t.wait(.milliseconds(10))
        t.expectSegments([3])
        #expect(t.stack.statistics.tcpTailProbes == 1)
        #expect(t.stack.statistics.tcpTimeouts == 0)
        // One probe, then the timeout.
        t.wait(.milliseconds(150))
        t.expectSegments([])
        t.wait(.milliseconds(400))
        #expect(t.stack.statistics.tcpTimeouts == 1)
        #expect(t.takeSegments().first == 0)
    }

    @Test func newTextIsBetterThanOld() {
        let t = Conversation.begin(text: 15)
        t.expectSegments(0..<10)
        t.wait(.milliseconds(210))
        // Beyond the congestion window.
        t.expectSegments([10])
        #expect(t.stack.statistics.tcpTailProbes == 1)
        #expect(t.stack.statistics.tcpRetransmissions == 0)
        t.ack(11)
        #expect(!t.sendState.isProbing)
        #expect(t.block.ssthresh == .max)
    }

    /// The probe's SACK shows what was lost before it.
    @Test func theProbeBeginsRecovery() {
        let t = Conversation.begin(text: 6)
        t.expectSegments(0..<6)
        t.wait(.milliseconds(100))
        t.ack(3)
        t.wait(.milliseconds(215))
        t.expectSegments([5])
        t.wait(.milliseconds(100))
        t.ack(3, sacks: [5..<6])
        t.wait(.milliseconds(60))
        #expect(t.takeSegments() == [3])
        t.wait(.milliseconds(100))
        t.ack(4, sacks: [5..<6])
        t.expectSegments([4])
        t.ack(6)
        #expect(t.stack.statistics.tcpTimeouts == 0)
        #expect(t.pool.freeCount == t.pool.count)
    }

    /// The probe repaired the only loss: congestion it was (RFC 8985 7.4.2, case 2).
    @Test func aRepairedLossReducesTheWindow() {
        let t = Conversation.begin(text: 4)
        t.expectSegments(0..<4)
        t.wait(.milliseconds(100))
        t.ack(3)
        t.wait(.milliseconds(400))
        #expect(t.takeSegments().first == 3)
        t.ack(4)
        #expect(t.block.ssthresh == .max || t.stack.statistics.tcpTimeouts > 0)
    }

    @Test func anAckBeyondTheProbeTellsOfTheLoss() {
        let t = Conversation.begin(text: 4)
        t.expectSegments(0..<4)
        t.wait(.milliseconds(210))
        t.expectSegments([3])
        // Everything arrives, and more text was written meanwhile.
        t.write(ramp(1_000, from: 4_000))
        t.expectSegments([4])
        t.ack(5)
        #expect(t.block.ssthresh != .max)
        #expect(t.block.send == nil)
    }

    /// D-SACK: the last segment had arrived, its ACK was late. Nothing is reduced (case 1).
    @Test func aReportedProbeReducesNothing() {
        let t = Conversation.begin(text: 4)
        t.expectSegments(0..<4)
        t.wait(.milliseconds(210))
        t.expectSegments([3])
        t.ack(4)
        #expect(t.sendState.isProbing)
        t.ack(4, sacks: [3..<4])
        #expect(!t.sendState.isProbing)
        t.write(ramp(1_000, from: 4_000))
        t.expectSegments([4])
        t.ack(5)
        #expect(t.block.ssthresh == .max)
        #expect(t.sendState.windowFactor == 1)
    }

    @Test func withoutSackThereAreNoProbes() {
        let t = Conversation.begin(text: 4, sack: false)
        t.expectSegments(0..<4)
        t.wait(.milliseconds(290))
        t.expectSegments([])
        t.wait(.milliseconds(30))
        t.expectSegments([0])
        #expect(t.stack.statistics.tcpTailProbes == 0)
        #expect(t.stack.statistics.tcpTimeouts == 1)
    }

    /// The ACK of a single segment may be delayed: the timeout comes before a probe would.
    @Test func aSingleSegmentIsNotProbed() {
        let t = Conversation.begin(text: 1)
        t.expectSegments([0])
        t.wait(.milliseconds(290))
        t.expectSegments([])
        t.wait(.milliseconds(30))
        t.expectSegments([0])
        #expect(t.stack.statistics.tcpTailProbes == 0)
    }

    @Test func aLostFinIsProbed() {
        let t = Conversation.begin(text: 3)
        t.expectSegments(0..<3)
        t.stack.shutdown(t.connection)
        t.turn()
        t.expect([.fin, .ack], seq: 3_001)
        t.wait(.milliseconds(230))
        t.expect([.fin, .ack], seq: 3_001)
        #expect(t.stack.statistics.tcpTailProbes == 1)
        t.send(.ack, seq: 1, ack: 3_002)
        #expect(t.block.state == .finWait2)
    }

    /// A reply alone, after round trips that scattered: the timeout is long, the probe is not, and it costs no window.
    @Test func aLoneSegmentIsProbedBeforeALongTimeout() {
        let t = Conversation.begin(text: 0)
        for number in 0..<3 {
            t.write(ramp(Conversation.size, from: number * Conversation.size))
            t.expectSegments([number])
            t.wait(.milliseconds(290))
            t.ack(number + 1)
        }
        let timeout = t.block.estimator.timeout(floor: .milliseconds(200))
        let probe = 2 * Nanoseconds(t.block.estimator.smoothed >> 3) * 1_000 + .milliseconds(200)
        #expect(probe + .milliseconds(50) < timeout)
        #expect(t.block.send == nil)
        t.write(ramp(Conversation.size, from: 3_000))
        t.expectSegments([3])
        #expect(t.block.send == nil)
        t.wait(probe - .milliseconds(5))
        t.expectSegments([])
        t.wait(.milliseconds(10))
        t.expectSegments([3])
        #expect(t.stack.statistics.tcpTailProbes == 1)
        #expect(t.stack.statistics.tcpTimeouts == 0)
        #expect(t.block.ssthresh == .max)
        // One probe, then the timeout, counted from the probe.
        t.wait(timeout - .milliseconds(20))
        t.expectSegments([])
        t.wait(.milliseconds(40))
        t.expectSegments([3])
        #expect(t.stack.statistics.tcpTimeouts == 1)
        t.ack(4)
        #expect(t.block.send == nil)
        #expect(t.pool.freeCount == t.pool.count)
    }
}
