import Runtime
import Testing

@testable import Net

@Suite struct TCPData {
    // MARK: receiving

    @Test func ackRidesOnTheReply() {
        let t = Conversation()
        t.establish()
        t.input(t.segment([.ack, .psh], seq: 1, ack: 1, Array("ping".utf8)), silent: true)
        #expect(t.events() == .readable)
        #expect(t.read() == Array("ping".utf8))
        t.write(Array("pong".utf8), flush: false)
        t.turn()
        t.expect(.ack, seq: 1, ack: 5, Array("pong".utf8))
        t.expectNothing()
        #expect(t.stack.statistics.tcpDelayedAcks == 0)
    }

    @Test func ackIsDelayedByFortyMilliseconds() {
        let t = Conversation()
        t.establish()
        t.send(.ack, seq: 1, ack: 1, "abc")
        t.expectNothing()
        t.wait(.milliseconds(39))
        t.expectNothing()
        t.wait(.milliseconds(3))
        t.expect(.ack, seq: 1, ack: 4)
        t.wait(.seconds(5))
        t.expectNothing()
    }

    @Test func fullSegmentsAreAcknowledgedAtOnce() {
        let t = Conversation()
        t.establish()
        t.send(.ack, seq: 1, ack: 1, ramp(1460))
        t.expect(.ack, seq: 1, ack: 1461)
        t.send(.ack, seq: 1461, ack: 1, ramp(1460))
        t.expect(.ack, seq: 1, ack: 2921)
        t.wait(.seconds(1))
        t.expectNothing()
    }

    @Test func readableIsToldOnceForABurst() {
        let t = Conversation()
        t.establish()
        t.input(t.segment(.ack, seq: 1, ack: 1, [1]), t.segment(.ack, seq: 2, ack: 1, [2]))
        #expect(t.events() == .readable)
        #expect(t.stack.nextEvent() == nil)
        #expect(t.read() == [1, 2])
    }

    @Test func outOfOrderTextWaitsAndIsReported() {
        let t = Conversation()
        t.establish(options: Conversation.mss(1460) + [4, 2])
        t.send(.ack, seq: 11, ack: 1, ramp(10, from: 10))
        let first = t.expect(.ack, seq: 1, ack: 1)
        #expect(first?.sackBlocks == [t.remoteISS + 11, t.remoteISS + 21])
        t.send(.ack, seq: 31, ack: 1, ramp(10, from: 30))
        let second = t.expect(.ack, seq: 1, ack: 1)
        // The newest block first.
        #expect(second?.sackBlocks == [t.remoteISS + 31, t.remoteISS + 41, t.remoteISS + 11, t.remoteISS + 21])
        #expect(t.stack.nextEvent() == nil)
        t.send(.ack, seq: 1, ack: 1, ramp(10))
        #expect(t.expect(.ack, seq: 1, ack: 21)?.sackBlocks == [t.remoteISS + 31, t.remoteISS + 41])
        #expect(t.read() == ramp(20))
        t.send(.ack, seq: 21, ack: 1, ramp(10, from: 20))
        t.expect(.ack, seq: 1, ack: 41)
        #expect(t.read() == ramp(20, from: 20))
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test func outOfOrderOverlapsAreTrimmed() {
        let t = Conversation()
        t.establish()
        let text = ramp(100)
        for (from, to) in [
            (50, 60), (40, 55), (58, 70), (45, 65), (30, 80), (20, 30), (10, 25), (10, 12), (90, 100), (75, 95),
        ] {
            t.send(.ack, seq: 1 + from, ack: 1, Array(text[from..<to]))
            t.expect(.ack, seq: 1, ack: 1)
        }
        t.send(.ack, seq: 1, ack: 1, Array(text[0..<15]))
        t.expect(.ack, seq: 1, ack: 101)
        #expect(t.read() == text)
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test(arguments: 0..<40) func randomPiecesInAnyOrder(_ seed: UInt64) {
        var entropy = Entropy(seed: seed)
        let t = Conversation()
        t.establish()
        let text = ramp(20_000)
        var got: [UInt8] = []
        for _ in 0..<4_000 where got.count < text.count {
            let from = min(text.count - 1, max(0, got.count - 500 + entropy.next(below: 6_000)))
            let to = min(text.count, from + 1 + entropy.next(below: 1_200))
            t.send(.ack, seq: 1 + from, ack: 1, Array(text[from..<to]))
            if entropy.chance(0.5) { got += t.read() }
        }
        got += t.read()
        #expect(got == text)
        t.send([.ack, .rst], seq: 1 + text.count, ack: 1)
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test func oldTextIsAcknowledgedAgain() {
        let t = Conversation()
        t.establish()
        t.send(.ack, seq: 1, ack: 1, "abc")
        t.wait(.milliseconds(50))
        t.expect(.ack, seq: 1, ack: 4)
        t.send(.ack, seq: 1, ack: 1, "abc")
        t.expect(.ack, seq: 1, ack: 4)
        t.send(.ack, seq: 2, ack: 1, "bcdef")
        t.wait(.milliseconds(50))
        t.expect(.ack, seq: 1, ack: 7)
        #expect(t.read() == Array("abcdef".utf8))
    }

    @Test func smallSegmentsShareAFrame() {
        let t = Conversation(frames: 256)
        t.establish()
        for index in 0..<2_000 {
            t.send(.ack, seq: 1 + index, ack: 1, [UInt8(truncatingIfNeeded: index)])
        }
        #expect(t.pool.count - t.pool.freeCount <= 3)
        #expect(t.read().count == 2_000)
        // Behind a gap too.
        for index in 0..<1_000 { t.send(.ack, seq: 2_002 + index, ack: 1, [1]) }
        #expect(t.pool.count - t.pool.freeCount <= 3)
    }

    @Test func scarceFramesMoveTextToTheHeap() {
        let t = Conversation(frames: 64) { $0.receiveWindow = 1 << 20 }
        t.establish(options: Conversation.mss(1460) + [1, 3, 3, 7])
        let text = ramp(60_000)
        for from in stride(from: 0, to: text.count, by: 1_000) {
            t.send(.ack, seq: 1 + from, ack: 1, Array(text[from..<from + 1_000]))
        }
        #expect(t.pool.freeCount >= 64 / 8 - 2)
        #expect(t.read() == text)
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test func sequenceNumbersWrap() {
        let t = Conversation()
        t.remoteISS = 0xFFFF_FFFF - 5
        t.establish()
        t.send(.ack, seq: 5, ack: 1, "efghij")
        t.expect(.ack, seq: 1, ack: 1)
        t.send(.ack, seq: 1, ack: 1, "abcd")
        t.expect(.ack, seq: 1, ack: 11)
        #expect(t.read() == Array("abcdefghij".utf8))
        let near = SequenceNumber(0xFFFF_FFF0)
        #expect(near < near + 0x20 && near + 0x20 > near && (near + 0x20) - near == 0x20)
    }

    // MARK: sending

    @Test func segmentsHaveTheSizeThePeerAsksFor() {
        let t = Conversation()
        t.establish(options: Conversation.mss(1000))
        t.write(ramp(2_500))
        t.expect(.ack, seq: 1, ack: 1, Array(ramp(1000)))
        t.expect(.ack, seq: 1001, ack: 1, ramp(1000, from: 1000))
        let last = t.expect(.ack, seq: 2001, ack: 1, ramp(500, from: 2000))
        #expect(last?.flags.contains(.psh) == true)
        t.expectNothing()
        t.send(.ack, seq: 1, ack: 2501)
        #expect(t.pool.freeCount == t.pool.count)
        #expect(t.stack.backlog(t.connection) == 0)
    }

    @Test(arguments: [(nil, 536), (1, 88), (88, 88), (9000, 1460)] as [(Int?, Int)])
    func effectiveSegmentSize(_ offered: Int?, _ effective: Int) {
        let t = Conversation()
        t.establish(options: offered.map(Conversation.mss) ?? [])
        t.write(ramp(3_000))
        #expect(t.next()?.text.count == effective)
    }

    @Test func timestampsTakeTwelveBytesAndAreEchoed() {
        let t = Conversation { $0.timestamps = true }
        t.timestamp = 500
        t.establish()
        t.timestamp = 510
        t.send(.ack, seq: 1, ack: 1, "x")
        t.write(ramp(2_000))
        let first = t.expect(.ack, seq: 1, ack: 2)
        #expect(first?.text.count == 1448)
        #expect(first?.timestamps?.echo == 510)
        t.timestamp = 400
        t.send(.ack, seq: 2, ack: 1, "old")
        #expect(t.stack.statistics.tcpOldTimestamps == 1)
        t.timestamp = nil
        t.send(.ack, seq: 2, ack: 1, "none")
        #expect(t.read() == [120])
    }

    @Test func initialWindowIsTenSegments() {
        let t = Conversation()
        t.establish()
        t.write(ramp(30_000))
        for index in 0..<10 { t.expect(.ack, seq: 1 + index * 1460) }
        t.expectNothing()
        // Slow start: two more for each one acknowledged.
        t.send(.ack, seq: 1, ack: 1461)
        t.expect(.ack, seq: 14_601)
        t.expect(.ack, seq: 16_061)
        t.expectNothing()
    }

    @Test func outputBeyondTheFramesWaitsInMemory() {
        let t = Conversation(frames: 32) { $0.sendFrames = 4 }
        t.establish()
        let text = ramp(50_000)
        t.write(text)
        #expect(t.stack.backlog(t.connection) == 50_000)
        var got: [UInt8] = []
        var acked = 0
        var writable = 0
        for _ in 0..<200 where acked < text.count {
            while let segment = t.next() { got += segment.text }
            acked = min(acked + 1460, got.count)
            t.send(.ack, seq: 1, ack: 1 + acked)
            if t.events().contains(.writable) { writable += 1 }
        }
        let isWhole = got == text
        #expect(isWhole)
        // At 25,000 and at 12,500 of backlog.
        #expect(writable == 2)
        #expect(t.stack.backlog(t.connection) == 0)
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test func emptyCommitKeepsNothing() {
        let t = Conversation()
        t.establish()
        for _ in 0..<3 {
            let span = t.stack.outputSpan(t.connection)
            #expect(span.room == 1460)
            #expect(t.stack.outputSpan(t.connection).cursor == span.cursor)
            t.stack.commit(t.connection, span.cursor)
        }
        t.turn()
        t.expectNothing()
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test func repliesOfATurnShareASegment() {
        let t = Conversation()
        t.establish()
        for text in ["a", "b", "c"] { t.write(Array(text.utf8), flush: false) }
        t.turn()
        t.expect(.ack, seq: 1, ack: 1, Array("abc".utf8))
        t.expectNothing()
        // What was sent is not written to again.
        t.write("d")
        t.expect(.ack, seq: 4, ack: 1, Array("d".utf8))
    }
}
