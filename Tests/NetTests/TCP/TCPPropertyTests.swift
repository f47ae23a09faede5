import Runtime
import Testing

@testable import Net

/// Two stacks over a wire that loses, repeats, reorders and damages frames: whatever the seed, both streams arrive whole,
/// both sides close, and nothing is left over.
@Suite struct TCPProperties {
    private static func faults(_ seed: UInt64) -> MemoryWire.Faults {
        var entropy = Entropy(seed: seed &* 77)
        var faults = MemoryWire.Faults()
        let strength = Double(entropy.next(below: 4)) / 3
        faults.loss = 0.12 * strength
        faults.duplication = 0.1 * strength
        faults.reordering = 0.3 * strength
        faults.corruption = 0.05 * strength
        faults.reorderSpan = .milliseconds(Int64(1 + entropy.next(below: 20)))
        faults.delay = .microseconds(Int64(entropy.next(below: 3_000)))
        return faults
    }

    @Test(arguments: 0..<24) func streamsArriveWhole(_ group: UInt64) {
        for index in 0..<10 { run(seed: group * 10 + UInt64(index)) }
    }

    /// The same with peers that do not know SACK.
    @Test(arguments: 0..<8) func streamsArriveWholeWithoutSack(_ group: UInt64) {
        for index in 0..<10 { run(seed: 1_000 + group * 10 + UInt64(index), sack: false) }
    }

    private func run(seed: UInt64, sack: Bool = true) {
        var entropy = Entropy(seed: seed)
        let pair = Pair(seed: seed, faults: Self.faults(seed), frames: 128 << entropy.next(below: 3)) {
            $0.receiveWindow = 4_096 << entropy.next(below: 6)
            $0.sendFrames = 1 + entropy.next(below: 32)
            $0.timestamps = seed % 2 == 0
            $0.mtu = [576, 1_280, 1_500][entropy.next(below: 3)]
        }
        if !sack { pair.wire.tamper = withoutSack }
        pair.b.stack.listen(port: 7)
        let there = RandomUser(message: ramp(entropy.next(below: 60_000), from: 3), seed: seed)
        let back = RandomUser(message: ramp(entropy.next(below: 60_000), from: 5), seed: seed + 1)
        there.connection = pair.a.stack.connect(to: IPv4Address(10, 0, 0, 2), port: 7, now: pair.now)
        let done = pair.run(
            for: .seconds(900), serveA: { there.serve($0, pair.now) }, serveB: { back.serve($0, pair.now) },
            until: { there.isClosed && back.isClosed })
        #expect(done, "seed \(seed): not done, \(there) \(back)")
        let whole = there.received == back.message && back.received == there.message
        #expect(whole, "seed \(seed)")
        #expect(sack || pair.a.stack.statistics.tcpRackRetransmissions == 0)
        if !done || !whole { dump(pair) }
        if !whole {
            for (got, sent) in [(there.received, back.message), (back.received, there.message)] {
                let first = zip(got, sent).enumerated().first { $0.element.0 != $0.element.1 }
                print("↳ got \(got.count) of \(sent.count), first difference at \(first?.offset ?? -1)")
            }
        }
        pair.expectClean()
    }
}

/// SYNs lose their SACK-permitted option.
func withoutSack(_ frame: inout [UInt8]) {
    guard frame.count >= 54, frame[12] == 8, frame[13] == 0, frame[23] == 6, frame[47] & 2 != 0 else { return }
    let end = min(frame.count, 34 + Int(frame[46] >> 4) * 4)
    var index = 54
    while index + 1 < end, frame[index] != 0 {
        if frame[index] == 4 { frame.replaceSubrange(index..<index + 2, with: [1, 1]) }
        index += frame[index] == 1 ? 1 : max(2, Int(frame[index + 1]))
    }
    let count = Int(frame[16]) << 8 + Int(frame[17]) - 20
    guard count >= 20, 34 + count <= frame.count else { return }
    frame.withUnsafeMutableBytes {
        guard let p = $0.baseAddress else { return }
        p.putRaw16(0, 34 + 16)
        let raw = UnsafeRawPointer(p)
        let pseudo = InternetChecksum.pseudoHeader(
            raw.raw32(26), raw.raw32(30), protocol: IPProtocol.tcp, length: count)
        p.putRaw16(InternetChecksum.finish(InternetChecksum.sum(p + 34, count, pseudo)), 34 + 16)
    }
}

func dump(_ pair: Pair) {
    for host in [pair.a, pair.b] {
        let counters = Mirror(reflecting: host.stack.statistics).children.compactMap { child in
            (child.value as? UInt64).flatMap { $0 == 0 ? nil : "\(child.label ?? "") \($0)" }
        }
        print("↳", pair.now / 1_000_000, host.pool.freeCount, counters.joined(separator: ", "))
    }
}

/// Writes and reads in pieces of random size at random times, shuts down when everything is written.
final class RandomUser: CustomStringConvertible {
    let message: [UInt8]
    var connection: TCPConnection?
    private var entropy: Entropy
    private var written = 0
    private var ended = false
    private(set) var received: [UInt8] = []
    private(set) var isClosed = false
    private var events: StreamEvents = []

    init(message: [UInt8], seed: UInt64) {
        self.message = message
        entropy = Entropy(seed: seed ^ 0xABCD)
    }

    var description: String { "written \(written)/\(message.count) received \(received.count) \(events.rawValue)" }

    func serve(_ stack: Stack, _ now: Nanoseconds) {
        while let c = stack.nextEvent() {
            connection = c
            events.formUnion(stack.takeEvents(c))
        }
        guard let c = connection, !isClosed else { return }
        read(stack, c)
        if events.contains(.closed) {
            while read(stack, c) {}
            stack.free(c)
            isClosed = true
            return
        }
        if entropy.chance(0.7) { write(stack, c) }
    }

    @discardableResult
    private func read(_ stack: Stack, _ c: TCPConnection) -> Bool {
        var any = false
        while entropy.chance(0.8) {
            let piece = stack.received(c)
            if piece.count == 0 { return any }
            any = true
            let n = 1 + entropy.next(below: piece.count)
            received += ByteView(piece.base, n).array
            stack.consume(c, n)
        }
        return true
    }

    private func write(_ stack: Stack, _ c: TCPConnection) {
        var budget = entropy.next(below: 8_000)
        while written < message.count, budget > 0, stack.backlog(c) < 30_000 {
            let span = stack.outputSpan(c)
            let n = min(span.room, message.count - written, 1 + entropy.next(below: 3_000))
            message.withUnsafeBytes { span.cursor.copyMemory(from: $0.baseAddress! + written, byteCount: n) }
            stack.commit(c, span.cursor + n)
            written += n
            budget -= n
        }
        if written == message.count, !ended {
            ended = true
            stack.shutdown(c)
        }
    }
}
