import Runtime
import Testing

@testable import Net

/// Slow start and congestion avoidance as a peer sees them (RFC 5681 3.1, RFC 3465, RFC 6928, RFC 7661).
@Suite struct WindowGrowth {
    private let mss = 1_460

    private func conversation(_ policy: CongestionControl = .cubic) -> Conversation {
        let t = Conversation(frames: 2_048) {
            $0.congestionControl = policy
            $0.sendFrames = 1_024
        }
        t.establish(options: Conversation.mss(1_460) + [3, 3, 7], window: 65_535)
        t.send(.ack, seq: 1, ack: 1, window: 60_000)
        return t
    }

    private func block(_ t: Conversation) -> Block { t.connection.block }

    /// Segments that left since the last look. A turn has a bound: what is left over leaves in turns that follow at once.
    private func count(_ t: Conversation) -> Int {
        var count = 0
        while true {
            let before = count
            while t.next() != nil { count += 1 }
            if count == before { return count }
            t.turn()
        }
    }

    @Test(arguments: CongestionControl.allCases) func slowStartDoublesARoundTrip(_ policy: CongestionControl) {
        let t = conversation(policy)
        t.write(ramp(400 * mss))
        var una = 0
        var sent = count(t)
        #expect(sent == 10)
        for _ in 0..<3 {
            t.now += .milliseconds(20)
            // An ACK for each second segment.
            for _ in 0..<sent / 2 {
                una += 2
                t.send(.ack, seq: 1, ack: 1 + una * mss, window: 60_000)
            }
            let next = count(t)
            #expect(next == 2 * sent)
            sent = next
        }
    }

    /// An ACK of many segments opens the window by all of them.
    @Test func anAckAddsWhatItAcknowledges() {
        let t = conversation()
        block(t).pointee.cwnd = 60 * 1_460
        block(t).pointee.idleSince = t.stack.nowMilliseconds
        t.write(ramp(400 * mss))
        #expect(count(t) == 60)
        t.send(.ack, seq: 1, ack: 1 + 20 * mss, window: 60_000)
        #expect(block(t).pointee.cwnd == 80 * 1_460)
        t.send(.ack, seq: 1, ack: 1 + 60 * mss, window: 60_000)
        #expect(block(t).pointee.cwnd == 120 * 1_460)
    }

    /// RFC 3465 2.3: one segment an ACK while what was sent before a timeout is not acknowledged.
    @Test func afterATimeoutOneSegmentAnAck() {
        let t = conversation()
        t.write(ramp(400 * mss))
        #expect(count(t) == 10)
        t.wait(.milliseconds(1_100))
        #expect(block(t).pointee.cwnd == 1_460)
        t.send(.ack, seq: 1, ack: 1 + 4 * mss, window: 60_000)
        #expect(block(t).pointee.cwnd == 2 * 1_460)
    }

    @Test func newRenoAddsASegmentARoundTrip() {
        let t = conversation(.newReno)
        block(t).pointee.ssthresh = 10 * 1_460
        t.write(ramp(400 * mss))
        var una = 0
        for round in 0..<5 {
            let sent = count(t)
            #expect(sent == 10 + round)
            for _ in 0..<sent {
                una += 1
                t.send(.ack, seq: 1, ack: 1 + una * mss, window: 60_000)
            }
        }
    }

    /// The window does not grow by ACKs of a trickle (RFC 9438 5.8).
    @Test(arguments: CongestionControl.allCases) func aTrickleProvesNothing(_ policy: CongestionControl) {
        let t = conversation(policy)
        for index in 0..<100 {
            t.write(ramp(3 * mss))
            t.now += .milliseconds(20)
            t.send(.ack, seq: 1, ack: 1 + (index + 1) * 3 * mss, window: 60_000)
        }
        #expect(block(t).pointee.cwnd == 10 * 1_460)
    }

    /// Bursts that do not fill the window after it grew, but did fill it before, go on to let it grow.
    @Test func burstsAreNotStarved() {
        let t = conversation()
        var una = 0
        for _ in 0..<4 {
            t.write(ramp(40 * mss))
            var left = 40
            while left > 0 {
                let sent = count(t)
                guard sent > 0 else { break }
                left -= sent
                t.now += .milliseconds(20)
                for _ in 0..<sent {
                    una += 1
                    t.send(.ack, seq: 1, ack: 1 + una * mss, window: 60_000)
                }
            }
        }
        #expect(block(t).pointee.cwnd >= 40 * 1_460)
    }

    // MARK: idleness (RFC 5681 4.1)

    @Test func afterIdlenessTheInitialWindow() {
        let t = conversation()
        t.write(ramp(20 * mss))
        #expect(count(t) == 10)
        t.now += .milliseconds(20)
        t.send(.ack, seq: 1, ack: 1 + 10 * mss, window: 60_000)
        #expect(count(t) == 10)
        t.send(.ack, seq: 1, ack: 1 + 20 * mss, window: 60_000)
        block(t).pointee.cwnd = 100 * 1_460
        block(t).pointee.wMax = 120 * 1_460
        // Not idle for long enough: the whole window.
        t.now += .milliseconds(100)
        t.write(ramp(60 * mss))
        #expect(count(t) == 60)
        t.send(.ack, seq: 1, ack: 1 + 80 * mss, window: 60_000)
        block(t).pointee.cwnd = 100 * 1_460
        t.now += .seconds(3)
        t.write(ramp(60 * mss))
        #expect(count(t) == 10)
        #expect(block(t).pointee.ssthresh >= 75 * 1_460)
        #expect(block(t).pointee.wMax == 120 * 1_460)
    }

    /// Small replies in between prove nothing of a large window.
    @Test func smallRepliesDoNotKeepALargeWindow() {
        let t = conversation()
        t.write(ramp(10 * mss))
        #expect(count(t) == 10)
        t.send(.ack, seq: 1, ack: 1 + 10 * mss, window: 60_000)
        block(t).pointee.cwnd = 100 * 1_460
        var una = 1 + 10 * mss
        for _ in 0..<30 {
            t.write("+OK\r\n")
            #expect(count(t) == 1)
            una += 5
            t.now += .milliseconds(100)
            t.send(.ack, seq: 1, ack: una, window: 60_000)
        }
        t.write(ramp(60 * mss))
        #expect(count(t) == 10)
    }

    // MARK: events

    @Test func aTimeoutForgetsTheOldWindow() {
        let t = conversation()
        block(t).pointee.wMax = 77
        t.write(ramp(60 * mss))
        #expect(count(t) == 10)
        t.wait(.milliseconds(1_100))
        // 0.7 of ten segments.
        #expect(block(t).pointee.ssthresh == 7 * 1_460)
        #expect(block(t).pointee.wMax == 0)
    }

    @Test func aSpuriousEventIsUndone() {
        let t = conversation()
        t.write(ramp(60 * mss))
        #expect(count(t) == 10)
        let b = block(t)
        b.pointee.ssthresh = 9 * 1_460
        t.stack.congestionEvent(b)
        #expect(b.pointee.ssthresh == 7 * 1_460)
        #expect(b.pointee.wMax == 10 * 1_460)
        b.pointee.cwnd = 7 * 1_460
        t.stack.congestionUndo(b)
        #expect(b.pointee.cwnd == 10 * 1_460)
        #expect(b.pointee.ssthresh == 9 * 1_460)
        #expect(b.pointee.wMax == 0)
        // Once.
        b.pointee.cwnd = 5 * 1_460
        t.stack.congestionUndo(b)
        #expect(b.pointee.cwnd == 5 * 1_460)
    }

    @Test func newRenoHalvesTheFlight() {
        let t = conversation(.newReno)
        t.write(ramp(60 * mss))
        #expect(count(t) == 10)
        t.stack.congestionEvent(block(t))
        #expect(block(t).pointee.ssthresh == 5 * 1_460)
    }
}
