import Runtime
import Testing

@testable import Net

@Suite struct TCPRetransmission {
    /// Milliseconds until the next segment leaves, in steps of 10.
    private func untilNext(_ t: Conversation, limit: Int = 100_000) -> (Int, SentSegment)? {
        for step in 1...limit {
            t.wait(.milliseconds(10))
            if let segment = t.next() { return (step * 10, segment) }
        }
        return nil
    }

    @Test func timeoutBacksOffExponentially() {
        let t = Conversation()
        t.establish()
        t.write("hello")
        t.expect(.ack, seq: 1, ack: 1, Array("hello".utf8))
        var gaps: [Int] = []
        for _ in 0..<6 {
            guard let (gap, segment) = untilNext(t) else { break }
            #expect(segment.text == Array("hello".utf8))
            #expect(segment.checksumsValid)
            gaps.append(gap)
        }
        for (gap, expected) in zip(gaps, [200, 400, 800, 1_600, 3_200, 6_400]) {
            #expect(gap >= expected && gap <= expected + 20)
        }
        #expect(gaps.count == 6)
        t.send(.ack, seq: 1, ack: 6)
        #expect(t.pool.freeCount == t.pool.count)
        t.wait(.seconds(200))
        t.expectNothing()
    }

    @Test func connectionIsGivenUpInTheEnd() {
        let t = Conversation { $0.maxRetransmissions = 5 }
        t.establish()
        t.write("x")
        t.wait(.seconds(60))
        var count = 0
        var last: SentSegment?
        while let segment = t.next() {
            count += 1
            last = segment
        }
        #expect(count == 7)
        #expect(last?.flags.contains(.rst) == true)
        #expect(t.events() == .closed)
        t.stack.free(t.connection)
        #expect(t.stack.controlBlocks == 0)
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test func afterATimeoutSlowStartGoesThroughWhatWasSent() {
        let t = Conversation()
        t.establish()
        t.write(ramp(5 * 1460))
        for index in 0..<5 { t.expect(.ack, seq: 1 + index * 1460) }
        t.wait(.milliseconds(250))
        t.expect(.ack, seq: 1, ack: 1, ramp(1460))
        t.expectNothing()
        t.send(.ack, seq: 1, ack: 1461)
        t.expect(.ack, seq: 1461)
        t.expect(.ack, seq: 2921)
        t.expectNothing()
        // The rest had arrived: sndNxt jumps.
        t.send(.ack, seq: 1, ack: 7301)
        t.expectNothing()
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test func retransmissionCarriesTheNewestAck() {
        let t = Conversation()
        t.establish()
        t.write("x")
        t.expect(.ack, seq: 1, ack: 1)
        t.send(.ack, seq: 1, ack: 1, "abc")
        t.wait(.milliseconds(60))
        t.expect(.ack, seq: 2, ack: 4)
        t.wait(.milliseconds(300))
        t.expect(.ack, seq: 1, ack: 4, Array("x".utf8))
    }

    @Test func roundTripSetsTheTimeout() {
        var estimator = RoundTripEstimator()
        #expect(estimator.timeout(floor: .milliseconds(200)) == .seconds(1))
        estimator.sample(.milliseconds(500))
        // SRTT + 4 * RTTVAR = R + 4 * R / 2.
        #expect(estimator.timeout(floor: .milliseconds(200)) == .milliseconds(1_500))
        for _ in 0..<100 { estimator.sample(.milliseconds(500)) }
        let settled = estimator.timeout(floor: .milliseconds(200))
        #expect(settled >= .milliseconds(499) && settled < .milliseconds(510))
        for _ in 0..<200 { estimator.sample(.microseconds(30)) }
        #expect(estimator.timeout(floor: .milliseconds(200)) == .milliseconds(200))
        #expect(estimator.timeout(floor: .milliseconds(200), backoff: 3) == .milliseconds(1_600))
        #expect(estimator.timeout(floor: .milliseconds(200), backoff: 200) == .seconds(60))
    }

    /// Karn: an ACK of a segment that left twice says nothing.
    @Test func ambiguousSamplesAreNotTaken() {
        let t = Conversation()
        t.establish()
        t.write("a")
        _ = t.next()
        t.wait(.milliseconds(210))
        t.expect(.ack, seq: 1)
        t.wait(.milliseconds(300))
        let before = t.connection.block.pointee.estimator.timeout(floor: 0)
        t.send(.ack, seq: 1, ack: 2)
        #expect(t.connection.block.pointee.estimator.timeout(floor: 0) == before)
    }

    // MARK: fast retransmit

    @Test func threeDuplicateAcksRetransmit() {
        let t = Conversation()
        t.establish()
        t.write(ramp(8 * 1460))
        for index in 0..<8 { t.expect(.ack, seq: 1 + index * 1460) }
        t.send(.ack, seq: 1, ack: 1)
        t.send(.ack, seq: 1, ack: 1)
        t.expectNothing()
        t.send(.ack, seq: 1, ack: 1)
        t.expect(.ack, seq: 1, ack: 1, ramp(1460))
        t.expectNothing()
        #expect(t.stack.statistics.tcpFastRetransmits == 1)
        t.send(.ack, seq: 1, ack: 1 + 8 * 1460)
        // RFC 6582: cwnd becomes min(ssthresh, flight + mss) = 2 * mss at the end of recovery.
        #expect(t.connection.block.pointee.cwnd == 2 * 1460)
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test func limitedTransmitSendsNewTextOnTheFirstTwoDuplicates() {
        let t = Conversation()
        t.establish()
        t.write(ramp(14 * 1460))
        for index in 0..<10 { t.expect(.ack, seq: 1 + index * 1460) }
        t.send(.ack, seq: 1, ack: 1)
        t.expect(.ack, seq: 1 + 10 * 1460)
        t.send(.ack, seq: 1, ack: 1)
        t.expect(.ack, seq: 1 + 11 * 1460)
        t.send(.ack, seq: 1, ack: 1)
        t.expect(.ack, seq: 1)
        t.expectNothing()
    }

    @Test func partialAcksRetransmitTheNextHole() {
        let t = Conversation()
        t.establish()
        t.write(ramp(8 * 1460))
        for index in 0..<8 { t.expect(.ack, seq: 1 + index * 1460) }
        for _ in 0..<3 { t.send(.ack, seq: 1, ack: 1) }
        t.expect(.ack, seq: 1)
        // Segments 0, 2 and 5 were lost.
        t.send(.ack, seq: 1, ack: 1 + 2 * 1460)
        t.expect(.ack, seq: 1 + 2 * 1460)
        t.send(.ack, seq: 1, ack: 1 + 5 * 1460)
        t.expect(.ack, seq: 1 + 5 * 1460)
        t.send(.ack, seq: 1, ack: 1 + 8 * 1460)
        t.expectNothing()
        #expect(t.stack.statistics.tcpTimeouts == 0)
        #expect(t.stack.statistics.tcpFastRetransmits == 1)
    }

    @Test func notEveryRepeatedAckIsADuplicate() {
        let t = Conversation()
        t.establish()
        // Nothing in flight.
        for _ in 0..<5 { t.send(.ack, seq: 1, ack: 1) }
        t.write("x")
        t.expect(.ack, seq: 1)
        // The window changes, or there is text.
        for index in 0..<5 { t.send(.ack, seq: 1, ack: 1, window: 1_000 + index) }
        for index in 0..<5 { t.send(.ack, seq: 1 + index, ack: 1, "y") }
        while let segment = t.next() { #expect(segment.text.isEmpty) }
        #expect(t.stack.statistics.tcpFastRetransmits == 0)
    }

    /// RFC 6582 3.2 step 1: duplicates of what was sent before a timeout do not start a recovery.
    @Test func noFastRetransmitBelowRecover() {
        let t = Conversation()
        t.establish()
        t.write(ramp(6 * 1460))
        while t.next() != nil {}
        t.wait(.milliseconds(210))
        t.expect(.ack, seq: 1)
        t.send(.ack, seq: 1, ack: 1461)
        while t.next() != nil {}
        for _ in 0..<5 { t.send(.ack, seq: 1, ack: 1461) }
        #expect(t.stack.statistics.tcpFastRetransmits == 0)
    }

    @Test func framesStillInTheDeviceAreNotRewritten() {
        let t = Conversation()
        t.establish()
        t.write(ramp(100), flush: false)
        t.stack.output(now: t.now)
        // Nobody takes the frame from the transmit queue for long.
        let first = t.stack.transmitQueue.peek()
        t.now += .milliseconds(300)
        t.stack.advanceTimers(now: t.now)
        t.stack.output(now: t.now)
        #expect(t.stack.transmitQueue.count == 2)
        #expect(t.stack.transmitQueue.peek(1).frame != first.frame)
        t.turn()
        t.expect(.ack, seq: 1, ack: 1, ramp(100))
        t.expect(.ack, seq: 1, ack: 1, ramp(100))
        t.send(.ack, seq: 1, ack: 101)
        #expect(t.pool.freeCount == t.pool.count)
    }
}
