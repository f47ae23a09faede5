import Runtime
import Testing

@testable import Net

/// Requirements of RFC 9293 (its appendix B) that no other file shows.
@Suite struct TCPRequirements {
    // MARK: addresses (MUST-46, MUST-57, MUST-63; RFC 1122 4.2.3.10)

    @Test func connectRefusesWhatIsNoHost() {
        let t = Conversation()
        for address in [
            IPv4Address(0, 0, 0, 0), IPv4Address(224, 0, 0, 1), IPv4Address(255, 255, 255, 255),
            IPv4Address(10, 0, 0, 255), IPv4Address(10, 0, 0, 1), IPv4Address(127, 0, 0, 1),
        ] {
            #expect(t.stack.connect(to: address, port: 7, now: t.now) == nil)
        }
        #expect(t.stack.controlBlocks == 0)
    }

    /// The frame with another IPv4 source (the last octet) or Ethernet destination, its checksums made right.
    private func changed(_ frame: [UInt8], source: UInt8? = nil, broadcast: Bool = false) -> [UInt8] {
        var frame = frame
        if broadcast { frame.replaceSubrange(0..<6, with: [UInt8](repeating: 255, count: 6)) }
        if let source {
            let change = Int(source) - Int(frame[29])
            frame[29] = source
            for offset in [24, 50] {
                var sum = Int(frame[offset]) << 8 | Int(frame[offset + 1])
                sum -= change
                if sum <= 0 { sum += 0xFFFF }
                if sum > 0xFFFF { sum -= 0xFFFF }
                (frame[offset], frame[offset + 1]) = (UInt8(sum >> 8), UInt8(sum & 255))
            }
        }
        return frame
    }

    @Test func segmentsFromEverybodyAreDropped() {
        let t = Conversation()
        for flags in [TCPFlags.syn, .ack, .fin] {
            t.input(changed(t.segment(flags, seq: 0), source: 255))
            t.input(changed(t.segment(flags, seq: 0), source: 0))
        }
        t.expectNothing()
        #expect(t.stack.controlBlocks == 0 && t.stack.statistics.ipv4BadSource == 6)
    }

    /// A datagram for one host in a frame for all (RFC 1122 3.3.6): no connection, and no storm of resets.
    @Test func segmentsInBroadcastFramesAreDropped() {
        let t = Conversation()
        t.input(changed(t.segment(.syn, seq: 0), broadcast: true))
        t.input(changed(t.segment(.ack, seq: 0), broadcast: true))
        t.expectNothing()
        #expect(t.stack.controlBlocks == 0)
    }

    // MARK: strange combinations of control bits

    @Test func synWithFinIsNotForListeners() {
        let t = Conversation()
        t.send([.syn, .fin], seq: 0)
        t.expectNothing()
        #expect(t.stack.controlBlocks == 0)
        t.localPort = 81
        t.send([.syn, .fin], seq: 0)
        t.expect([.rst, .ack], seq: 0, ack: 2)
        t.send([.syn, .rst], seq: 0)
        t.expectNothing()
    }

    /// Every combination there is, at a listener and at a connection: nothing breaks, nothing is left.
    @Test func allCombinations() {
        for raw in UInt8(0)...255 {
            let t = Conversation()
            t.send(TCPFlags(rawValue: raw), seq: 0)
            while t.next() != nil {}
            t.remotePort = 40_001
            t.establish()
            t.send(TCPFlags(rawValue: raw), seq: 1, ack: 1)
            t.send(TCPFlags(rawValue: raw), seq: 500, ack: 1, [1, 2, 3])
            t.stack.abort(t.connection)
            t.stack.free(t.connection)
            // The list of events may still name it.
            #expect(t.stack.nextEvent() == nil)
            t.wait(.seconds(200))
            #expect(t.stack.controlBlocks == 0 && t.pool.freeCount == t.pool.count, "flags \(raw)")
        }
    }

    // MARK: text on SYNs

    /// Not kept and not acknowledged (RFC 9293 3.10.7.2 lets it be queued): the peer sends it again.
    @Test func textOnASynIsSentAgain() {
        let t = Conversation()
        t.send(.syn, seq: 0, ack: 0, Array("early".utf8))
        let answer = t.next()!
        #expect(answer.flags == [.syn, .ack] && answer.acknowledgement == t.remoteISS + 1)
        t.localISS = answer.sequence
        t.send(.ack, seq: 1, ack: 1, "early")
        t.connection = t.stack.nextEvent()
        #expect(t.read() == Array("early".utf8))
    }

    @Test func textOnASynAckIsSentAgain() {
        let t = Conversation()
        t.connect()
        t.send([.syn, .ack], seq: 0, ack: 1, "early")
        t.expect(.ack, seq: 1, ack: 1)
        t.send(.ack, seq: 1, ack: 1, "early")
        #expect(t.read() == Array("early".utf8))
    }

    // MARK: options (MUST-5, MUST-6, MUST-64, MUST-65)

    @Test func unknownOptionsOnAnySegmentAreSkipped() {
        let t = Conversation()
        t.establish(options: [254, 4, 0xF9, 0x89] + Conversation.mss(1_000) + [30, 3, 1])
        #expect(t.connection.block.pointee.mss == 1_000)
        t.send(.ack, seq: 1, ack: 1, Array("a".utf8), options: [253, 2, 1, 1, 77, 6, 1, 2, 3, 4])
        t.send([.ack, .fin], seq: 2, ack: 1, [], options: [254, 7, 0, 0, 0, 0, 0])
        #expect(t.read() == Array("a".utf8))
        #expect(t.events().contains(.endOfStream))
    }

    @Test func optionsNeedNoAlignment() {
        let t = Conversation { $0.timestamps = true }
        t.send(
            .syn, seq: 0, options: [1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 3, 3, 2, 1, 4, 2, 2, 4, 4, 176], window: 1_000)
        let answer = t.next()!
        #expect(answer.timestamps?.echo == 9 && answer.option(4) == [])
        t.localISS = answer.sequence
        let value = answer.timestamps!.value
        let echo = (0..<4).map { UInt8(value >> (24 - 8 * $0) & 255) }
        t.send(.ack, seq: 1, ack: 1, Array("x".utf8), options: [8, 10, 0, 0, 0, 10] + echo)
        t.connection = t.stack.nextEvent()
        #expect(t.read() == Array("x".utf8))
        #expect(t.connection.block.pointee.mss == 1_200 - 12 && t.connection.block.pointee.tsRecent == 10)
    }

    @Test func segmentSizeIsForSynsOnly() {
        let t = Conversation()
        t.establish()
        t.send(.ack, seq: 1, ack: 1, Array("x".utf8), options: Conversation.mss(100))
        #expect(t.connection.block.pointee.mss == 1_460)
    }

    // MARK: a closed window (MUST-66)

    @Test func resetAndAckCountWhileTheWindowIsClosed() {
        let t = Conversation { $0.receiveWindow = 2_048 }
        t.establish()
        t.write("abc")
        t.expect(.ack, seq: 1)
        t.send(.ack, seq: 1, ack: 1, ramp(1_460))
        t.send(.ack, seq: 1_461, ack: 1, ramp(588))
        while t.next() != nil {}
        #expect(t.connection.block.pointee.rcvWindow == 0)
        // The text of the segment does not fit, its ACK does.
        t.send(.ack, seq: 2_049, ack: 4, "x")
        #expect(t.stack.info(t.connection).unacknowledged == 0)
        t.send(.rst, seq: 2_049)
        #expect(t.events().contains(.closed))
    }

    // MARK: text in a reset (SHLD-2)

    /// It may say why; the reset counts, the text does not.
    @Test func resetsMayCarryText() {
        let t = Conversation()
        t.establish()
        t.send(.rst, seq: 1, ack: 0, "out of memory")
        #expect(t.events() == [.closed])
        #expect(t.read().isEmpty)
    }

    // MARK: timestamps (RFC 7323 5.5)

    /// After 24 days a peer's clock may have gone around: what it says counts again.
    @Test func oldTimestampsAreForgottenAfterTwentyFourDays() {
        for (days, taken) in [(23, false), (25, true)] {
            let t = Conversation { $0.timestamps = true }
            t.timestamp = 1_000
            t.establish()
            t.now += .seconds(Int64(days) * 86_400)
            t.timestamp = 1_000 &- 0x7000_0000
            t.send(.ack, seq: 1, ack: 1, "x")
            #expect((t.read() == Array("x".utf8)) == taken, "after \(days) days")
        }
    }

    // MARK: half-close (RFC 9293 3.6, case 2)

    /// Who has said all may go on listening: everything asked for before comes, and after it FIN.
    @Test func aClientThatShutsItsWritingSideGetsEverything() {
        let t = Conversation()
        t.establish()
        t.send([.ack, .fin], seq: 1, ack: 1, "GET")
        #expect(t.events() == [.readable, .endOfStream])
        t.write(ramp(100_000), flush: false)
        t.stack.shutdown(t.connection)
        t.turn()
        var received: [UInt8] = []
        var finAt: Int?
        for _ in 0..<1_000 where finAt == nil {
            while let segment = t.next() {
                let offset = Int(Int32(bitPattern: segment.sequence &- t.localISS)) - 1
                if offset == received.count { received += segment.text }
                if segment.flags.contains(.fin) { finAt = offset + segment.text.count }
                t.send(.ack, seq: 5, ack: 1 + received.count)
            }
            t.wait(.milliseconds(10))
        }
        let whole = received == ramp(100_000)
        #expect(whole && finAt == 100_000)
        t.send(.ack, seq: 5, ack: 100_002)
        #expect(t.events().contains(.closed))
    }
}
