import Runtime
import Testing

@testable import Net

@Suite struct TCPHandshake {
    @Test func passiveOpen() {
        let t = Conversation()
        t.send(.syn, seq: 0, options: Conversation.mss(1000), window: 5_000)
        let answer = t.next()!
        t.localISS = answer.sequence
        #expect(answer.flags == [.syn, .ack])
        #expect(answer.acknowledgement == t.remoteISS + 1)
        #expect(answer.checksumsValid)
        #expect(answer.option(2) == [5, 180])
        // Not offered, not answered.
        #expect(answer.option(3) == nil && answer.option(4) == nil && answer.option(8) == nil)
        #expect(t.stack.nextEvent() == nil)
        t.send(.ack, seq: 1, ack: 1)
        t.expectNothing()
        let c = t.stack.nextEvent()
        #expect(c != nil)
        #expect(t.stack.takeEvents(c!) == .opened)
        #expect(t.stack.remote(c!) == (Conversation.remoteAddress, 40_000))
        #expect(t.stack.localPort(c!) == 6_379)
        #expect(t.stack.nextEvent() == nil)
    }

    @Test func optionsAreAnsweredWhenOffered() {
        let t = Conversation { $0.timestamps = true }
        let timestamps: [UInt8] = [8, 10, 0, 0, 0, 77, 0, 0, 0, 0]
        t.send(.syn, seq: 0, options: Conversation.mss(1460) + [4, 2] + timestamps + [1, 3, 3, 7], window: 1_000)
        let answer = t.next()!
        #expect(answer.option(2) == [5, 180])
        #expect(answer.option(3) == [7])
        #expect(answer.option(4) == [])
        #expect(answer.timestamps?.echo == 77)
        #expect(answer.window == 65_535)
    }

    @Test func windowScaleOverFourteenCountsAsFourteen() {
        let options: [UInt8] = [3, 3, 99]
        let parsed = options.withUnsafeBytes { SynOptions($0.baseAddress!, from: 0, to: 3) }
        #expect(parsed.windowScale == 14)
    }

    @Test(
        arguments: [[2, 0], [2, 1, 5], [2, 200, 5, 180], [8, 10, 1], [255], [3], [2, 3, 4], [1, 1, 1, 8]] as [[UInt8]])
    func malformedOptionsAreIgnored(_ options: [UInt8]) {
        let parsed = options.withUnsafeBytes { SynOptions($0.baseAddress!, from: 0, to: $0.count) }
        #expect(parsed == SynOptions())
        let t = Conversation()
        t.send(.syn, seq: 0, options: options, window: 65_535)
        #expect(t.next()?.flags == [.syn, .ack])
    }

    @Test func synToAClosedPortIsRefused() {
        let t = Conversation()
        t.localPort = 81
        t.send(.syn, seq: 0)
        t.expect([.rst, .ack], seq: 0, ack: 1)
        #expect(t.stack.statistics.tcpRefused == 1)
    }

    @Test func stoppedListenerRefuses() {
        let t = Conversation()
        t.stack.stopListening(port: 6_379)
        t.send(.syn, seq: 0)
        t.expect([.rst, .ack], seq: 0, ack: 1)
    }

    @Test func strayAckIsReset() {
        let t = Conversation()
        t.send(.ack, seq: 5, ack: 1234)
        t.expect(.rst, seq: 1234)
        t.send([.ack, .fin], seq: 5, ack: 99, [1, 2, 3])
        t.expect(.rst, seq: 99)
        t.send(.fin, seq: 5, [1, 2])
        t.expect([.rst, .ack], seq: 0, ack: 8)
        t.send([.rst, .ack], seq: 5, ack: 99)
        t.send(.rst, seq: 5)
        t.expectNothing()
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test func synAckIsRetransmittedWithBackoffAndGivenUp() {
        let t = Conversation()
        t.send(.syn, seq: 0)
        t.localISS = t.next()!.sequence
        var gaps: [Nanoseconds] = []
        var last = t.now
        for _ in 0..<5 {
            for _ in 0..<100_000 {
                t.wait(.milliseconds(50))
                if let segment = t.next() {
                    #expect(segment.flags == [.syn, .ack])
                    gaps.append((t.now - last) / .milliseconds(900))
                    last = t.now
                    break
                }
            }
        }
        #expect(gaps == [1, 2, 4, 8, 17])
        t.wait(.seconds(120))
        t.expectNothing()
        #expect(t.stack.controlBlocks == 0)
        #expect(t.stack.nextEvent() == nil)
    }

    @Test func repeatedSynIsAnsweredAgain() {
        let t = Conversation()
        t.send(.syn, seq: 0)
        t.localISS = t.next()!.sequence
        t.send(.syn, seq: 0)
        t.expect([.syn, .ack], seq: 0, ack: 1)
    }

    @Test func wrongAckInSynReceivedIsReset() {
        let t = Conversation()
        t.send(.syn, seq: 0)
        t.localISS = t.next()!.sequence
        t.send(.ack, seq: 1, ack: 77)
        t.expect(.rst, seq: 77)
        t.send(.ack, seq: 1, ack: 1)
        #expect(t.stack.nextEvent() != nil)
    }

    @Test func resetInSynReceivedDropsTheBlock() {
        let t = Conversation()
        t.send(.syn, seq: 0)
        t.localISS = t.next()!.sequence
        t.send(.rst, seq: 1)
        #expect(t.stack.controlBlocks == 0)
        #expect(t.stack.nextEvent() == nil)
    }

    @Test func dataWithTheThirdSegmentIsDelivered() {
        let t = Conversation()
        t.send(.syn, seq: 0)
        t.localISS = t.next()!.sequence
        t.send(.ack, seq: 1, ack: 1, "PING")
        t.connection = t.stack.nextEvent()
        #expect(t.stack.takeEvents(t.connection) == [.opened, .readable])
        #expect(t.read() == Array("PING".utf8))
    }

    @Test func activeOpen() {
        let t = Conversation { $0.timestamps = true }
        let syn = t.connect()
        #expect(syn.flags == .syn)
        #expect(syn.option(2) == [5, 180])
        #expect(syn.option(3) == [7])
        #expect(syn.option(4) == [])
        #expect(syn.timestamps?.echo == 0)
        t.send([.syn, .ack], seq: 0, ack: 1, options: Conversation.mss(1460))
        t.expect(.ack, seq: 1, ack: 1)
        #expect(t.events() == .opened)
    }

    @Test func activeOpenIsRefused() {
        let t = Conversation()
        t.connect()
        t.send(.rst, seq: 0)
        #expect(t.stack.nextEvent() == nil)
        t.send([.rst, .ack], seq: 0, ack: 1)
        #expect(t.events() == .closed)
        t.stack.free(t.connection)
        #expect(t.stack.controlBlocks == 0)
    }

    @Test func badAckInSynSentIsReset() {
        let t = Conversation()
        t.connect()
        t.send([.syn, .ack], seq: 0, ack: 5)
        t.expect(.rst, seq: 5)
        t.send([.syn, .ack], seq: 0, ack: 1)
        t.expect(.ack, seq: 1, ack: 1)
    }

    @Test func synIsRetransmittedAndGivenUp() {
        let t = Conversation()
        t.connect()
        t.wait(.milliseconds(1_100))
        t.expect(.syn, seq: 0)
        t.wait(.seconds(2))
        t.expect(.syn, seq: 0)
        t.wait(.seconds(600))
        #expect(t.events() == .closed)
        t.stack.free(t.connection)
        #expect(t.stack.controlBlocks == 0)
    }

    /// RFC 9293 figure 8.
    @Test func simultaneousOpen() {
        let t = Conversation()
        t.connect()
        t.send(.syn, seq: 0, options: Conversation.mss(1460))
        t.expect([.syn, .ack], seq: 0, ack: 1)
        t.send([.syn, .ack], seq: 0, ack: 1)
        #expect(t.events() == .opened)
        t.write("x")
        t.expect(.ack, seq: 1, ack: 1, [120])
    }

    @Test func connectionsAreBounded() {
        let t = Conversation { $0.maxConnections = 3 }
        for port in 0..<5 {
            t.remotePort = UInt16(1000 + port)
            t.send(.syn, seq: 0)
        }
        #expect(t.stack.controlBlocks == 3)
        #expect(t.stack.statistics.tcpConnectionLimitDrops == 2)
    }

    @Test func initialSequenceNumbersDifferAndAdvance() {
        let generator = SequenceGenerator(secret: (5, 6))
        let first = generator.initial(1, now: 0)
        #expect(generator.initial(2, now: 0) != first)
        #expect(generator.initial(1, now: .seconds(1)) - first == 250_000)
    }
}
