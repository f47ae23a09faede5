import Runtime
import Testing

@testable import Net

/// ACKs of bursts on a long path: the round trip is 20 ms, a burst ends when nothing came for 60 microseconds.
@Suite struct TCPHeldAcks {
    private static let size = 536

    private func establish(sack: Bool = true, options: [UInt8] = []) -> Conversation {
        let t = Conversation()
        t.send(
            .syn, seq: 0, options: Conversation.mss(Self.size) + (sack ? [4, 2] : []) + options, window: 65_535)
        guard let answer = t.next() else { fatalError("no SYN,ACK") }
        t.localISS = answer.sequence
        t.wait(.milliseconds(20))
        t.send(.ack, seq: 1, ack: 1)
        t.connection = t.stack.nextEvent()
        _ = t.stack.takeEvents(t.connection)
        return t
    }

    /// The numbered segment of the stream, from 0.
    private func segment(_ t: Conversation, _ number: Int) -> [UInt8] {
        t.segment(.ack, seq: 1 + number * Self.size, ack: 1, ramp(Self.size))
    }

    /// The acknowledgement number for all segments before the numbered one.
    private func upTo(_ number: Int) -> Int { 1 + number * Self.size }

    private func blocks(_ t: Conversation, _ ranges: Range<Int>...) -> [UInt32] {
        ranges.flatMap { [$0.lowerBound, $0.upperBound].map { t.remoteISS &+ UInt32(upTo($0)) } }
    }

    @Test func oneAckForABurstOfSeveralTurns() {
        let t = establish()
        t.input(segment(t, 0), segment(t, 1))
        t.wait(.microseconds(50))
        t.input(segment(t, 2))
        t.wait(.microseconds(59))
        t.expectNothing()
        t.wait(.microseconds(2))
        t.expect(.ack, seq: 1, ack: upTo(3))
        t.wait(.seconds(1))
        t.expectNothing()
    }

    @Test func notLongerThanAMillisecond() {
        let t = establish()
        let start = t.now
        var number = 0
        while number < 40, t.next() == nil {
            t.input(segment(t, number))
            t.wait(.microseconds(50))
            number += 1
        }
        #expect(t.now - start > .microseconds(950) && t.now - start < .microseconds(1_150))
    }

    @Test func notForMoreThan45Segments() {
        let t = establish()
        for number in 0..<44 { t.input(segment(t, number)) }
        t.expectNothing()
        t.input(segment(t, 44))
        t.expect(.ack, seq: 1, ack: upTo(45))
    }

    @Test func aReplyCarriesIt() {
        let t = establish()
        t.input(segment(t, 0))
        t.expectNothing()
        t.write("reply")
        t.expect(.ack, seq: 1, ack: upTo(1), Array("reply".utf8))
        t.send(.ack, seq: upTo(1), ack: 6)
        t.wait(.seconds(1))
        t.expectNothing()
    }

    @Test func threeBehindAGapAtOnceTheOthersTogether() {
        let t = establish()
        for number in 1...3 {
            t.input(segment(t, number))
            #expect(t.expect(.ack, seq: 1, ack: 1)?.sackBlocks == blocks(t, 1..<number + 1))
        }
        for number in 4...8 { t.input(segment(t, number)) }
        t.expectNothing()
        t.wait(.microseconds(61))
        #expect(t.expect(.ack, seq: 1, ack: 1)?.sackBlocks == blocks(t, 1..<9))
        // A later burst has one ACK, too.
        t.input(segment(t, 9), segment(t, 10))
        t.expectNothing()
        t.wait(.milliseconds(2))
        #expect(t.expect(.ack, seq: 1, ack: 1)?.sackBlocks == blocks(t, 1..<11))
        t.wait(.seconds(1))
        t.expectNothing()
    }

    @Test func whatFillsAGapIsAnsweredBeforeItsBurst() {
        let t = establish()
        t.input(segment(t, 1), segment(t, 3))
        while t.next() != nil {}
        t.input(segment(t, 0), segment(t, 4))
        #expect(t.expect(.ack, seq: 1, ack: upTo(2))?.sackBlocks == blocks(t, 3..<4))
        // The count begins anew with what is missing first.
        #expect(t.expect(.ack, seq: 1, ack: upTo(2))?.sackBlocks == blocks(t, 3..<5))
        t.input(segment(t, 2), segment(t, 5), segment(t, 6))
        t.expect(.ack, seq: 1, ack: upTo(5))
        t.expectNothing()
        t.wait(.microseconds(61))
        t.expect(.ack, seq: 1, ack: upTo(7))
    }

    @Test func textDoesNotCarryTheBlocks() {
        let t = establish()
        for number in 1...4 { t.input(segment(t, number)) }
        for _ in 1...3 { t.expect(.ack, seq: 1, ack: 1) }
        t.expectNothing()
        t.write("text")
        t.expect(.ack, seq: 1, ack: 1, Array("text".utf8))
        #expect(t.expect(.ack, seq: 5, ack: 1)?.sackBlocks == blocks(t, 1..<5))
        t.send(.ack, seq: 1, ack: 5)
        t.wait(.seconds(1))
        t.expectNothing()
    }

    @Test func duplicatesAreReportedAtOnce() {
        let t = establish()
        for number in 1...3 { t.input(segment(t, number)) }
        while t.next() != nil {}
        t.input(segment(t, 2))
        #expect(t.expect(.ack, seq: 1, ack: 1)?.sackBlocks == blocks(t, 2..<3, 1..<4))
    }

    @Test func aSenderWithoutSackCountsEach() {
        let t = establish(sack: false)
        for number in 1...6 {
            t.input(segment(t, number))
            t.expect(.ack, seq: 1, ack: 1)
        }
    }

    @Test func withoutFramesItIsSentLater() {
        let t = establish()
        for number in 1...4 { t.input(segment(t, number)) }
        while t.next() != nil {}
        t.ownsAllFrames = false
        var taken: [FrameID] = []
        while let frame = t.pool.allocateReserved() { taken.append(frame) }
        t.wait(.milliseconds(5))
        t.expectNothing()
        for frame in taken { t.pool.release(frame) }
        t.ownsAllFrames = true
        t.wait(.milliseconds(50))
        #expect(t.expect(.ack, seq: 1, ack: 1)?.sackBlocks == blocks(t, 1..<5))
    }

    @Test func windowsThatHaveOpenedAreToldAtOnce() {
        let t = establish()
        for number in 0..<100 { t.input(segment(t, number)) }
        while t.next() != nil {}
        t.wait(.milliseconds(2))
        while t.next() != nil {}
        // More than half of the window is unread; reading it is news for the sender.
        t.input(segment(t, 100))
        t.expectNothing()
        #expect(t.read().count == 101 * Self.size)
        t.turn()
        t.expect(.ack, seq: 1, ack: upTo(101))
    }
}
