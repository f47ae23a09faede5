import Runtime
import Testing

@testable import Net

/// Path MTU discovery (RFC 1191) with the precautions of RFC 5927.
@Suite struct PathMTU {
    private func error(_ segment: SentSegment, mtu: Int, total: Int? = nil) -> [UInt8] {
        ICMPErrors.error(3, 4, about: segment, mtu: mtu, total: total)
    }

    private func segments(_ t: Conversation) -> [SentSegment] {
        var all: [SentSegment] = []
        while let segment = t.next() { all.append(segment) }
        return all
    }

    /// What the segments' texts make of the stream, and that it is what was written.
    private func covers(_ segments: [SentSegment], _ t: Conversation, _ text: [UInt8]) -> Bool {
        var stream = [UInt8?](repeating: nil, count: text.count)
        for segment in segments {
            let start = Int(segment.sequence &- t.localISS) - 1
            for (index, byte) in segment.text.enumerated() { stream[start + index] = byte }
        }
        return stream == text
    }

    @Test func segmentsBecomeSmallerAndLeaveAgain() {
        let t = Conversation()
        t.establish()
        let text = ramp(10_000)
        t.write(text)
        let large = segments(t)
        #expect(large.count == 7 && large[0].text.count == 1_460)
        let window = t.connection.block.pointee.cwnd
        for segment in large.prefix(6) { t.input(error(segment, mtu: 1_000)) }
        let small = segments(t)
        #expect(small.allSatisfy { $0.text.count <= 960 && $0.checksumsValid })
        #expect(covers(small, t, text))
        // Once for all of them, and not for want of room.
        #expect(t.stack.statistics.pathMTUReductions == 1)
        #expect(t.connection.block.pointee.cwnd == window)
        t.send(.ack, seq: 1, ack: 10_001)
        t.write(ramp(2_000))
        #expect(segments(t).map(\.text.count) == [960, 960, 80])
        t.send(.ack, seq: 1, ack: 12_001)
        #expect(t.pool.freeCount == t.pool.count)
    }

    /// A router that does not say what it could forward (RFC 1191 5): the plateaus.
    @Test func plateaus() {
        let t = Conversation()
        t.establish()
        t.write(ramp(3_000))
        for size in [1_452, 966, 512] {
            t.input(error(segments(t)[0], mtu: 0))
            #expect(Int(t.connection.block.pointee.mss) == size)
        }
        // Not below 552.
        let last = segments(t)
        t.input(error(last[0], mtu: 0))
        t.input(error(last[0], mtu: 68))
        #expect(t.connection.block.pointee.mss == 512)
        #expect(t.stack.statistics.icmpErrorsImplausible == 2)
        #expect(Stack.plateau(below: 1_500) == 1_492 && Stack.plateau(below: 65_535) == 32_000)
    }

    @Test func absurdClaims() {
        let t = Conversation()
        t.establish()
        t.write(ramp(1_460))
        let segment = t.next()!
        // It would have fit; larger than anything we send; nothing that needs it.
        t.input(error(segment, mtu: 1_500))
        t.input(error(segment, mtu: 1_400, total: 9_000))
        t.input(error(segment, mtu: 300, total: 400))
        #expect(t.stack.statistics.icmpErrorsImplausible == 3)
        #expect(t.connection.block.pointee.mss == 1_460)
        // Below what is believed, the bound counts.
        t.input(error(segment, mtu: 100))
        #expect(t.connection.block.pointee.mss == 512)
        #expect(covers(segments(t), t, ramp(1_460)))
    }

    /// RFC 1191 6.3: ten minutes later.
    @Test func fullSizeIsTriedAgain() {
        let t = Conversation()
        t.establish()
        t.write(ramp(1_460))
        t.input(error(t.next()!, mtu: 1_000))
        _ = segments(t)
        t.send(.ack, seq: 1, ack: 1_461)
        t.wait(.seconds(599))
        t.write(ramp(1_460))
        #expect(segments(t).map(\.text.count) == [960, 500])
        t.send(.ack, seq: 1, ack: 2_921)
        t.wait(.seconds(2))
        t.write(ramp(1_460))
        let large = segments(t)
        #expect(large.map(\.text.count) == [1_460])
        #expect(t.stack.statistics.pathMTURaises == 1)
        t.input(error(large[0], mtu: 1_200))
        #expect(segments(t).map(\.text.count) == [1_160, 300])
        t.send([.rst, .ack], seq: 1, ack: 1)
        #expect(t.events() == .closed)
        t.stack.free(t.connection)
        // The timer finds nobody, or somebody else of the same name.
        t.establish(options: Conversation.mss(700))
        t.wait(.seconds(700))
        #expect(t.connection.block.pointee.mss == 700)
        #expect(t.stack.narrowPaths.count == 0)
    }

    /// A window of one small segment is less than the larger segments that are allowed again.
    @Test func windowHoldsASegmentOfTheFullSize() {
        let t = Conversation()
        t.establish()
        t.write(ramp(1_460))
        t.input(error(t.next()!, mtu: 600))
        t.wait(.seconds(5))
        t.send(.ack, seq: 1, ack: 1_461)
        let block = t.connection.block
        #expect(block.pointee.cwnd < 1_460)
        t.wait(.seconds(700))
        #expect(block.pointee.mss == 1_460)
        #expect(block.pointee.cwnd >= 1_460 && block.pointee.ssthresh >= 2_920)
    }

    /// A frame that was acknowledged in part, one that was sent in part, and text that has not left yet.
    @Test(arguments: [0, 1, 500, 1_100, 1_459]) func partsOfFrames(_ acknowledged: Int) {
        let t = Conversation()
        t.establish(window: 4_000)
        let text = ramp(20_000)
        t.write(text)
        let large = segments(t)
        #expect(large.count == 2)
        if acknowledged > 0 { t.send(.ack, seq: 1, ack: 1 + acknowledged, window: 4_000) }
        var sent = segments(t)
        t.input(error(large[1], mtu: 600))
        var done = acknowledged
        for _ in 0..<100 where done < text.count {
            for segment in segments(t) {
                #expect(segment.text.count <= 560)
                sent.append(segment)
                done = max(done, Int(segment.sequence &- t.localISS) - 1 + segment.text.count)
            }
            t.send(.ack, seq: 1, ack: 1 + done, window: 4_000)
        }
        #expect(done == text.count)
        let first = Array(text[..<acknowledged])
        let whole = covers(sent + (first.isEmpty ? [] : [large[0]]), t, text)
        #expect(whole)
        #expect(t.stack.backlog(t.connection) == 0)
        #expect(t.pool.freeCount == t.pool.count)
    }

    /// Two stacks and a router between them that forwards 900 bytes.
    @Test(arguments: [true, false]) func bulkOverANarrowPath(_ timestamps: Bool) {
        let pair = Pair(seed: 3) { $0.timestamps = timestamps }
        pair.wire.faults.delay = .milliseconds(5)
        pair.b.stack.listen(port: 7)
        let message = ramp(300_000)
        let there = StreamUser(toSend: message)
        let back = EchoServer()
        let connection = pair.a.stack.connect(to: IPv4Address(10, 0, 0, 2), port: 7, now: pair.now)!
        var refused: [[UInt8]] = []
        pair.wire.tamper = { frame in
            guard frame.count > 914, frame[12] == 8, frame[13] == 0 else { return }
            refused.append(frame)
            // The switch does not know the address.
            frame[0] = 0x06
        }
        let burst = FrameQueue(capacity: 64)
        defer { burst.deallocate() }
        let done = pair.run(
            for: .seconds(60), maxStep: .milliseconds(1), serveA: { there.serve($0, connection) },
            serveB: { back.serve($0) },
            until: {
                for frame in refused.prefix(64) {
                    let host = frame[29] == 1 ? pair.a : pair.b
                    let quoted = Array(frame[14..<42])
                    var error = Datagrams.frame(
                        Datagrams.message(3, 4, rest: [0, 0, 3, 0x84], quoted), protocol: 1,
                        source: IPv4Address(10, 0, 0, 254))
                    error[5] = frame[29]
                    error[33] = frame[29]
                    (error[24], error[25]) = (0, 0)
                    let sum = Datagrams.plainSum(error[14..<34]) ^ 0xFFFF
                    (error[24], error[25]) = (UInt8(sum >> 8), UInt8(sum & 255))
                    let id = host.pool.allocate()!
                    error.withUnsafeBytes {
                        (host.pool.address(id) + 64).copyMemory(from: $0.baseAddress!, byteCount: $0.count)
                    }
                    _ = burst.push(FrameDescriptor(frame: id, offset: 64, length: error.count))
                    host.stack.input(burst, now: pair.now)
                }
                refused = []
                return there.isClosed && back.open == 0
            })
        #expect(done)
        let whole = there.received == message
        #expect(whole)
        #expect(pair.a.stack.statistics.pathMTUReductions == 1 && pair.b.stack.statistics.pathMTUReductions == 1)
        pair.wire.tamper = nil
        pair.expectClean()
    }
}
