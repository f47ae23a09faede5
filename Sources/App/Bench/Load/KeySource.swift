import Runtime

/// The numbers of keys, one after the other: 0..<keyspace, as the distribution says.
struct KeySource {
    private enum Kind {
        case one, uniform, sequential
        case zipf(Zipf)
    }

    private let kind: Kind
    private let keyspace: Int
    private var entropy: Entropy
    /// Of `sequential`: the next.
    private var position = 0

    /// A keyspace of 0 is the one key 0.
    init(keyspace: Int, distribution: KeyDistribution, seed: UInt64) {
        self.keyspace = max(1, keyspace)
        entropy = Entropy(seed: seed)
        switch distribution {
        case _ where keyspace <= 1: kind = .one
        case .uniform: kind = .uniform
        case .sequential: kind = .sequential
        case .zipf(let exponent): kind = .zipf(Zipf(count: keyspace, exponent: exponent))
        }
    }

    @inline(__always) mutating func next() -> Int {
        switch kind {
        case .one: return 0
        case .uniform: return entropy.next(below: keyspace)
        case .sequential:
            let key = position
            position = key &+ 1 == keyspace ? 0 : key &+ 1
            return key
        case .zipf(let zipf): return zipf.next(&entropy) &- 1
        }
    }
}
