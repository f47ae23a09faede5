import Runtime
import Testing

@testable import Net

/// The window grows with what the user consumes in a round trip, within bounds.
@Suite struct ReceiveWindow {
    /// A connection with a window scale, on a pool of so many frames.
    private func open(frames: Int = 4_096, maximum: Int = 1 << 20) -> Conversation {
        let t = Conversation(frames: frames) {
            $0.receiveWindow = 64 << 10
            $0.receiveWindowMaximum = maximum
            $0.timestamps = true
        }
        t.timestamp = 1_000
        t.establish(options: Conversation.mss(1460) + [4, 2, 3, 3, 7])
        return t
    }

    /// The remote sends `count` full segments in a burst that the user reads, then a round trip of 20 ms passes and the
    /// stack's last ACK is echoed. Returns the window of the last ACK, in bytes.
    private func round(_ t: Conversation, _ from: inout Int, _ count: Int, reads: Bool = true) -> Int {
        var window = 0
        var left = count
        while left > 0 {
            let batch = min(left, 16)
            for _ in 0..<batch {
                t.input(t.segment(.ack, seq: from, ack: 1, ramp(1_448)), silent: true)
                from += 1_448
            }
            left -= batch
            if reads { _ = t.read() }
            t.turn()
            while let segment = t.next() {
                window = Int(segment.window) << scale
                if let stamps = segment.timestamps { t.timestampEcho = stamps.value }
            }
        }
        t.wait(.milliseconds(20))
        t.timestamp! += 20
        return window
    }

    /// 1 MiB needs a shift of 5.
    private let scale = 5

    @Test func growsWithWhatIsConsumed() {
        let t = open()
        var from = 1
        var last = round(t, &from, 40)
        #expect(last <= 64 << 10)
        for step in 1..<12 {
            let window = round(t, &from, max(1, last / 1_448))
            #expect(window >= last, "round \(step)")
            last = window
        }
        #expect(last == 1 << 20)
        #expect(t.stack.statistics.tcpWindowGrowths > 2)
        t.send([.rst, .ack], seq: from, ack: 1)
        #expect(t.pool.freeCount == t.pool.count)
        #expect(t.stack.tuning.budget == 4_096 * 2_048 / 2)
    }

    /// What the sender does not use is not promised: 12 kB in a round trip fit the first window twice.
    @Test func staysForAModestSender() {
        let t = open()
        var from = 1
        var window = 0
        for _ in 0..<10 { window = round(t, &from, 8) }
        #expect(window <= 64 << 10)
        #expect(t.stack.statistics.tcpWindowGrowths == 0)
    }

    /// A user who does not read gets no larger window; the old one closes.
    @Test func slowReadersKeepTheFirstWindow() {
        let t = open()
        var from = 1
        for _ in 0..<3 { _ = round(t, &from, 15, reads: false) }
        #expect(t.stack.statistics.tcpWindowGrowths == 0)
        #expect(t.connection.block.pointee.rcvLimit == 64 << 10)
    }

    /// Half of the pool bounds all promises beyond the first windows: here 256 KiB.
    @Test func poolBoundsTheGrowth() {
        let t = open(frames: 256)
        var from = 1
        var last = 64 << 10
        for _ in 0..<12 { last = round(t, &from, max(1, last / 1_448)) }
        #expect(last <= 64 << 10 + 256 * 1_024)
        #expect(t.stack.tuning.budget >= 0)
    }

    /// An idle connection's part is given to the one that needs it; the idle one's promise stands.
    @Test func idleConnectionsGiveWay() {
        let t = open(frames: 512)
        var from = 1
        for _ in 0..<8 { _ = round(t, &from, 200) }
        let b = t.connection.block
        #expect(t.stack.tuning.budget < 200_000 && b.pointee.rcvLimit > 400_000)
        let edge = b.pointee.rcvEdge
        t.wait(.seconds(6))
        _ = t.events()
        t.remotePort += 1
        t.establish(options: Conversation.mss(1460) + [4, 2, 3, 3, 7])
        from = 1
        for _ in 0..<8 { _ = round(t, &from, 200) }
        #expect(b.pointee.rcvLimit == 64 << 10)
        #expect(b.pointee.rcvEdge == edge)
        #expect(t.connection.block.pointee.rcvLimit > 400_000)
    }

    /// RFC 9293 3.8.6.2.2 and the peer's clock: when half of the window is free again, the peer hears of it.
    @Test func readingHalfOfTheWindowIsTold() {
        let t = Conversation { $0.receiveWindow = 32_768 }
        t.establish()
        for index in 0..<22 { t.send(.ack, seq: 1 + 1_460 * index, ack: 1, ramp(1_460)) }
        while t.next() != nil {}
        t.stack.consume(t.connection, t.stack.received(t.connection).count)
        t.turn()
        let first = t.next()
        #expect(first != nil)
        _ = t.read()
        t.turn()
        #expect(t.next()?.window == 32_768)
        t.expectNothing()
    }

    /// A full segment is acknowledged in its turn, two in a burst by one ACK, less than one waits.
    @Test func acknowledgesFullSegmentsAtOnce() {
        let t = Conversation()
        t.establish()
        t.send(.ack, seq: 1, ack: 1, ramp(1_460))
        t.expect(.ack, seq: 1, ack: 1_461)
        t.input(
            t.segment(.ack, seq: 1_461, ack: 1, ramp(1_460)), t.segment(.ack, seq: 2_921, ack: 1, ramp(1_460)))
        t.expect(.ack, seq: 1, ack: 4_381)
        t.send(.ack, seq: 4_381, ack: 1, ramp(1_459))
        t.expectNothing()
        t.wait(.milliseconds(41))
        t.expect(.ack, seq: 1, ack: 5_840)
        t.expectNothing()
    }
}
