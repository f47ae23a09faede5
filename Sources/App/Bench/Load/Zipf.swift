import Glibc
import Runtime

/// Ranks 1...count, each with a probability in proportion to `rank ^ -exponent`: exactly, without a table, in constant time.
/// Rejection-inversion (Hörmann and Derflinger, "Rejection-inversion to generate variates from monotone discrete
/// distributions", 1996). With exponent 0.99 about one sample in ten thousand is rejected.
struct Zipf {
    private let count: Double
    private let exponent: Double
    /// The integral at 1.5, less the whole weight of rank 1; and at count + 0.5.
    private let first: Double
    private let last: Double
    /// Ranks this near to the inverse need no second look.
    private let sure: Double

    init(count: Int, exponent: Double) {
        precondition(count >= 1 && exponent > 0)
        self.count = Double(count)
        self.exponent = exponent
        first = Self.integral(1.5, exponent) - 1
        last = Self.integral(Double(count) + 0.5, exponent)
        sure = 2 - Self.inverse(Self.integral(2.5, exponent) - Self.weight(2, exponent), exponent)
    }

    func next(_ entropy: inout Entropy) -> Int {
        while true {
            let unit = Double(entropy.next() >> 11) * 0x1p-53
            let u = last + unit * (first - last)
            let x = Self.inverse(u, exponent)
            let rank = max(1, min(count, (x + 0.5).rounded(.down)))
            if rank - x <= sure || u >= Self.integral(rank + 0.5, exponent) - Self.weight(rank, exponent) {
                return Int(rank)
            }
        }
    }

    private static func weight(_ x: Double, _ exponent: Double) -> Double { exp(-exponent * log(x)) }

    /// An antiderivative of `weight`: (x^(1 - s) - 1) / (1 - s), and log x where s is 1.
    private static func integral(_ x: Double, _ exponent: Double) -> Double {
        let logarithm = log(x)
        let t = (1 - exponent) * logarithm
        return logarithm * (abs(t) > 1e-8 ? expm1(t) / t : 1 + t / 2 * (1 + t / 3))
    }

    private static func inverse(_ y: Double, _ exponent: Double) -> Double {
        let t = max(-1, y * (1 - exponent))
        return exp(y * (abs(t) > 1e-8 ? log1p(t) / t : 1 - t / 2 * (1 - t * 2 / 3)))
    }
}
