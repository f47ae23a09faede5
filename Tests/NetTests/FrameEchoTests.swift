import Runtime
import Testing

@testable import Net

/// The bare echo's answers, frame by frame.
@Suite struct FrameEchoTests {
    private static let ours = MACAddress(bits: 0x0200_0000_0001)
    private static let theirs = MACAddress(bits: 0x0200_0000_0002)
    private static let address = IPv4Address(10, 0, 0, 1)
    private static let client = IPv4Address(10, 0, 0, 2)

    /// Answers to `frames`, and what was counted. Every frame has returned to its pool in the end.
    private func answers(
        _ frames: [[UInt8]], replyLength: Int? = nil
    ) -> (answers: [[UInt8]], statistics: FrameEcho.Statistics) {
        let pool = FramePool(count: 8)
        let (received, outgoing) = (FrameQueue(capacity: 8), FrameQueue(capacity: 8))
        defer {
            #expect(pool.freeCount == 8)
            pool.deallocate()
            received.deallocate()
            outgoing.deallocate()
        }
        for frame in frames {
            let id = pool.allocate()!
            // What lies behind a received frame is of no meaning.
            pool.address(id).initializeMemory(as: UInt8.self, repeating: 0xAA, count: pool.frameSize)
            (pool.address(id) + 256).copyMemory(from: frame, byteCount: frame.count)
            received.append(FrameDescriptor(frame: id, offset: 256, length: frame.count))
        }
        var echo = FrameEcho(hardwareAddress: Self.ours, address: Self.address, replyLength: replyLength)
        echo.answer(received, into: outgoing, of: pool)
        var result: [[UInt8]] = []
        while let frame = outgoing.pop() {
            let start = pool.address(frame.frame) + Int(frame.offset)
            result.append([UInt8](UnsafeRawBufferPointer(start: start, count: Int(frame.length))))
            pool.release(frame.frame)
        }
        return (result, echo.statistics)
    }

    /// A datagram from `client` port 4000 to `address` port 7 with right checksums, or without one of UDP.
    private func datagram(_ payload: [UInt8], hasChecksum: Bool = true) -> [UInt8] {
        var frame = [UInt8](repeating: 0, count: FrameEcho.headerLength) + payload
        let length = payload.count + 8
        frame.withUnsafeMutableBytes {
            let p = $0.baseAddress!
            let (source, destination) = (Self.client.bits.bigEndian, Self.address.bits.bigEndian)
            Ethernet.write(
                p, destinationRaw: Ethernet.raw(Self.ours), sourceRaw: Ethernet.raw(Self.theirs), type: EtherType.ipv4)
            IPv4Header.write(
                p + 14, protocol: IPProtocol.udp, sourceRaw: source, destinationRaw: destination, payload: length)
            p.putBig16(4000, 34)
            p.putBig16(7, 36)
            p.putBig16(UInt16(length), 38)
            guard hasChecksum else { return }
            let pseudo = InternetChecksum.pseudoHeader(
                source, destination, protocol: IPProtocol.udp, length: length)
            let sum = InternetChecksum.finish(InternetChecksum.sum(p + 34, length, pseudo))
            p.putRaw16(sum == 0 ? 0xFFFF : sum, 40)
        }
        return frame
    }

    private func field(_ frame: [UInt8], _ offset: Int) -> Int { Int(frame[offset]) << 8 | Int(frame[offset + 1]) }

    /// Both checksums, from scratch.
    private func hasRightChecksums(_ frame: [UInt8]) -> Bool {
        frame.withUnsafeBytes {
            let p = $0.baseAddress!
            var header = IPv4Header()
            guard header.parse(p + 14, frame.count - 14) == .valid, header.payloadCount == Int(p.big16(38)) else {
                return false
            }
            let pseudo = InternetChecksum.pseudoHeader(
                header.sourceRaw, header.destinationRaw, protocol: IPProtocol.udp, length: header.payloadCount)
            return InternetChecksum.fold(InternetChecksum.sum(p + 34, header.payloadCount, pseudo)) == 0xFFFF
        }
    }

    @Test func aDatagramComesBackToItsSender() {
        let request = datagram([1, 2, 3, 4, 5])
        let (answers, statistics) = self.answers([request])
        #expect(answers.count == 1 && statistics.datagrams == 1 && statistics.ignored == 0)
        let answer = answers[0]
        #expect(answer[0..<6] == request[6..<12] && answer[6..<12] == request[0..<6])
        #expect(answer[26..<30] == request[30..<34] && answer[30..<34] == request[26..<30])
        #expect(field(answer, 34) == 7 && field(answer, 36) == 4000)
        #expect(answer[42...] == request[42...])
        #expect(hasRightChecksums(answer))
    }

    /// Cut and filled up from each length to each other, odd and even.
    @Test func anAnswerHasTheLengthThatWasAskedFor() {
        for payload in [0, 1, 2, 7, 60, 61, 1472] {
            let bytes = (0..<payload).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 201) }
            for length in [42, 43, 44, 49, 50, 102, 103, 131, 1513, 1514] {
                let (answers, _) = self.answers([datagram(bytes)], replyLength: length)
                #expect(answers[0].count == length && hasRightChecksums(answers[0]), "\(payload) to \(length)")
                let kept = min(payload, length - 42)
                #expect(answers[0][42..<(42 + kept)].elementsEqual(bytes[..<kept]))
                #expect(answers[0][(42 + kept)...].allSatisfy { $0 == 0 })
            }
        }
    }

    @Test func withoutAChecksumThereIsNoneInTheAnswer() {
        for length in [44, 300] {
            let (answers, _) = self.answers([datagram([9, 9, 9], hasChecksum: false)], replyLength: length)
            #expect(answers[0].count == length && field(answers[0], 40) == 0)
        }
    }

    /// A frame is at least 60 bytes long on the wire; what lies behind the datagram does not count.
    @Test func paddingIsNoPartOfTheDatagram() {
        let request = datagram([1]) + [UInt8](repeating: 0, count: 17)
        #expect(hasRightChecksums(answers([request]).answers[0]))
        let answer = answers([request], replyLength: 80).answers[0]
        #expect(answer.count == 80 && hasRightChecksums(answer))
    }

    @Test func arpForTheAddressIsAnswered() {
        var question = [UInt8](repeating: 0, count: 60)
        question.withUnsafeMutableBytes {
            Ethernet.write(
                $0.baseAddress!, destinationRaw: Ethernet.addressMask, sourceRaw: Ethernet.raw(Self.theirs),
                type: EtherType.arp)
            ARPPacket(
                .request, senderHardware: Self.theirs, senderAddress: Self.client,
                targetHardware: MACAddress(bits: 0), targetAddress: Self.address
            ).write($0.baseAddress! + 14)
        }
        var forAnother = question
        forAnother[41] = 99
        let (answers, statistics) = self.answers([question, forAnother])
        #expect(answers.count == 1 && statistics.arpReplies == 1 && statistics.ignored == 1)
        answers[0].withUnsafeBytes {
            let reply = ARPPacket(at: $0.baseAddress! + 14, count: 28)
            #expect(reply?.operation == .reply)
            #expect(reply?.senderHardware == Self.ours && reply?.senderAddress == Self.address)
            #expect(reply?.targetHardware == Self.theirs && reply?.targetAddress == Self.client)
            #expect(MACAddress(at: $0.baseAddress!) == Self.theirs && MACAddress(at: $0.baseAddress! + 6) == Self.ours)
        }
    }

    @Test func everythingElseIsIgnored() {
        let good = datagram([1, 2, 3, 4])
        func changed(_ offset: Int, _ value: UInt8) -> [UInt8] {
            var frame = good
            frame[offset] = value
            return frame
        }
        let strange: [(String, [UInt8])] = [
            ("cut in the header", Array(good[..<41])), ("shorter than it says", Array(good[..<45])),
            ("empty", []), ("TCP", changed(23, 6)), ("another address", changed(33, 9)),
            ("IPv6", changed(12, 0x86)), ("version 6", changed(14, 0x65)), ("header of 16 bytes", changed(14, 0x44)),
            ("header longer than the datagram", changed(14, 0x4F)), ("a fragment", changed(20, 0x20)),
            ("UDP length", changed(39, 13)), ("from a group address", changed(6, 1)),
        ]
        for (name, frame) in strange {
            let (answers, statistics) = self.answers([frame], replyLength: 200)
            #expect(answers.isEmpty && statistics.ignored == 1, "\(name)")
        }
    }

    @Test func optionsInTheHeaderStay() {
        var request = datagram([1, 2, 3, 4, 5, 6])
        // Four bytes of no-operation options; the sum is made anew.
        request.insert(contentsOf: [1, 1, 1, 1], at: 34)
        request[14] = 0x46
        request[17] += 4
        (request[24], request[25]) = (0, 0)
        request.withUnsafeMutableBytes {
            $0.baseAddress!.putRaw16(InternetChecksum.finish(InternetChecksum.sum($0.baseAddress! + 14, 24)), 24)
        }
        // No room for a datagram behind such a header: the shortest there is.
        let answer = answers([request], replyLength: 42).answers[0]
        #expect(answer.count == 46 && field(answer, 42) == 8)
        #expect(answer[34..<38] == [1, 1, 1, 1])
        #expect(answers([request], replyLength: 100).answers[0].count == 100)
    }

    @Test func whatFindsNoRoomWaits() {
        let pool = FramePool(count: 8)
        let (received, outgoing) = (FrameQueue(capacity: 8), FrameQueue(capacity: 2))
        var echo = FrameEcho(hardwareAddress: Self.ours, address: Self.address)
        let bytes = datagram([1])
        for _ in 0..<3 {
            let id = pool.allocate()!
            pool.address(id).copyMemory(from: bytes, byteCount: bytes.count)
            received.append(FrameDescriptor(frame: id, offset: 0, length: bytes.count))
        }
        echo.answer(received, into: outgoing, of: pool)
        #expect(outgoing.count == 2 && received.count == 1)
        outgoing.removeFirst(2)
        echo.answer(received, into: outgoing, of: pool)
        #expect(outgoing.count == 1 && received.isEmpty && echo.statistics.datagrams == 3)
        pool.deallocate()
        received.deallocate()
        outgoing.deallocate()
    }
}
