import Runtime
import Testing

@testable import Net

/// Two stacks that agree on ECN over a wire that loses, holds back and marks: both streams arrive whole, and what is on the
/// wire keeps to RFC 3168 whatever the seed.
@Suite struct ECNProperties {
    /// Looks at each frame, and marks some that are capable.
    private final class Observer {
        private var entropy: Entropy
        /// The end of the highest text seen, by the sender's port.
        private var highest: [UInt16: SequenceNumber] = [:]
        private(set) var violations: [String] = []
        private(set) var marked = 0

        init(seed: UInt64) { entropy = Entropy(seed: seed) }

        func pass(_ frame: inout [UInt8]) {
            guard let segment = SentSegment(frame) else { return }
            let ecn = segment.typeOfService & 3
            if ecn == 0 { return }
            let start = SequenceNumber(segment.sequence)
            if ecn != 2 { violations.append("codepoint \(ecn)") }
            if segment.text.isEmpty || segment.flags.contains(.syn) { violations.append("ECT on \(segment)") }
            if let end = highest[segment.sourcePort], start < end { violations.append("ECT again: \(segment)") }
            highest[segment.sourcePort] = start + segment.text.count
            guard entropy.chance(0.1) else { return }
            marked += 1
            frame[15] |= 1
            frame.withUnsafeMutableBytes {
                let ip = $0.baseAddress! + 14
                ip.putRaw16(0, 10)
                ip.putRaw16(InternetChecksum.finish(InternetChecksum.sum(ip, 20, 0)), 10)
            }
        }
    }

    @Test(arguments: 0..<10) func streamsArriveWhole(_ group: UInt64) {
        for index in 0..<5 { run(seed: group * 5 + UInt64(index)) }
    }

    private func run(seed: UInt64) {
        var entropy = Entropy(seed: seed)
        var faults = MemoryWire.Faults()
        faults.loss = Double(seed % 3) * 0.02
        // Text that is overtaken is older than the highest seen: without reordering the observer knows what is new.
        faults.delay = .milliseconds(Int64(entropy.next(below: 5)))
        let pair = Pair(seed: seed, faults: faults) {
            $0.ecn = .offer
            $0.timestamps = seed % 2 == 0
            $0.congestionControl = seed % 5 == 0 ? .newReno : .cubic
            $0.receiveWindow = 4_096 << entropy.next(below: 6)
        }
        let observer = Observer(seed: seed)
        pair.wire.tamper = { observer.pass(&$0) }
        pair.b.stack.listen(port: 7)
        let there = RandomUser(message: ramp(100_000, from: 3), seed: seed)
        let back = RandomUser(message: ramp(100_000, from: 5), seed: seed + 1)
        there.connection = pair.a.stack.connect(to: IPv4Address(10, 0, 0, 2), port: 7, now: pair.now)
        let done = pair.run(
            for: .seconds(900), serveA: { there.serve($0, pair.now) }, serveB: { back.serve($0, pair.now) },
            until: { there.isClosed && back.isClosed })
        let whole = there.received == back.message && back.received == there.message
        #expect(done && whole, "seed \(seed): \(there) \(back)")
        #expect(observer.violations.isEmpty, "seed \(seed): \(observer.violations.prefix(3))")
        let sums = [pair.a, pair.b].map { $0.stack.statistics }.reduce((0, 0)) {
            ($0.0 + $1.tcpCongestionMarks, $0.1 + $1.tcpEcnReductions)
        }
        // A lost SYN is repeated without.
        if observer.marked > 0 {
            #expect(sums.0 > 0 && sums.1 > 0, "seed \(seed): \(sums)")
            #expect(sums.0 <= UInt64(observer.marked))
        } else {
            #expect(faults.loss > 0)
        }
        pair.wire.tamper = nil
        pair.expectClean()
    }
}
