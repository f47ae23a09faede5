import Runtime
import Testing

@testable import Net

/// Nothing that comes off the wire crashes the stack or leaks a frame.
@Suite struct Fuzz {
    @Test(arguments: 0..<20) func randomBytes(_ seed: UInt64) {
        var entropy = Entropy(seed: seed)
        let t = Conversation()
        for _ in 0..<500 {
            var bytes = (0..<entropy.next(below: 120)).map { _ in UInt8(truncatingIfNeeded: entropy.next()) }
            // Often enough for us and of a type we know.
            if entropy.chance(0.9), bytes.count >= 14 {
                bytes.replaceSubrange(0..<6, with: [2, 0, 0, 0, 0, 1])
                bytes.replaceSubrange(12..<14, with: entropy.chance(0.7) ? [8, 0] : [8, 6])
            }
            t.input(bytes)
            while t.frame() != nil {}
        }
        #expect(t.pool.freeCount == t.pool.count)
    }

    /// Valid segments of a live connection, cut short or with bytes changed; checksums are put right half of the time.
    @Test(arguments: 0..<40) func mutatedConversation(_ seed: UInt64) {
        var entropy = Entropy(seed: seed)
        let t = Conversation { $0.timestamps = seed % 2 == 0 }
        t.timestamp = seed % 2 == 0 ? 1 : nil
        t.establish(options: Conversation.mss(1460) + [4, 2, 1, 3, 3, 3])
        var alive = true
        for _ in 0..<600 {
            let flags = TCPFlags(
                rawValue: entropy.chance(0.8) ? 0x10 : UInt8(truncatingIfNeeded: entropy.next()) & 0x3F)
            let near = { (span: Int) in entropy.next(below: span) - span / 3 }
            let options = (0..<entropy.next(below: 20)).map { _ in UInt8(truncatingIfNeeded: entropy.next()) }
            var frame = t.segment(
                flags, seq: near(4_000), ack: near(3_000), ramp(entropy.next(below: 300)),
                window: entropy.next(below: 65_536), options: entropy.chance(0.3) ? options : [])
            if entropy.chance(0.2) { frame.removeLast(entropy.next(below: frame.count)) }
            if entropy.chance(0.2), frame.count > 14 {
                frame[14 + entropy.next(below: frame.count - 14)] = UInt8(truncatingIfNeeded: entropy.next())
            }
            t.input(frame)
            if entropy.chance(0.2) { t.wait(.milliseconds(Int64(entropy.next(below: 300)))) }
            while t.frame() != nil {}
            if alive, entropy.chance(0.3) { t.write(ramp(entropy.next(below: 3_000))) }
            if alive, entropy.chance(0.3) { _ = t.read() }
            while let c = t.stack.nextEvent() {
                let events = t.stack.takeEvents(c)
                if events.contains(.closed) {
                    t.stack.free(c)
                    if c == t.connection { alive = false }
                }
            }
        }
        if alive {
            t.stack.abort(t.connection)
            t.stack.free(t.connection)
        }
        t.turn()
        t.wait(.seconds(400))
        while let c = t.stack.nextEvent() { t.stack.free(c) }
        t.wait(.seconds(400))
        while t.frame() != nil {}
        #expect(t.stack.controlBlocks == 0)
        #expect(t.pool.freeCount == t.pool.count)
    }

    /// Every prefix of every kind of frame.
    @Test func truncatedFrames() {
        let t = Conversation()
        t.establish()
        let frames = [
            t.segment(.ack, seq: 1, ack: 1, ramp(20), options: [1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0]),
            t.segment(.syn, seq: 0, options: Conversation.mss(100) + [4, 2]),
            t.arp(
                .request, sender: Conversation.remoteAddress, Conversation.remoteMAC, target: Conversation.localAddress),
        ]
        for frame in frames {
            for count in 0..<frame.count {
                t.input(Array(frame[..<count]))
                while t.frame() != nil {}
            }
        }
        #expect(t.read().isEmpty)
        #expect(t.pool.freeCount == t.pool.count)
    }

    /// Without a free frame nothing crashes, and things go on when frames are back.
    @Test func exhaustedPool() {
        let t = Conversation(frames: 64)
        t.establish()
        t.ownsAllFrames = false
        var hoard: [FrameID] = []
        while let frame = t.pool.allocate() { hoard.append(frame) }
        t.write(ramp(5_000))
        t.wait(.seconds(3))
        t.expectNothing()
        for frame in hoard { t.pool.release(frame) }
        var got = 0
        for _ in 0..<200 where got < 5_000 {
            t.wait(.milliseconds(100))
            while let segment = t.next() {
                got = max(got, Int(segment.sequence &- t.localISS) - 1 + segment.text.count)
            }
            t.send(.ack, seq: 1, ack: 1 + got)
        }
        #expect(got == 5_000)
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test func fullTransmitQueue() {
        let t = Conversation { $0.transmitCapacity = 4 }
        t.establish()
        t.write(ramp(10 * 1460))
        var got = 0
        for _ in 0..<100 where got < 14_600 {
            t.wait(.milliseconds(5))
            while let segment = t.next() {
                got = max(got, Int(segment.sequence &- t.localISS) - 1 + segment.text.count)
            }
        }
        #expect(got == 14_600)
    }
}
