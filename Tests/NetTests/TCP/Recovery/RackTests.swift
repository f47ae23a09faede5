import Runtime
import Testing

@testable import Net

/// Loss detection by time (RFC 8985 6).
@Suite struct RackDetection {
    /// Less than three sacked segments: a quarter of the round trip is waited, in case it was reordering.
    @Test func theReorderingWindowPasses() {
        let t = Conversation.begin(text: 5)
        t.expectSegments(0..<5)
        t.wait(.milliseconds(100))
        t.ack(0, sacks: [1..<2])
        t.wait(.milliseconds(20))
        t.expectSegments([])
        t.wait(.milliseconds(10))
        t.expectSegments([0])
        #expect(t.isRecovering)
        #expect(t.stack.statistics.tcpTimeouts == 0)
    }

    @Test func whatIsLateByLessIsNotSentAgain() {
        let t = Conversation.begin(text: 5)
        t.expectSegments(0..<5)
        t.wait(.milliseconds(100))
        t.ack(0, sacks: [1..<2])
        t.wait(.milliseconds(20))
        t.ack(2)
        t.ack(5)
        t.wait(.milliseconds(500))
        t.expectSegments([])
        #expect(!t.isRecovering)
        #expect(t.stack.statistics.tcpRecoveries == 0)
        // What was learnt is kept: the path reorders.
        #expect(t.sendState.hasReordering)
    }

    /// Once reordering was seen, three segments do not stand for a loss any more: only time does.
    @Test func afterReorderingOnlyTimeCounts() {
        let t = Conversation.begin(text: 5)
        t.expectSegments(0..<5)
        t.wait(.milliseconds(100))
        t.ack(0, sacks: [1..<2])
        t.ack(5)
        t.write(ramp(8_000, from: 5_000))
        t.expectSegments(5..<13)
        t.wait(.milliseconds(100))
        t.ack(5, sacks: [6..<13])
        t.expectSegments([])
        t.wait(.milliseconds(30))
        t.expectSegments([5])
    }

    /// The segments of one flight that are missing are all found at once, whatever their number.
    @Test func manyLossesOfOneFlight() {
        let t = Conversation.begin(text: 10)
        t.expectSegments(0..<10)
        t.wait(.milliseconds(100))
        t.ack(0, sacks: [9..<10])
        t.wait(.milliseconds(30))
        // PRR: one leaves at once, more as they are acknowledged.
        var sent = t.takeSegments()
        #expect(sent.first == 0)
        for _ in 0..<12 where sent.count < 9 {
            t.wait(.milliseconds(20))
            t.ack(sent.count, sacks: [9..<10])
            sent += t.takeSegments()
        }
        #expect(sent == Array(0..<9))
        #expect(t.stack.statistics.tcpTimeouts == 0)
        t.ack(10)
        #expect(t.pool.freeCount == t.pool.count)
    }

    /// A segment that got lost twice: what was sent after its second transmission has arrived.
    @Test func lostRetransmissionIsFound() {
        let t = Conversation.begin(text: 20)
        t.expectSegments(0..<10)
        t.wait(.milliseconds(100))
        t.ack(0, sacks: [1..<10])
        var sent = t.takeSegments()
        #expect(sent.first == 0 && sent.count > 2)
        // The text behind 0 arrives, 0 does not.
        t.wait(.milliseconds(100))
        t.ack(0, sacks: [1..<(sent.max()! + 1)])
        sent = t.takeSegments()
        #expect(sent.first == 0)
        #expect(t.stack.statistics.tcpTimeouts == 0)
        t.wait(.milliseconds(100))
        t.ack(10)
        #expect(t.stack.statistics.tcpTimeouts == 0)
    }

    /// D-SACK says that it was not lost: the window grows by a quarter of the round trip, for a while.
    @Test func reportedDuplicatesEnlargeTheWindow() {
        let t = Conversation.begin(text: 20)
        t.expectSegments(0..<10)
        t.wait(.milliseconds(100))
        t.ack(0, sacks: [1..<4])
        #expect(t.takeSegments().first == 0)
        t.ack(10)
        _ = t.takeSegments()
        t.wait(.milliseconds(50))
        t.ack(10, sacks: [0..<1])
        #expect(t.stack.statistics.tcpSpuriousRetransmissions == 1)
        #expect(t.sendState.windowFactor == 2)
        #expect(t.sendState.windowPersists == 16)
        // Once a round trip.
        t.ack(10, sacks: [0..<1])
        #expect(t.sendState.windowFactor == 2)
    }

    /// The least round trip is a quarter's base, and the smoothed one is its bound (RFC 8985 6.2 step 4).
    @Test func samplesComeFromSackedSegments() {
        let t = Conversation.begin(text: 5)
        t.expectSegments(0..<5)
        t.wait(.milliseconds(60))
        t.ack(0, sacks: [4..<5])
        #expect(t.sendState.leastRoundTrip >= .milliseconds(60))
        #expect(t.sendState.leastRoundTrip < .milliseconds(62))
    }

    /// Whether a frame that was sent twice tells of its second transmission is ambiguous: an answer that comes sooner than
    /// any round trip does not (RFC 8985 6.2 step 2).
    @Test func tooQuickAnswersAreOfTheOriginal() {
        let t = Conversation.begin(text: 10)
        t.expectSegments(0..<10)
        t.wait(.milliseconds(100))
        t.ack(0, sacks: [1..<4])
        t.expectSegments([0])
        let before = t.sendState.rackStamp
        t.wait(.milliseconds(5))
        t.ack(1, sacks: [1..<4])
        t.ack(4)
        #expect(t.sendState.rackStamp == before)
        t.expectSegments([])
    }
}
