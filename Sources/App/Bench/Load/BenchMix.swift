import Runtime

/// Of a test with two kinds of request: what each of them found, beside the total. What is asked for is answered in order,
/// so a reply's kind is that of the request whose place it takes.
final class BenchMix {
    /// What was found of one kind.
    struct Part {
        let name: String
        var recorder = BenchRecorder()
        /// Error replies, and requests lost with their connection.
        var errors = 0
        var wrong = 0
    }

    private(set) var parts: [Part]
    /// Requests of this kind are of the second part, all others of the first.
    private let second: RequestKind
    /// Which part each request under way is of: `ring` places for each client, as the stamps have them.
    private let places: UnsafeMutablePointer<UInt8>
    private let ring: Int

    init(_ names: [String], second: RequestKind, clients: Int, ring: Int) {
        precondition(names.count == 2)
        parts = names.map { Part(name: $0) }
        self.second = second
        self.ring = ring
        places = .allocate(capacity: clients * ring)
        places.initialize(repeating: 0, count: clients * ring)
    }

    deinit { places.deallocate() }

    /// A request was written, the `position`-th of its client.
    func sent(_ kind: RequestKind, client: Int, position: Int) {
        places[client &* ring &+ position & (ring &- 1)] = kind == second ? 1 : 0
    }

    private func part(_ client: Int, _ position: Int) -> Int {
        Int(places[client &* ring &+ position & (ring &- 1)])
    }

    func answered(client: Int, position: Int, latency: Nanoseconds) {
        parts[part(client, position)].recorder.record(latency)
    }

    /// An error reply, or lost.
    func failed(client: Int, position: Int) { parts[part(client, position)].errors &+= 1 }

    func answeredWrongly(client: Int, position: Int) { parts[part(client, position)].wrong &+= 1 }

    /// The parts as results of their own; they share the test's time.
    func results(seconds: Double) -> [BenchResult] {
        parts.indices.map { index in
            parts[index].recorder.flush()
            var result = BenchResult()
            result.name = parts[index].name
            result.seconds = seconds
            result.add(parts[index].recorder)
            result.errors = parts[index].errors
            result.wrong = parts[index].wrong
            return result
        }
    }
}
