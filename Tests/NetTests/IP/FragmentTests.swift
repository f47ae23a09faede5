import Runtime
import Testing

@testable import Net

/// RFC 791 3.2, RFC 1122 3.3.2, RFC 5722 applied to IPv4.
@Suite struct Fragments {
    private func echo(_ count: Int) -> [UInt8] {
        Datagrams.message(8, 0, rest: [0x12, 0x34, 0, 7], ramp(count))
    }

    /// All frames that left, as one echo reply's ICMP message.
    private func reply(_ t: Conversation) -> [UInt8] {
        var bytes: [UInt8] = []
        var ids: Set<[UInt8]> = []
        while let frame = t.frame() {
            #expect(Datagrams.plainSum(frame[14..<34]) == 0xFFFF)
            #expect(frame.count <= 1_514)
            let offset = (Int(frame[20] & 0x1F) << 8 + Int(frame[21])) * 8
            #expect(offset == bytes.count)
            bytes += Datagrams.payload(frame)
            ids.insert(Array(frame[18..<20]))
        }
        #expect(ids.count <= 1)
        return bytes
    }

    @Test(arguments: [16, 600, 1_480, 1_500, 2_000, 8_000, 65_000]) func echoInPieces(_ size: Int) {
        let t = Conversation()
        for order in [false, true] {
            let pieces = Datagrams.fragments(echo(size), protocol: 1, id: 77, size: 8 * max(1, size / 50))
            for piece in order ? pieces.reversed() : pieces { t.input(piece) }
            let answer = reply(t)
            #expect(answer.count == size + 8)
            #expect(answer.first == 0 && Array(answer.dropFirst(8)) == ramp(size))
            #expect(Datagrams.plainSum(answer[...]) == 0xFFFF)
        }
        #expect(t.stack.statistics.ipv4Reassembled == 2)
        #expect(t.stack.fragments.count == 0 && t.stack.fragments.memory == 0)
        #expect(t.stack.scheduledTimers == 1, "the neighbour's")
        #expect(t.pool.freeCount == t.pool.count)
    }

    /// The payload of a TCP segment of ours, as the conversation builds it.
    private func tcp(_ t: Conversation, _ flags: TCPFlags, seq: Int, ack: Int, _ text: [UInt8]) -> [UInt8] {
        Array(t.segment(flags, seq: seq, ack: ack, text)[34...])
    }

    @Test func segmentInPieces() {
        let t = Conversation()
        t.establish()
        for piece in Datagrams.fragments(tcp(t, .ack, seq: 1, ack: 1, ramp(1_000)), protocol: 6, id: 1, size: 200) {
            t.input(piece)
        }
        #expect(t.read() == ramp(1_000))
        t.wait(.milliseconds(50))
        t.expect(.ack, seq: 1, ack: 1_001)
    }

    /// A segment larger than any frame is several for the connection; its FIN is behind all of its text.
    @Test func segmentLargerThanAFrame() {
        let t = Conversation()
        t.establish()
        let segment = tcp(t, [.ack, .psh, .fin], seq: 1, ack: 1, ramp(20_000))
        for piece in Datagrams.fragments(segment, protocol: 6, id: 1, size: 1_480).reversed() { t.input(piece) }
        #expect(t.events() == [.readable, .endOfStream])
        let whole = t.read() == ramp(20_000)
        #expect(whole)
        t.expect(.ack, seq: 1, ack: 20_002)
        t.expectNothing()
    }

    @Test func openingInPieces() {
        let t = Conversation()
        t.input(
            Datagrams.frame(
                Array(t.segment(.syn, seq: 0, options: Conversation.mss(1_000))[34...]), protocol: 6, id: 1, more: true)
        )
        t.expectNothing()
        // 24 bytes, and nothing behind them: the last fragment may not be empty.
        t.input(Datagrams.frame([], protocol: 6, id: 1, offset: 24))
        #expect(t.stack.statistics.ipv4FragmentsMalformed == 1)
        #expect(t.next() == nil)
    }

    @Test func damageIsFoundInTheWhole() {
        let t = Conversation()
        t.establish()
        var segment = tcp(t, .ack, seq: 1, ack: 1, ramp(1_000))
        segment[500] ^= 1
        for piece in Datagrams.fragments(segment, protocol: 6, id: 1, size: 200) { t.input(piece) }
        #expect(t.stack.statistics.tcpBadChecksum == 1)
        #expect(t.read().isEmpty)
    }

    // MARK: refused

    /// RFC 5722 4: an overlap ends the datagram, and what comes of it later is dropped.
    @Test func overlapsEndTheDatagram() {
        let t = Conversation()
        let message = echo(992)
        let pieces = Datagrams.fragments(message, protocol: 1, id: 5, size: 200)
        t.input(pieces[0], pieces[1])
        t.input(Datagrams.frame(Array(message[392..<600]), protocol: 1, id: 5, offset: 392, more: true))
        #expect(t.stack.statistics.ipv4FragmentOverlaps == 1)
        for piece in pieces { t.input(piece) }
        #expect(t.stack.statistics.ipv4FragmentsRefused == 5)
        #expect(t.frame() == nil && t.stack.fragments.memory == 0)
        // Another datagram of the same source is none of its business.
        for piece in Datagrams.fragments(message, protocol: 1, id: 6, size: 200) { t.input(piece) }
        #expect(reply(t).count == 1_000)
        // Its time over, the number may be used again; nobody hears of it.
        t.wait(.seconds(31))
        #expect(t.frame() == nil)
        for piece in pieces { t.input(piece) }
        #expect(reply(t).count == 1_000)
    }

    @Test func exactRepetitionsDoNotMatter() {
        let t = Conversation()
        let pieces = Datagrams.fragments(echo(992), protocol: 1, id: 5, size: 200)
        for piece in pieces.dropLast() { t.input(piece, piece) }
        t.input(pieces.last!)
        #expect(reply(t).count == 1_000)
        #expect(t.stack.statistics.ipv4FragmentDuplicates == 4)
    }

    /// Two ends, text beyond the end, impossible lengths, headers cut in two.
    @Test func contradictions() {
        let t = Conversation()
        let message = echo(992)
        let s = { t.stack.statistics }
        t.input(Datagrams.frame(Array(message[800...]), protocol: 1, id: 1, offset: 800))
        t.input(Datagrams.frame(Array(message[400..<600]), protocol: 1, id: 1, offset: 1_000, more: true))
        #expect(s().ipv4FragmentOverlaps == 1)
        t.input(Datagrams.frame(Array(message[800...]), protocol: 1, id: 2, offset: 800))
        t.input(Datagrams.frame(Array(message[400..<600]), protocol: 1, id: 2, offset: 400))
        #expect(s().ipv4FragmentOverlaps == 2)
        t.input(Datagrams.frame(Array(message[400..<600]), protocol: 1, id: 3, offset: 400, more: true))
        t.input(Datagrams.frame(Array(message[200..<400]), protocol: 1, id: 3, offset: 200))
        #expect(s().ipv4FragmentOverlaps == 3)
        #expect(s().ipv4FragmentsMalformed == 0)
        t.input(Datagrams.frame(ramp(201), protocol: 1, id: 4, more: true))
        t.input(Datagrams.frame(ramp(200), protocol: 1, id: 4, offset: 65_400))
        t.input(Datagrams.frame(ramp(16), protocol: 6, id: 5, more: true))
        t.input(Datagrams.frame(ramp(16), protocol: 6, id: 5, offset: 8, more: true))
        #expect(s().ipv4FragmentsMalformed == 4)
        #expect(t.frame() == nil && t.pool.freeCount == t.pool.count)
    }

    /// RFC 3168 5.3: one mark marks the whole; a mark beside a fragment that is not capable is a lie.
    @Test func marks() {
        let t = Conversation()
        let message = echo(392)
        func send(_ id: UInt16, _ first: UInt8, _ second: UInt8) {
            t.input(Datagrams.frame(Array(message[..<200]), protocol: 1, id: id, more: true, service: first))
            t.input(Datagrams.frame(Array(message[200...]), protocol: 1, id: id, offset: 200, service: second))
        }
        send(1, 3, 2)
        #expect(reply(t).count == 400)
        send(2, 3, 0)
        #expect(t.frame() == nil && t.stack.statistics.ipv4ReassemblyMarks == 1)
    }

    // MARK: time

    /// RFC 1122 3.3.2: after 30 seconds; the source hears of it if the first fragment came.
    @Test func timeOver() {
        let t = Conversation()
        let pieces = Datagrams.fragments(echo(992), protocol: 1, id: 5, size: 200)
        t.input(pieces[1], pieces[0])
        t.wait(.seconds(10))
        t.input(Datagrams.fragments(echo(992), protocol: 1, id: 6, size: 200)[1])
        t.wait(.seconds(19))
        #expect(t.frame() == nil)
        t.wait(.seconds(2))
        let told = SentMessage(t.frame())
        #expect(told?.type == 11 && told?.code == 1 && told?.destination == [10, 0, 0, 2])
        #expect(told?.data == Array(pieces[0][14...]))
        t.wait(.seconds(10))
        // The second without its first fragment: nobody is told.
        #expect(t.frame() == nil && t.stack.statistics.ipv4ReassemblyTimeouts == 2)
        #expect(t.stack.fragments.count == 0 && t.stack.fragments.memory == 0)
    }

    /// No error about an error (RFC 1122 3.2.2).
    @Test func errorsInPiecesAreNotReported() {
        let t = Conversation()
        let message = Datagrams.message(3, 3, ramp(400))
        t.input(Datagrams.fragments(message, protocol: 1, id: 5, size: 200)[0])
        t.wait(.seconds(31))
        #expect(t.frame() == nil && t.stack.statistics.ipv4ReassemblyTimeouts == 1)
    }

    // MARK: bounds

    @Test func oneSourceHasItsShare() {
        let t = Conversation()
        for id in 0..<100 { t.input(Datagrams.frame(ramp(800), protocol: 17, id: UInt16(id), more: true)) }
        #expect(t.stack.fragments.count == FragmentTable.perSource)
        #expect(t.stack.statistics.ipv4ReassemblyEvictions == 84)
        for source in 0..<200 {
            t.input(
                Datagrams.frame(
                    ramp(800), protocol: 17, id: 1, more: true, source: IPv4Address(10, 1, 0, UInt8(source))))
        }
        #expect(t.stack.fragments.count == FragmentTable.capacity)
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test func memoryIsBounded() {
        let t = Conversation()
        for source in 0..<40 {
            let address = IPv4Address(10, 1, 0, UInt8(source))
            for index in 0..<40 {
                t.input(
                    Datagrams.frame(
                        ramp(1_472), protocol: 17, id: 1, offset: 1_480 * index, more: true, source: address))
                #expect(t.stack.fragments.memory <= FragmentTable.maxBytes)
            }
        }
        #expect(t.stack.statistics.ipv4ReassemblyEvictions > 0)
        // Many small ones.
        for index in 0..<200 {
            t.input(Datagrams.frame(ramp(8), protocol: 17, id: 9, offset: 16 * index, more: true))
        }
        #expect(t.stack.statistics.ipv4FragmentsTooMany == 1)
        t.wait(.seconds(31))
        #expect(t.stack.fragments.count == 0 && t.stack.fragments.memory == 0)
    }
}
