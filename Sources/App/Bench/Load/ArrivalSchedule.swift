import Glibc
import Runtime

/// The instants at which the requests of an open loop are to be sent, whatever the server does. A request's latency counts
/// from its instant here, so waiting for a slow server is part of it: nothing is left out because the server was slow
/// ("coordinated omission").
struct ArrivalSchedule {
    /// When the next request is to be sent.
    private(set) var next: Nanoseconds
    private let arrivals: Arrivals
    /// Mean gap in nanoseconds.
    private let gap: Double
    /// Of `constant`: where it began, and how many instants have passed, so that rounding does not add up.
    private let start: Nanoseconds
    private var passed = 0.0
    /// Of `poisson`: the part of a nanosecond that rounding has left.
    private var rest = 0.0
    private var entropy: Entropy

    /// - Parameter rate: requests a second, > 0.
    init(rate: Double, arrivals: Arrivals, start: Nanoseconds, seed: UInt64) {
        self.arrivals = arrivals
        gap = 1e9 / rate
        self.start = start
        next = start
        entropy = Entropy(seed: seed)
    }

    mutating func advance() {
        switch arrivals {
        case .constant:
            passed += 1
            next = start &+ Nanoseconds(passed * gap)
        case .poisson:
            // 1 - u is above 0.
            let u = Double(entropy.next() >> 11) * 0x1p-53
            let exact = rest - log(1 - u) * gap
            let whole = exact.rounded(.down)
            rest = exact - whole
            next = next &+ Nanoseconds(whole)
        }
    }
}
