import Runtime
import Testing

@testable import Net

/// What fuzzing and the invariant checker have found: the smallest conversation that shows each.
@Suite struct TCPFound {
    /// A FIN before text that was kept behind a gap, or that arrives with it, contradicts its own sender: it is not believed,
    /// and the stream goes on.
    @Test(arguments: [false, true]) func finBeforeKeptText(isGapFilled: Bool) {
        let t = Conversation()
        t.establish()
        t.send(.ack, seq: 11, ack: 1, ramp(10))
        t.expect(.ack, seq: 1, ack: 1)
        // Its text ends at 11 or before; octets 11 to 20 came already.
        t.send([.ack, .fin], seq: isGapFilled ? 1 : 5, ack: 1, ramp(isGapFilled ? 10 : 2))
        t.expect(.ack, seq: 1, ack: isGapFilled ? 21 : 1)
        if !isGapFilled { t.send(.ack, seq: 1, ack: 1, ramp(10)) }
        t.turn()
        _ = t.next()
        #expect(t.read().count == 20)
        #expect(!t.events().contains(.endOfStream))
        t.send([.ack, .fin], seq: 21, ack: 1)
        t.expect(.ack, seq: 1, ack: 22)
        #expect(t.events() == .endOfStream)
    }

    /// After backed-off timeouts an ACK brings the deadline near again: the timer that fires must be the near one.
    @Test func timeoutIsNearAgainAfterBackoff() {
        let t = Conversation()
        t.establish()
        t.write(ramp(100))
        t.expect(.ack, seq: 1, ack: 1)
        for _ in 0..<4 {
            t.wait(.seconds(4))
            while t.next() != nil {}
        }
        t.write(ramp(100))
        while t.next() != nil {}
        t.send(.ack, seq: 1, ack: 51)
        while t.next() != nil {}
        // The estimate is some 200 ms, and the rest must leave again not later than twice that.
        t.wait(.milliseconds(1_500))
        #expect(t.next() != nil)
    }

    /// A cookie's peer has sent its first text right after its ACK, and the network turns all of it round: what comes first
    /// says nothing of the cookie, and must not be answered by RST.
    @Test func textOvertakesTheAckOfACookie() {
        let t = Conversation { $0.maxHalfOpen = 0 }
        t.send(.syn, seq: 0)
        t.localISS = t.next()!.sequence
        t.send(.ack, seq: 6, ack: 1, "world")
        t.expectNothing()
        t.send(.ack, seq: 1, ack: 1, "hello")
        t.connection = t.stack.nextEvent()
        #expect(t.connection != nil)
        t.turn()
        t.send(.ack, seq: 6, ack: 1, "world")
        #expect(t.read() == Array("helloworld".utf8))
    }

    /// A window smaller than a frame: parts of it leave, and are acknowledged, with nothing else in flight.
    @Test func partOfAFrameInFlight() {
        let t = Conversation()
        t.establish(options: Conversation.mss(500), window: 600)
        t.write(ramp(1_000))
        var got = 0
        for _ in 0..<40 where got < 1_000 {
            while let segment = t.next() {
                got = max(got, Int(segment.sequence &- t.localISS) - 1 + segment.text.count)
            }
            t.send(.ack, seq: 1, ack: 1 + got, [], window: 310)
            t.wait(.milliseconds(300))
        }
        #expect(got == 1_000)
        #expect(t.stack.backlog(t.connection) == 0)
    }

    /// No frame is free for the ACK of text: it leaves when there is one, without being asked again.
    @Test func anAckWaitsForAFrame() {
        let t = Conversation(frames: 64)
        t.establish()
        t.ownsAllFrames = false
        var hoard: [FrameID] = []
        while let frame = t.pool.allocateReserved(leaving: 1) { hoard.append(frame) }
        // The last free frame brings text, and is kept with it (its user reads nothing).
        t.input(t.segment(.ack, seq: 1, ack: 1, ramp(1460)))
        t.expectNothing()
        for frame in hoard { t.pool.release(frame) }
        t.wait(.milliseconds(100))
        t.expect(.ack, seq: 1, ack: 1461)
    }

    /// A router asks for smaller segments while no frames are free to divide those in flight: its next message must do it.
    @Test func segmentsAreDividedWhenFramesAreBack() {
        let t = Conversation(frames: 64)
        t.establish()
        t.write(ramp(1_460))
        let large = t.next()!
        t.ownsAllFrames = false
        var hoard: [FrameID] = []
        while let frame = t.pool.allocate() { hoard.append(frame) }
        t.input(ICMPErrors.error(3, 4, about: large, mtu: 576, total: nil))
        t.turn()
        #expect(t.connection.block.pointee.mss == 536)
        for frame in hoard { t.pool.release(frame) }
        t.ownsAllFrames = true
        while t.next() != nil {}
        t.wait(.seconds(3))
        var again = large
        while let segment = t.next() { again = segment }
        #expect(again.text.count == 1_460)
        t.input(ICMPErrors.error(3, 4, about: again, mtu: 576, total: nil))
        t.turn()
        t.wait(.seconds(3))
        var sizes: [Int] = []
        while let segment = t.next() { sizes.append(segment.text.count) }
        #expect(sizes.contains(536) && !sizes.contains(1_460))
    }

    /// A frame that was sent in part, and acknowledged in part, is divided for a narrow path: what goes on must be its text.
    @Test func aFrameSentInPartIsDivided() {
        let t = Conversation()
        t.establish(window: 536)
        let text = ramp(2_920)
        t.write(text)
        t.expect(.ack, seq: 1, ack: 1, Array(text[..<536]))
        t.send(.ack, seq: 1, ack: 537, [], window: 536)
        let second = t.expect(.ack, seq: 537, ack: 1, Array(text[536..<1_072]))!
        t.input(ICMPErrors.error(3, 4, about: second, mtu: 560, total: nil))
        t.turn()
        var got = 536
        for _ in 0..<20 where got < text.count {
            while let segment = t.next() {
                let start = Int(segment.sequence &- t.localISS) - 1
                #expect(segment.text == Array(text[start..<start + segment.text.count]))
                got = max(got, start + segment.text.count)
            }
            t.send(.ack, seq: 1, ack: 1 + got, [], window: 536)
            t.wait(.milliseconds(300))
        }
        #expect(got == text.count)
    }

    /// A part of a frame was sent, and a timeout takes it for lost; before anything leaves it is acknowledged. Its mark went
    /// with the rest of the frame, which is new.
    @Test func aPartThatArrivesWhileItIsTakenForLost() {
        let t = Conversation()
        t.establish(options: Conversation.mss(1_460) + [4, 2], window: 1_000)
        t.write(ramp(1_460))
        t.expect(.ack, seq: 1, ack: 1, Array(ramp(1_460)[..<1_000]))
        while t.stack.statistics.tcpTimeouts == 0 { t.wait(.milliseconds(100)) }
        while t.next() != nil {}
        while t.stack.statistics.tcpTimeouts < 2, let deadline = t.stack.nextDeadline {
            t.now = max(t.now, deadline)
            t.stack.advanceTimers(now: t.now)
        }
        t.send(.ack, seq: 1, ack: 1_001, window: 4_000)
        t.expect(.ack, seq: 1_001, ack: 1, Array(ramp(1_460)[1_000...]))
        #expect(t.stack.findViolation() == nil)
        t.send(.ack, seq: 1, ack: 1_461, window: 4_000)
        t.wait(.seconds(5))
        t.expectNothing()
    }
}
