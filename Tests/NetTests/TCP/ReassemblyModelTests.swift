import Runtime
import Testing

@testable import Net

/// The out-of-order queue against a naive model: a flag for each octet.
@Suite struct ReassemblyModel {
    @Test(arguments: 0..<24) func runsAreWhatArrived(_ seed: UInt64) {
        var entropy = Entropy(seed: seed &+ 500)
        let t = Conversation(frames: 4_096, seed: seed)
        t.remoteISS = UInt32(truncatingIfNeeded: entropy.next())
        t.establish(options: Conversation.mss(1460) + [4, 2])
        let text = ramp(20_000)
        var has = [Bool](repeating: false, count: text.count)
        var got: [UInt8] = []
        let longest = 1 + entropy.next(below: 1_400)
        for _ in 0..<250 {
            let first = has.firstIndex(of: false) ?? text.count
            if first == text.count { break }
            let from = min(text.count - 1, max(0, first - 300 + entropy.next(below: 12_000)))
            let to = min(text.count, from + 1 + entropy.next(below: longest))
            let duplicate = has[from..<to].contains(true)
            let drops = t.stack.statistics.tcpOutOfOrderDrops
            t.send(.ack, seq: 1 + from, ack: 1, Array(text[from..<to]))
            // One that would have been too much.
            if t.stack.statistics.tcpOutOfOrderDrops == drops { for index in from..<to { has[index] = true } }
            var last: SentSegment?
            while let segment = t.next() { last = segment }
            let contiguous = has.firstIndex(of: false) ?? text.count
            if let last { check(t, last, has, contiguous: contiguous, duplicate: duplicate, seed: seed) }
            if entropy.chance(0.3) { got += t.read() }
        }
        got += t.read()
        let contiguous = has.firstIndex(of: false) ?? text.count
        let equal = got == Array(text[..<contiguous])
        #expect(equal, "seed \(seed)")
        t.send([.ack, .rst], seq: 1 + contiguous, ack: 1)
        #expect(t.pool.freeCount == t.pool.count)
    }

    /// Every block reports octets that are there, and ends where something is missing.
    private func check(
        _ t: Conversation, _ segment: SentSegment, _ has: [Bool], contiguous: Int, duplicate: Bool, seed: UInt64
    ) {
        let ack = Int(Int32(bitPattern: segment.acknowledgement &- t.remoteISS)) - 1
        #expect(ack == contiguous, "seed \(seed)")
        var blocks: [(Int, Int)] = []
        let edges = segment.sackBlocks.map { Int(Int32(bitPattern: $0 &- t.remoteISS)) - 1 }
        for index in stride(from: 0, to: edges.count, by: 2) { blocks.append((edges[index], edges[index + 1])) }
        if duplicate, let first = blocks.first {
            #expect(has[first.0..<first.1].allSatisfy { $0 }, "seed \(seed)")
            blocks.removeFirst()
        }
        for (left, right) in blocks {
            let exact =
                left > ack && has[left..<right].allSatisfy { $0 } && !has[left - 1]
                && (right == has.count || !has[right])
            #expect(exact, "seed \(seed): \(left)..<\(right) of \(ack)")
        }
    }
}
