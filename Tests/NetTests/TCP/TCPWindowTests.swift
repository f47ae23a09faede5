import Runtime
import Testing

@testable import Net

@Suite struct TCPWindow {
    @Test func unreadTextClosesTheWindowAndReadingOpensIt() {
        let t = Conversation { $0.receiveWindow = 8_192 }
        t.establish()
        let text = ramp(8_192)
        for from in stride(from: 0, to: 8_192, by: 1_024) {
            t.send(.ack, seq: 1 + from, ack: 1, Array(text[from..<from + 1_024]))
        }
        var last: SentSegment?
        t.wait(.milliseconds(50))
        while let segment = t.next() { last = segment }
        #expect(last?.window == 0)
        // A probe of one octet is not taken, but answered.
        t.send(.ack, seq: 8_193, ack: 1, [9])
        t.expect(.ack, seq: 1, ack: 8_193, window: 0)
        #expect(t.read() == text)
        t.turn()
        t.expect(.ack, seq: 1, ack: 8_193, window: 8_192)
        t.expectNothing()
    }

    @Test func windowOpensInWholeSegments() {
        let t = Conversation { $0.receiveWindow = 4_096 }
        t.establish(options: Conversation.mss(1_000))
        t.send(.ack, seq: 1, ack: 1, ramp(1_400))
        t.send(.ack, seq: 1_401, ack: 1, ramp(1_400))
        t.send(.ack, seq: 2_801, ack: 1, ramp(1_296))
        while t.next() != nil {}
        t.stack.consume(t.connection, 500)
        t.turn()
        t.expectNothing()
        t.stack.consume(t.connection, 600)
        t.turn()
        t.expect(.ack, seq: 1, ack: 4_097, window: 1_100)
    }

    @Test func textBeyondTheWindowIsCutOff() {
        let t = Conversation { $0.receiveWindow = 2_048 }
        t.establish()
        t.send(.ack, seq: 1, ack: 1, ramp(1_400))
        t.send(.ack, seq: 1_401, ack: 1, ramp(1_400))
        t.expect(.ack, seq: 1, ack: 2_049, window: 0)
        #expect(t.read().count == 2_048)
    }

    @Test func peersWindowLimitsAndScales() {
        let t = Conversation()
        t.establish(options: Conversation.mss(1460) + [1, 3, 3, 2], window: 1_000)
        // 1,000 << 2 since the third segment of the handshake.
        t.write(ramp(10_000))
        t.expect(.ack, seq: 1, ack: 1, ramp(1460))
        t.expect(.ack, seq: 1461, ack: 1, ramp(1460, from: 1460))
        // The rest of the window is worth less than a full segment but more than half of the largest window? No.
        t.expectNothing()
        t.send(.ack, seq: 1, ack: 2921, window: 2_500)
        for index in 2..<7 { _ = (index, t.next()) }
        t.expectNothing()
    }

    @Test func smallWindowsGetPartsOfFrames() {
        let t = Conversation()
        t.establish(window: 700)
        t.write(ramp(1_400))
        t.expect(.ack, seq: 1, ack: 1, ramp(700))
        t.expectNothing()
        t.send(.ack, seq: 1, ack: 701, window: 700)
        t.expect(.ack, seq: 701, ack: 1, ramp(700, from: 700))
        t.send(.ack, seq: 1, ack: 1401, window: 700)
        t.expectNothing()
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test func closedWindowIsProbedForEver() {
        let t = Conversation()
        t.establish()
        t.send(.ack, seq: 1, ack: 1, window: 0)
        t.write(ramp(3_000))
        t.expectNothing()
        var last = t.now
        var gaps: [Int64] = []
        for _ in 0..<40_000 where gaps.count < 14 {
            t.wait(.milliseconds(50))
            if let probe = t.next() {
                #expect(probe.text == [0])
                #expect(probe.sequence == t.localISS + 1)
                gaps.append((t.now - last) / .milliseconds(50))
                last = t.now
                t.send(.ack, seq: 1, ack: 1, window: 0)
            }
        }
        // 200 ms doubled each time up to a minute.
        for (gap, expected) in zip(gaps, [4, 8, 16, 32, 64, 128, 256, 512, 1_024, 1_200, 1_200, 1_200]) {
            #expect(gap >= expected && gap <= expected + 2)
        }
        #expect(gaps.count == 14)
        t.send(.ack, seq: 1, ack: 1, window: 65_535)
        t.expect(.ack, seq: 1, ack: 1, ramp(1460))
        t.expect(.ack, seq: 1461, ack: 1, ramp(1460, from: 1460))
        t.expect(.ack, seq: 2921, ack: 1, ramp(80, from: 2920))
        t.send(.ack, seq: 1, ack: 3001)
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test func probeThatWasTakenCounts() {
        let t = Conversation()
        t.establish()
        t.send(.ack, seq: 1, ack: 1, window: 0)
        t.write("abc")
        t.wait(.milliseconds(250))
        t.expect(.ack, seq: 1, ack: 1, [97])
        t.send(.ack, seq: 1, ack: 2, window: 100)
        t.expect(.ack, seq: 2, ack: 1, [98, 99])
        t.send(.ack, seq: 1, ack: 4)
        t.wait(.seconds(10))
        t.expectNothing()
    }

    @Test func silentPeerWithAClosedWindowIsGivenUp() {
        let t = Conversation()
        t.establish()
        t.send(.ack, seq: 1, ack: 1, window: 0)
        t.write("abc")
        t.wait(.seconds(1_200))
        #expect(t.events() == .closed)
        t.stack.free(t.connection)
        #expect(t.stack.controlBlocks == 0)
    }

    /// RFC 9293 3.8.6.2.1: a sliver of window is not used at once.
    @Test func slivers() {
        let t = Conversation()
        t.establish(window: 4_000)
        t.write(ramp(8_000))
        t.expect(.ack, seq: 1)
        t.expect(.ack, seq: 1461)
        t.expectNothing()
        t.send(.ack, seq: 1, ack: 1461, window: 2_540)
        // 1,080 usable: less than a segment and than half of the largest window.
        t.expectNothing()
    }
}
