import Runtime
import Testing

@testable import Net

/// RFC 4987 3.6: what a SYN says comes back with the ACK of a cookie.
@Suite struct TCPSynCookie {
    static let timestamps: [UInt8] = [8, 10, 0, 0, 0, 77, 0, 0, 0, 0]

    /// A stack whose backlog of two is full of others' connections.
    private func flooded(seed: UInt64 = 1, _ change: (inout Stack.Configuration) -> Void = { _ in }) -> Conversation {
        let t = Conversation(seed: seed) {
            $0.maxHalfOpen = 2
            $0.timestamps = true
            change(&$0)
        }
        for port in 1...2 {
            t.remotePort = UInt16(port)
            t.send(.syn, seq: 0)
            _ = t.next()
        }
        t.remotePort = 40_000
        return t
    }

    /// Everything of it that matters: who it is, what both ends agreed on.
    @Test func connectionIsWhole() {
        let t = flooded()
        let blocks = t.stack.controlBlocks
        t.send(.syn, seq: 0, options: Conversation.mss(1400) + [4, 2] + Self.timestamps + [1, 3, 3, 7], window: 1_000)
        let answer = t.next()!
        #expect(answer.flags == [.syn, .ack])
        #expect(answer.acknowledgement == t.remoteISS + 1)
        #expect(answer.checksumsValid)
        #expect(answer.option(2) == [5, 180] && answer.option(4) == [] && answer.option(3) == [t.stack.offeredScale])
        #expect(answer.timestamps?.echo == 77)
        #expect(t.stack.controlBlocks == blocks, "a cookie leaves nothing behind")
        t.localISS = answer.sequence
        t.now += .milliseconds(30)
        (t.timestamp, t.timestampEcho) = (107, answer.timestamps!.value)
        t.send(.ack, seq: 1, ack: 1, "PING", window: 10)
        t.connection = t.stack.nextEvent()
        #expect(t.stack.takeEvents(t.connection) == [.opened, .readable])
        #expect(t.read() == Array("PING".utf8))
        let b = t.connection.block
        #expect(b.pointee.flags.isSuperset(of: [.timestamps, .sackPermitted, .windowScaling]))
        #expect(b.pointee.sndScale == 7 && b.pointee.sndWnd == 1280)
        #expect(b.pointee.mss == 1400 - 12)
        #expect(b.pointee.tsRecent == 107)
        // The first round trip, at most 64 ms too long.
        let smoothed = Int(b.pointee.estimator.timeout(floor: 0) / 3_000_000)
        #expect((30...94).contains(smoothed))
        t.write("PONG")
        t.expect(.ack, seq: 1, ack: 5, Array("PONG".utf8))
        // PAWS: an old segment is refused.
        t.timestamp = 100
        t.send(.ack, seq: 5, ack: 5, "old")
        t.expect(.ack, seq: 5, ack: 5)
        #expect(t.stack.statistics.tcpOldTimestamps == 1)
        #expect(t.stack.statistics.tcpSynCookiesSent == 1 && t.stack.statistics.tcpSynCookiesAccepted == 1)
    }

    @Test(arguments: 0...14, [true, false])
    func optionsComeBack(scale: Int, sack: Bool) {
        let t = flooded(seed: UInt64(scale))
        var options = Self.timestamps + [3, 3, UInt8(scale)]
        if sack { options += [4, 2] }
        t.now += .milliseconds(Int64(scale) * 37)
        t.send(.syn, seq: 0, options: options, window: 65_535)
        let answer = t.next()!
        #expect((answer.option(4) != nil) == sack)
        t.localISS = answer.sequence
        (t.timestamp, t.timestampEcho) = (78, answer.timestamps!.value)
        t.send(.ack, seq: 1, ack: 1)
        let b = t.stack.nextEvent()!.block
        #expect(Int(b.pointee.sndScale) == scale && b.pointee.flags.contains(.windowScaling))
        #expect(b.pointee.flags.contains(.sackPermitted) == sack)
        #expect(b.pointee.mss == 536 - 12)
        // Our clock never runs backwards for the peer.
        #expect(Int32(bitPattern: t.stack.nowMilliseconds &+ b.pointee.tsOffset &- answer.timestamps!.value) >= 0)
    }

    @Test(arguments: [true, false]) func congestionNotificationComesBack(_ asks: Bool) {
        let t = flooded()
        t.send(asks ? [.syn, .ece, .cwr] : .syn, seq: 0, options: Self.timestamps, window: 1_000)
        let answer = t.next()!
        #expect(answer.flags == (asks ? [.syn, .ack, .ece] : [.syn, .ack]))
        t.localISS = answer.sequence
        (t.timestamp, t.timestampEcho) = (78, answer.timestamps!.value)
        t.send(.ack, seq: 1, ack: 1)
        #expect(t.stack.nextEvent()!.block.pointee.flags.contains(.ecn) == asks)
    }

    /// What was not offered is not used afterwards.
    @Test func timestampsAlone() {
        let t = flooded()
        t.send(.syn, seq: 0, options: Self.timestamps, window: 1_000)
        let answer = t.next()!
        #expect(answer.option(3) == nil && answer.option(4) == nil)
        t.localISS = answer.sequence
        (t.timestamp, t.timestampEcho) = (78, answer.timestamps!.value)
        t.send(.ack, seq: 1, ack: 1, [], window: 5)
        let b = t.stack.nextEvent()!.block
        #expect(b.pointee.flags.isDisjoint(with: [.sackPermitted, .windowScaling]))
        #expect(b.pointee.sndWnd == 5 && b.pointee.rcvScale == 0)
    }

    /// Without timestamps there is no room for scaling and SACK: they are not offered, although the peer would.
    @Test func peerWithoutTimestamps() {
        let t = flooded()
        t.send(.syn, seq: 0, options: Conversation.mss(1460) + [4, 2, 3, 3, 7], window: 1_000)
        let answer = t.next()!
        #expect(answer.option(3) == nil && answer.option(4) == nil && answer.option(8) == nil)
        t.localISS = answer.sequence
        t.send(.ack, seq: 1, ack: 1, [], window: 2_000)
        t.connection = t.stack.nextEvent()
        let b = t.connection.block
        #expect(b.pointee.mss == 1460 && b.pointee.sndWnd == 2_000)
        #expect(b.pointee.flags.isDisjoint(with: [.timestamps, .sackPermitted, .windowScaling]))
        #expect(b.pointee.estimator.timeout(floor: 0) == .seconds(1), "no round trip is known")
        t.write("x")
        t.expect(.ack, seq: 1, ack: 1, [120])
    }

    /// RFC 6691: never more than the peer takes.
    @Test(arguments: [0, 88, 100, 256, 500, 536, 1000, 1220, 1399, 1400, 1452, 1460, 9000, 65_535])
    func segmentSizeIsRoundedDown(_ size: Int) {
        let t = flooded()
        t.send(.syn, seq: 0, options: Conversation.mss(size), window: 65_535)
        t.localISS = t.next()!.sequence
        t.send(.ack, seq: 1, ack: 1)
        let mss = Int(t.stack.nextEvent()!.block.pointee.mss)
        #expect(mss <= max(size, 88) && mss <= 1460)
        #expect(mss == SynCookie.segmentSize(SynCookie.index(of: min(size, 1460))))
        if size >= 1460 { #expect(mss == 1460) }
    }

    /// Those who were there first stay, and get in.
    @Test func halfOpenConnectionsAreKept() {
        let t = Conversation { $0.maxHalfOpen = 8 }
        var sequences: [UInt32] = []
        for port in 0..<100 {
            t.remotePort = UInt16(1000 + port)
            t.send(.syn, seq: 0)
            sequences.append(t.next()!.sequence)
        }
        #expect(t.stack.controlBlocks == 8)
        #expect(t.stack.statistics.tcpSynCookiesSent == 92)
        for port in 0..<100 {
            t.remotePort = UInt16(1000 + port)
            t.localISS = sequences[port]
            t.send(.ack, seq: 1, ack: 1)
            t.expectNothing()
        }
        #expect(t.stack.controlBlocks == 100)
        #expect(t.stack.statistics.tcpEstablished == 100)
        #expect(t.stack.statistics.tcpSynCookiesAccepted == 92)
        // With room in the backlog there is no need for cookies.
        t.remotePort = 2_000
        t.send(.syn, seq: 0)
        #expect(t.stack.controlBlocks == 101)
    }

    @Test func cookiesAgeBetweenOneAndTwoPeriods() {
        for (age, good) in [(1, true), (63, true), (129, false), (10_000, false)] {
            let t = flooded()
            t.send(.syn, seq: 0)
            t.localISS = t.next()!.sequence
            // The two half-open ones give up meanwhile: their SYN,ACKs are not looked at.
            t.wait(.seconds(Int64(age)))
            while t.next() != nil {}
            t.send(.ack, seq: 1, ack: 1)
            #expect((t.stack.nextEvent() != nil) == good, "after \(age) s")
            if !good { t.expect(.rst, seq: 1) }
        }
    }

    /// A wrong cookie, or a right one of somebody else, is answered as any ACK of no connection (RFC 9293 3.10.7.1).
    @Test func wrongCookiesAreReset() {
        let t = flooded()
        t.send(.syn, seq: 0)
        t.localISS = t.next()!.sequence
        t.send(.ack, seq: 1, ack: 2)
        t.expect(.rst, seq: 2)
        t.send(.ack, seq: 2, ack: 1)
        t.expect(.rst, seq: 1)
        t.remotePort += 1
        t.send(.ack, seq: 1, ack: 1)
        t.expect(.rst, seq: 1)
        #expect(t.stack.statistics.tcpSynCookiesFailed == 3)
        #expect(t.stack.controlBlocks == 2)
        t.remotePort -= 1
        t.send([.ack, .rst], seq: 1, ack: 1)
        t.expectNothing()
        t.send(.ack, seq: 1, ack: 1)
        #expect(t.stack.nextEvent() != nil)
    }

    @Test func guessesDoNotPass() {
        let t = flooded()
        t.send(.syn, seq: 0)
        t.localISS = t.next()!.sequence
        for guess in 0..<20_000 { t.send(.ack, seq: 1, ack: guess &* 7_919 + 100) }
        #expect(t.stack.statistics.tcpSynCookiesAccepted == 0)
        #expect(t.stack.controlBlocks == 2)
    }

    /// Without a cookie given away lately no ACK is taken for one.
    @Test func aCookieNeedsAFlood() {
        let t = Conversation()
        let key = ConnectionTable.key(
            remoteRaw: Conversation.remoteAddress.bits.bigEndian,
            portsRaw: UInt32(t.remotePort.bigEndian) | UInt32(t.localPort.bigEndian) << 16)
        let cookie = t.stack.isn.cookie(
            key, peer: SequenceNumber(t.remoteISS), counter: SynCookie.counter(t.now), index: 7)
        t.localISS = cookie.raw
        t.send(.ack, seq: 1, ack: 1)
        t.expect(.rst, seq: 1)
    }

    /// A timestamp that cannot be the echo of ours: what was agreed on is unknown, so there is no connection.
    @Test func foreignEchoIsReset() {
        let t = flooded()
        t.send(.syn, seq: 0, options: Self.timestamps, window: 1_000)
        let answer = t.next()!
        t.localISS = answer.sequence
        (t.timestamp, t.timestampEcho) = (78, answer.timestamps!.value &- 200_000)
        t.send(.ack, seq: 1, ack: 1)
        t.expect(.rst, seq: 1)
        t.timestampEcho = answer.timestamps!.value
        t.send(.ack, seq: 1, ack: 1)
        #expect(t.stack.nextEvent() != nil)
    }

    /// The peer's first words may be lost and its FIN come with them.
    @Test func ackWithTextAndFin() {
        let t = flooded()
        t.send(.syn, seq: 0)
        t.localISS = t.next()!.sequence
        t.send([.ack, .fin], seq: 1, ack: 1, "QUIT")
        t.connection = t.stack.nextEvent()
        #expect(t.stack.takeEvents(t.connection) == [.opened, .readable, .endOfStream])
        #expect(t.read() == Array("QUIT".utf8))
        t.expect(.ack, seq: 1, ack: 6)
    }

    @Test func connectionLimitHolds() {
        let t = Conversation {
            $0.maxHalfOpen = 1
            $0.maxConnections = 2
        }
        for port in 1...3 {
            t.remotePort = UInt16(port)
            t.send(.syn, seq: 0)
            t.localISS = t.next()!.sequence
            if port > 1 { t.send(.ack, seq: 1, ack: 1) }
        }
        #expect(t.stack.controlBlocks == 2)
        #expect(t.stack.statistics.tcpConnectionLimitDrops == 1)
        #expect(t.pool.freeCount == t.pool.count)
    }

    /// A flood from forged addresses of the own subnet asks for no address and holds no frame.
    @Test func floodCostsNoNeighbours() {
        let t = Conversation(resolved: false) { $0.maxHalfOpen = 16 }
        t.answersARP = false
        let queries = t.stack.statistics.arpRequestsSent
        for source in 2..<250 {
            var syn = t.segment(.syn, seq: 0)
            syn[29] = UInt8(source)
            // The checksums without the address's change (RFC 1624).
            fix(&syn, 24, by: source - 2)
            fix(&syn, 50, by: source - 2)
            t.input(syn)
            let answer = t.next()
            #expect(answer?.flags == [.syn, .ack])
            #expect(answer?.bytes.prefix(6) == [2, 0, 0, 0, 0, 2], "to the station it came from")
        }
        t.wait(.seconds(70))
        #expect(t.stack.statistics.arpRequestsSent == queries)
        #expect(t.stack.neighbours.count == 0)
        #expect(t.stack.controlBlocks == 0)
        #expect(t.pool.freeCount == t.pool.count)
    }

    /// Subtracts from a one's complement sum.
    private func fix(_ frame: inout [UInt8], _ offset: Int, by change: Int) {
        var sum = Int(frame[offset]) << 8 | Int(frame[offset + 1])
        sum -= change
        if sum <= 0 { sum += 0xFFFF }
        frame[offset] = UInt8(sum >> 8)
        frame[offset + 1] = UInt8(sum & 255)
    }
}
