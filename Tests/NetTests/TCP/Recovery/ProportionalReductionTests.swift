import Runtime
import Testing

@testable import Net

/// What leaves in recovery (RFC 9937), and how much at once.
@Suite struct ProportionalReduction {
    /// With 20 in flight and a threshold of 14, seven leave for each ten that arrive.
    @Test func theWindowFallsWithinARoundTrip() {
        let t = Conversation.begin(text: 0)
        t.setWindow(20)
        t.write(ramp(60_000))
        t.expectSegments(0..<20)
        t.wait(.milliseconds(100))
        var sent: [Int] = []
        for last in 1..<20 {
            t.ack(0, sacks: [1..<(last + 1)])
            sent += t.takeSegments()
        }
        #expect(t.isRecovering)
        #expect(sent.contains(0))
        // Two before recovery began, 0, and then as many as the threshold needs.
        #expect(t.block.pipe <= 14_000 && t.block.pipe >= 13_000)
        t.wait(.milliseconds(100))
        t.ack(20)
        #expect(t.window == 14)
    }

    /// Nearly all of the flight is lost: what arrives lets leave one more than that, not a burst up to the threshold.
    @Test func belowTheThresholdItFillsOneForOne() {
        let t = Conversation.begin(text: 0)
        t.setWindow(40)
        t.write(ramp(40_000))
        t.stack.output(now: t.now)
        t.turn()
        t.expectSegments(0..<40)
        t.wait(.milliseconds(100))
        t.ack(0, sacks: [37..<40])
        // Three were delivered.
        #expect(t.takeSegments() == [0, 1, 2])
        t.wait(.milliseconds(100))
        t.ack(1, sacks: [37..<40])
        // sndUna moves and nothing more is lost: one more.
        #expect(t.takeSegments() == [3, 4])
        t.ack(2, sacks: [37..<40])
        #expect(t.takeSegments() == [5, 6])
    }

    /// 32 segments a turn; the rest in the next, which is due at once.
    @Test func burstsAreBounded() {
        let t = Conversation.begin(text: 0)
        t.setWindow(60)
        let text = ramp(60_000)
        t.write(text, flush: false)
        t.stack.output(now: t.now)
        #expect(t.stack.transmitQueue.count == 32)
        #expect(t.stack.nextDeadline.map { $0 <= t.now } == true)
        t.stack.output(now: t.now)
        #expect(t.stack.transmitQueue.count == 60)
        t.turn()
        t.expectSegments(0..<60)
        #expect(t.stack.nextDeadline.map { $0 > t.now } == true)
    }

    /// The queue of a fast connection grows with its window beyond `sendFrames`, but not into what others need.
    @Test func theQueueGrowsWithTheWindow() {
        let t = Conversation.begin(text: 0) { $0.sendFrames = 16 }
        let text = ramp(400_000)
        t.write(text)
        #expect(t.block.sndFrames <= 20)
        #expect(t.takeSegments().count == 10)
        for step in 1...12 {
            t.wait(.milliseconds(100))
            t.ack(step * 10, window: 65_535)
            _ = t.takeSegments()
        }
        #expect(t.block.sndFrames > 32)
        #expect(Int(t.block.sndFrames) <= t.pool.count / 4)
    }
}
