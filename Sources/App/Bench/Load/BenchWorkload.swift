import Runtime

/// What one test sends: one kind of request, or for `mixed` two. Owns memory; `deallocate` ends it.
struct BenchWorkload {
    /// As it is reported.
    let name: String
    private let first: PreparedRequest
    /// Of `mixed`: sent instead of the first, with a probability of `share` out of `whole`.
    private let second: PreparedRequest?
    private let share: Int
    private let whole: Int
    private(set) var source: LoadSource
    /// Of `mixed`: the names of both, and the kind of the second.
    let parts: (names: [String], second: RequestKind)?

    fileprivate init(
        _ name: String, _ first: RequestTemplate, _ second: RequestTemplate?, _ share: (Int, Int),
        _ settings: BenchSettings, _ seed: UInt64, _ verifier: Verifier?
    ) {
        func prepared(_ template: RequestTemplate) -> PreparedRequest {
            PreparedRequest(template, sizes: settings.sizes, makesValues: settings.verifies)
        }
        self.name = name
        self.first = prepared(first)
        self.second = second.map(prepared)
        (self.share, whole) = share
        source = LoadSource(settings, seed: seed, verifier: verifier)
        parts = second.map { ([first.name, $0.name], RequestKind($0)) }
    }

    func deallocate() {
        first.deallocate()
        second?.deallocate()
        source.deallocate()
    }

    /// Appends the next request; tells which kind it was.
    @inline(__always)
    mutating func write<T: BenchTransport>(to writer: inout RequestWriter<T>) -> RequestKind {
        if let second, source.chance(share, of: whole) {
            second.write(to: &writer, from: &source)
            return second.kind
        }
        first.write(to: &writer, from: &source)
        return first.kind
    }
}

/// What is to be run, one test after the other, before memory is made for it.
struct BenchPlan {
    let name: String
    private let first: RequestTemplate
    private let second: RequestTemplate?

    /// The tests that the settings name. Throws a sentence about a test that there is not.
    static func all(_ settings: BenchSettings) throws(BenchError) -> [BenchPlan] {
        if !settings.command.isEmpty {
            let name = settings.command.joined(separator: " ")
            return [BenchPlan(name: name, first: RequestTemplate(name, settings.command), second: nil)]
        }
        var plans: [BenchPlan] = []
        for word in settings.tests {
            if word.lowercased() == "mixed" {
                let (sets, gets) = settings.ratio
                let templates = ["SET", "GET"].flatMap(RequestTemplate.named)
                plans.append(BenchPlan(name: "MIXED \(sets):\(gets)", first: templates[0], second: templates[1]))
                continue
            }
            let found = RequestTemplate.named(word)
            guard !found.isEmpty else {
                let known = (RequestTemplate.catalogue.map(\.name) + ["MIXED"]).joined(separator: ", ").lowercased()
                throw BenchError("There is no test '\(word)' (-t). There are: \(known).")
            }
            plans += found.map { BenchPlan(name: $0.name, first: $0, second: nil) }
        }
        guard !plans.isEmpty else { throw BenchError("No test is named (-t).") }
        return plans
    }

    func workload(_ settings: BenchSettings, seed: UInt64, verifier: Verifier?) -> BenchWorkload {
        BenchWorkload(
            name, first, second, (settings.ratio.gets, settings.ratio.sets + settings.ratio.gets), settings, seed,
            verifier)
    }
}
