import Runtime
import Testing

@testable import Net

/// Random fragments of a few datagrams against a model that keeps a flag for each octet.
@Suite struct FragmentModel {
    /// What a naive receiver would know of one datagram.
    private struct Datagram {
        var has = [Bool](repeating: false, count: 4_096)
        /// Beginnings and ends of what came, for exact repetitions.
        var pieces: [[Int]] = []
        var total: Int?
        var isRefused = false
    }

    @Test(arguments: 0..<40) func sameAsTheModel(_ seed: UInt64) {
        var entropy = Entropy(seed: seed)
        let t = Conversation()
        var model: [Int: Datagram] = [:]
        let message = Datagrams.message(8, 0, rest: [1, 2, 3, 4], ramp(792))
        for _ in 0..<400 {
            let id = entropy.next(below: 4)
            let from = 8 * entropy.next(below: 100)
            var to = from + 8 * (1 + entropy.next(below: 30))
            let more = to < 800 || entropy.chance(0.02)
            if !more { to = 800 }
            guard from < to else { continue }
            let known = model[id] ?? Datagram()
            let (after, isWhole) = step(known, from, to, more)
            model[id] = isWhole ? nil : after
            let text = (from..<to).map { $0 < 800 ? message[$0] : 0 }
            t.input(Datagrams.frame(text, protocol: 1, id: UInt16(id), offset: from, more: more))
            let answer = t.frame()
            #expect((answer != nil) == isWhole, "seed \(seed)")
            if let answer {
                let equal = Array(Datagrams.payload(answer)[8...]) == ramp(792)
                #expect(equal, "seed \(seed)")
            }
            #expect(t.stack.fragments.count == model.count, "seed \(seed)")
            if entropy.chance(0.01) {
                t.wait(.seconds(40))
                while t.frame() != nil {}
                model = [:]
                #expect(t.stack.fragments.memory == 0)
            }
        }
        t.wait(.seconds(31))
        #expect(t.stack.fragments.count == 0 && t.stack.fragments.memory == 0)
        #expect(t.pool.freeCount == t.pool.count)
    }

    private func step(_ known: Datagram, _ from: Int, _ to: Int, _ more: Bool) -> (Datagram, Bool) {
        var d = known
        if d.isRefused || d.pieces.contains([from, to]) { return (d, false) }
        let last = d.has.lastIndex(of: true) ?? -1
        let contradicts =
            d.has[from..<to].contains(true) || more && to > d.total ?? .max
            || !more && (d.total != nil || last >= to)
        if contradicts {
            d = Datagram()
            d.isRefused = true
            return (d, false)
        }
        for index in from..<to { d.has[index] = true }
        d.pieces.append([from, to])
        if !more { d.total = to }
        let isWhole = d.total.map { d.has[..<$0].allSatisfy { $0 } } ?? false
        return (d, isWhole)
    }
}
