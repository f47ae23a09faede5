import Runtime

/// Where the variable parts of requests come from: numbers of keys, and values.
struct LoadSource {
    private var keys: KeySource
    private var entropy: Entropy
    /// The number of the key written last.
    private(set) var lastKey = 0
    private let sizes: ClosedRange<Int>
    /// `sizes.upperBound` bytes of a value; owned by the workload. Nobody looks at what they are, unless there is a verifier.
    let filler: UnsafeMutableRawPointer
    private let verifier: Verifier?

    init(_ settings: BenchSettings, seed: UInt64, verifier: Verifier?) {
        self.verifier = verifier
        var entropy = Entropy(seed: seed)
        keys = KeySource(keyspace: settings.keyspace, distribution: settings.distribution, seed: entropy.next())
        sizes = settings.sizes
        filler = .allocate(byteCount: sizes.upperBound, alignment: 16)
        filler.initializeMemory(as: UInt8.self, repeating: UInt8(ascii: "x"), count: sizes.upperBound)
        self.entropy = entropy
    }

    func deallocate() { filler.deallocate() }

    @inline(__always) mutating func nextKey() -> Int {
        lastKey = keys.next()
        return lastKey
    }

    /// True with a probability of `part` in `whole`.
    @inline(__always) mutating func chance(_ part: Int, of whole: Int) -> Bool { entropy.next(below: whole) < part }

    private mutating func nextSize() -> Int {
        sizes.count == 1 ? sizes.lowerBound : sizes.lowerBound &+ entropy.next(below: sizes.count)
    }

    /// A value of one of the sizes as a bulk string.
    mutating func writeValue<T: BenchTransport>(to writer: inout RequestWriter<T>) {
        let size = nextSize()
        if let verifier { verifier.write(filler, size: size, key: lastKey) }
        writer.appendBulkHeader(size)
        writer.append(filler, size)
        writer.appendLineEnd()
    }
}
