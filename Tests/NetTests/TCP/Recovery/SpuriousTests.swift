import Runtime
import Testing

@testable import Net

/// Timeouts and recoveries that were for nothing, and how that is found out and undone (RFC 3522, 4015, 2883, 5682).
@Suite struct SpuriousRecovery {
    /// The answer's timestamp is that of the first transmission (Eifel).
    @Test func aTimeoutIsUndoneByTimestamps() {
        let t = Conversation.begin(text: 10, timestamps: true)
        var echo: UInt32 = 0
        while let segment = t.next() { echo = segment.timestamps?.value ?? 0 }
        let before = t.block.cwnd
        t.wait(.milliseconds(1_000))
        #expect(t.stack.statistics.tcpTimeouts >= 1)
        #expect(t.block.cwnd == 1_000)
        _ = t.takeSegments()
        // All ACKs were late.
        t.ack(2, echo: echo)
        #expect(t.stack.statistics.tcpUndone == 1)
        #expect(t.block.cwnd >= before)
        #expect(t.block.ssthresh == .max)
        t.expectSegments([])
        t.ack(10)
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test func aTrueTimeoutIsNot() {
        let t = Conversation.begin(text: 10, timestamps: true)
        while t.next() != nil {}
        t.wait(.milliseconds(1_000))
        var echo: UInt32 = 0
        while let segment = t.next() { echo = segment.timestamps?.value ?? 0 }
        t.ack(1, echo: echo)
        #expect(t.stack.statistics.tcpUndone == 0)
        #expect(t.block.ssthresh != .max)
        t.expectSegments([1, 2])
    }

    /// Without timestamps: more is acknowledged than was sent again (RFC 5682's idea with SACK).
    @Test func aTimeoutIsUndoneByWhatArrives() {
        let t = Conversation.begin(text: 10)
        t.expectSegments(0..<10)
        let before = t.block.cwnd
        t.wait(.milliseconds(700))
        #expect(t.stack.statistics.tcpTimeouts == 1)
        _ = t.takeSegments()
        t.ack(3)
        #expect(t.stack.statistics.tcpUndone == 1)
        #expect(t.block.cwnd >= before)
        t.ack(10)
        t.expectSegments([])
    }

    /// Everything that was sent again is reported as a duplicate: the recovery was for nothing.
    @Test func aRecoveryIsUndoneByReports() {
        let t = Conversation.begin(text: 40)
        t.expectSegments(0..<10)
        let before = t.block.cwnd
        t.wait(.milliseconds(100))
        t.ack(0, sacks: [2..<6])
        let sent = t.takeSegments()
        #expect(sent.prefix(2) == [0, 1])
        #expect(t.block.ssthresh == 7_000)
        // They arrive late, then their duplicates.
        t.ack(10)
        _ = t.takeSegments()
        t.ack(10, sacks: [0..<1])
        #expect(t.stack.statistics.tcpUndone == 0)
        t.ack(10, sacks: [1..<2])
        #expect(t.stack.statistics.tcpUndone == 1)
        #expect(t.block.cwnd >= before)
        #expect(t.block.ssthresh == .max)
    }

    /// A peer can only report what was sent again, and only once.
    @Test func inventedReportsAreIgnored() {
        let t = Conversation.begin(text: 12)
        t.expectSegments(0..<10)
        t.wait(.milliseconds(100))
        for _ in 0..<5 { t.ack(3, sacks: [0..<1]) }
        #expect(t.stack.statistics.tcpSpuriousRetransmissions == 0)
        t.ack(3, sacks: [4..<8])
        #expect(t.takeSegments().contains(3))
        t.ack(8)
        for _ in 0..<5 { t.ack(8, sacks: [3..<4]) }
        #expect(t.stack.statistics.tcpSpuriousRetransmissions == 1)
    }

    /// In recovery the original of the missing segment is acknowledged: reordering by more than the window.
    @Test func aRecoveryIsUndoneByTimestamps() {
        let t = Conversation.begin(text: 10, timestamps: true)
        var echo: UInt32 = 0
        while let segment = t.next() { echo = segment.timestamps?.value ?? 0 }
        t.wait(.milliseconds(100))
        t.ack(0, sacks: [1..<8], echo: echo)
        #expect(t.takeSegments().first == 0)
        #expect(t.isRecovering)
        t.wait(.milliseconds(10))
        t.ack(8, echo: echo)
        #expect(!t.isRecovering)
        #expect(t.stack.statistics.tcpUndone == 1)
        #expect(t.block.ssthresh == .max)
        #expect(t.sendState.hasReordering)
    }
}
