import Runtime

/// The blocks of a SACK option (RFC 2018 3): at most four half-open ranges of sequence numbers.
struct SackBlocks: BitwiseCopyable {
    /// Left and right edges in turn; `count` pairs of them.
    private var edges = SIMD8<UInt32>()
    private(set) var count = 0

    init() {}

    /// The option in a segment's header; none when it is absent or its length is nonsense.
    init(_ segment: TCPSegment) {
        let base = segment.base
        var found = SackBlocks()
        TCPOptions.forEach(base, from: TCPSegment.minimumHeader, to: segment.headerLength) { kind, offset, length in
            guard kind == TCPOptions.sack, length & 7 == 2, found.count == 0 else { return }
            for index in 0..<min(4, length >> 3) {
                found.append(
                    SequenceNumber(base.big32(offset &+ 2 &+ index &* 8)),
                    SequenceNumber(base.big32(offset &+ 6 &+ index &* 8)))
            }
        }
        self = found
    }

    func left(_ index: Int) -> SequenceNumber { SequenceNumber(edges[index &* 2]) }
    func right(_ index: Int) -> SequenceNumber { SequenceNumber(edges[index &* 2 &+ 1]) }

    mutating func append(_ left: SequenceNumber, _ right: SequenceNumber) {
        guard count < 4 else { return }
        edges[count &* 2] = left.raw
        edges[count &* 2 &+ 1] = right.raw
        count &+= 1
    }

    /// The first block is a D-SACK (RFC 2883 4): at or below the cumulative ACK, or inside the second block.
    func reportsDuplicate(ack: SequenceNumber) -> Bool {
        guard count > 0, left(0) < right(0) else { return false }
        if right(0) <= ack { return true }
        return count > 1 && left(1) <= left(0) && right(0) <= right(1)
    }

    /// The valid blocks, sorted: those wholly behind `floor`, which itself cannot have been received, and not beyond
    /// `limit`.
    func sorted(from first: Int, above floor: SequenceNumber, upTo limit: SequenceNumber) -> SackBlocks {
        var sorted = SackBlocks()
        for index in first..<max(first, count) {
            let (left, right) = (left(index), right(index))
            guard left > floor, left < right, right <= limit else { continue }
            sorted.append(left, right)
            var place = sorted.count &- 1
            while place > 0, sorted.left(place) < sorted.left(place &- 1) {
                sorted.exchange(place, place &- 1)
                place &-= 1
            }
        }
        return sorted
    }

    private mutating func exchange(_ a: Int, _ b: Int) {
        for edge in 0...1 {
            let kept = edges[a &* 2 &+ edge]
            edges[a &* 2 &+ edge] = edges[b &* 2 &+ edge]
            edges[b &* 2 &+ edge] = kept
        }
    }

    /// The right edge of the block that `left` lies in; nil when there is none.
    func end(of left: SequenceNumber) -> SequenceNumber? {
        for index in 0..<count where self.left(index) <= left && left < right(index) { return right(index) }
        return nil
    }
}
