import Runtime
import Testing

@testable import Net

/// SACK as the receiver sends it: order of the blocks (RFC 2018 4), and duplicates (RFC 2883).
@Suite struct DuplicateSack {
    private func open() -> Conversation {
        let t = Conversation()
        t.establish(options: Conversation.mss(1460) + [4, 2])
        return t
    }

    /// The blocks of the next ACK, relative to the remote's initial sequence number.
    private func blocks(_ t: Conversation, ack: Int, _ location: SourceLocation = #_sourceLocation) -> [Int] {
        let segment = t.expect(.ack, seq: 1, ack: ack, nil, window: nil, location)
        return (segment?.sackBlocks ?? []).map { Int(Int32(bitPattern: $0 &- t.remoteISS)) }
    }

    private func text(_ t: Conversation, _ from: Int, _ to: Int) { t.send(.ack, seq: from, ack: 1, ramp(to - from)) }

    /// RFC 2883 4.1, example 1: a whole segment again.
    @Test func oldSegmentAgain() {
        let t = open()
        text(t, 1, 1461)
        _ = t.next()
        text(t, 1, 1461)
        #expect(blocks(t, ack: 1461) == [1, 1461])
        // Reported once.
        text(t, 1461, 2921)
        #expect(blocks(t, ack: 2921) == [])
        #expect(t.stack.statistics.tcpDuplicatesReported == 1)
        #expect(t.stack.statistics.tcpDuplicateBytes == 1460)
    }

    /// RFC 2883 4.1, example 3 (a duplicate while something is missing): the duplicate first, then what is kept.
    @Test func oldSegmentAgainWithAGap() {
        let t = open()
        text(t, 1, 501)
        text(t, 1001, 1501)
        #expect(blocks(t, ack: 501) == [1001, 1501])
        text(t, 1, 501)
        #expect(blocks(t, ack: 501) == [1, 501, 1001, 1501])
    }

    /// RFC 2883 4.2, example 5: text above the cumulative ACK twice: the duplicate, then the block it lies in, first of all.
    @Test func keptSegmentAgain() {
        let t = open()
        text(t, 1001, 1501)
        text(t, 1501, 2001)
        text(t, 3001, 3501)
        while t.next() != nil {}
        text(t, 1501, 2001)
        #expect(blocks(t, ack: 1) == [1501, 2001, 1001, 2001, 3001, 3501])
        #expect(t.pool.count - t.pool.freeCount == 2)
    }

    /// RFC 2883 4.3: only a part was there.
    @Test func partsThatAreDuplicates() {
        let t = open()
        text(t, 1, 501)
        while t.next() != nil {}
        text(t, 251, 1001)
        #expect(blocks(t, ack: 1001) == [251, 501])
        text(t, 2001, 2501)
        while t.next() != nil {}
        // Reaches into the kept text from before, covers other kept text.
        text(t, 1501, 2251)
        #expect(blocks(t, ack: 1001) == [2001, 2251, 1501, 2501])
        text(t, 1401, 2601)
        #expect(blocks(t, ack: 1001) == [1501, 2501, 1401, 2601])
        text(t, 1001, 1501)
        #expect(blocks(t, ack: 2601) == [1401, 1501])
    }

    @Test func withoutSackNothingIsReported() {
        let t = Conversation()
        t.establish()
        text(t, 1, 501)
        while t.next() != nil {}
        text(t, 1, 501)
        #expect(blocks(t, ack: 501) == [])
    }

    /// RFC 2018 4: the block with the newest segment first, then those reported most recently.
    @Test func newestBlocksFirst() {
        let t = open()
        text(t, 1001, 1101)
        text(t, 2001, 2101)
        text(t, 3001, 3101)
        text(t, 4001, 4101)
        text(t, 5001, 5101)
        while t.next() != nil {}
        text(t, 2101, 2201)
        #expect(blocks(t, ack: 1) == [2001, 2201, 5001, 5101, 4001, 4101, 3001, 3101])
        text(t, 3901, 4001)
        #expect(blocks(t, ack: 1) == [3901, 4101, 2001, 2201, 5001, 5101, 3001, 3101])
        // Two become one.
        text(t, 4101, 5001)
        #expect(blocks(t, ack: 1) == [3901, 5101, 2001, 2201, 3001, 3101, 1001, 1101])
        // The first gap closes: what is left is told.
        text(t, 1, 1001)
        #expect(blocks(t, ack: 1101) == [3901, 5101, 2001, 2201, 3001, 3101])
    }

    /// With timestamps there is room for three.
    @Test func threeBlocksBesideTimestamps() {
        let t = Conversation { $0.timestamps = true }
        t.timestamp = 500
        t.establish(options: Conversation.mss(1460) + [4, 2])
        for from in [1001, 2001, 3001, 4001] { text(t, from, from + 100) }
        while t.next() != nil {}
        text(t, 2001, 2101)
        #expect(blocks(t, ack: 1) == [2001, 2101, 2001, 2101, 4001, 4101])
        // An old copy, by its timestamp (RFC 7323 5.3), is reported as well.
        text(t, 1, 101)
        while t.next() != nil {}
        t.timestamp = 400
        text(t, 1, 101)
        #expect(t.stack.statistics.tcpOldTimestamps == 1)
        #expect(blocks(t, ack: 101) == [1, 101, 2001, 2101, 4001, 4101])
    }

    /// A connection has a bounded number of gaps; what would make one more is dropped and not reported.
    @Test func gapsAreBounded() {
        let t = Conversation(frames: 2_048)
        t.establish(options: Conversation.mss(1460) + [4, 2, 3, 3, 7])
        for index in 0..<300 { text(t, 11 + 20 * index, 21 + 20 * index) }
        #expect(t.stack.statistics.tcpOutOfOrderDrops == 44)
        while t.next() != nil {}
        #expect(t.pool.count - t.pool.freeCount == 256)
        // What continues a run is still kept.
        text(t, 21, 25)
        #expect(blocks(t, ack: 1).prefix(2) == [11, 25])
        t.send([.rst, .ack], seq: 1, ack: 1)
        #expect(t.pool.freeCount == t.pool.count)
    }
}
