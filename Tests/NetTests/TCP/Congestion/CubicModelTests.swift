import Glibc
import Runtime
import Testing

@testable import Net

/// CUBIC's arithmetic alone, against the formulas of RFC 9438 in floating point.
@Suite struct CubicModel {
    private let mss: UInt32 = 1_448

    @Test func cubeRootIsExact() {
        var entropy = Entropy(seed: 4)
        var cases: [UInt64] = [0, 1, 7, 8, 9, 26, 27, 28, 1 << 63, .max]
        for _ in 0..<10_000 { cases.append(entropy.next() >> UInt64(entropy.next(below: 64))) }
        for value in cases {
            let root = cubeRoot(value)
            #expect(root * root * root <= value)
            let (cube, overflow) = (root + 1).multipliedReportingOverflow(by: (root + 1) * (root + 1))
            #expect(overflow || cube > value, "\(value)")
        }
    }

    /// RFC 9438 figures: K for a window of 100 segments that became 70 is (30 / 0.4)^(1/3) = 4.217 seconds.
    @Test func kIsTheTimeToTheOldWindow() {
        var state = CubicState()
        var wMax = 100 * mss
        let threshold = state.congested(cwnd: 100 * mss, mss: mss, wMax: &wMax)
        #expect(threshold == 70 * mss)
        #expect(wMax == 100 * mss)
        state.begin(cwnd: threshold, mss: mss, wMax: &wMax)
        #expect(state.k == 4_217)
        #expect(abs(state.window(at: 0, mss: mss) - Int(70 * mss)) <= Int(mss) / 10)
        #expect(state.window(at: 4_217, mss: mss) == Int(100 * mss))
        // Concave before, convex behind: one second from the plateau is 0.4 segments.
        #expect(state.window(at: 3_217, mss: mss) == Int(100 * mss) - Int(mss) * 4 / 10)
        #expect(state.window(at: 5_217, mss: mss) == Int(100 * mss) + Int(mss) * 4 / 10)
    }

    @Test func fastConvergenceGivesWay() {
        var state = CubicState()
        var wMax: UInt32 = 100_000
        _ = state.congested(cwnd: 90_000, mss: mss, wMax: &wMax)
        #expect(wMax == 76_500)
        _ = state.congested(cwnd: 80_000, mss: mss, wMax: &wMax)
        #expect(wMax == 80_000)
    }

    @Test func thresholdIsTwoSegmentsAtLeast() {
        var state = CubicState()
        var wMax: UInt32 = 0
        #expect(state.congested(cwnd: mss, mss: mss, wMax: &wMax) == 2 * mss)
    }

    /// RFC 9438 4.8: after a timeout the plateau is where the stage begins.
    @Test func withoutAnOldWindowTheCurveStartsAtItsPlateau() {
        var state = CubicState()
        var wMax: UInt32 = 0
        state.begin(cwnd: 50_000, mss: mss, wMax: &wMax)
        #expect(state.k == 0)
        #expect(state.plateau == 50_000)
        #expect(wMax == 50_000)
    }

    /// Slow start ended without a loss: a twentieth a round trip until there is one, not a segment.
    @Test func withoutAnyLossTheWindowDoublesInFifteenRounds() {
        var state = CubicState()
        var wMax: UInt32 = 0
        state.begin(cwnd: 1_000 * mss, mss: mss, wMax: &wMax)
        var cwnd = 1_000 * mss
        for _ in 0..<15 { cwnd = round(&state, cwnd, roundTrip: 0) }
        #expect(cwnd > 2_000 * mss && cwnd < 2_200 * mss)
        cwnd = state.congested(cwnd: cwnd, mss: mss, wMax: &wMax)
        state.begin(cwnd: cwnd, mss: mss, wMax: &wMax)
        let after = round(&state, cwnd, roundTrip: 0)
        #expect(after < cwnd + 2 * mss)
    }

    /// RFC 9438 4.3: slope 9/17 of a segment a round trip below the old window, one segment above it.
    @Test func renoFriendlyGrowth() {
        var state = CubicState()
        var wMax = 20 * mss
        var cwnd = state.congested(cwnd: 20 * mss, mss: mss, wMax: &wMax)
        state.begin(cwnd: cwnd, mss: mss, wMax: &wMax)
        var rounds = 0
        // Without time passing CUBIC's own curve stands still.
        while cwnd < 20 * mss {
            cwnd = round(&state, cwnd, roundTrip: 0)
            rounds += 1
        }
        // Six segments at 9/17 each.
        #expect(abs(Double(rounds) - 6 * 17 / 9) < 1.5)
        let before = cwnd
        for _ in 0..<10 { cwnd = round(&state, cwnd, roundTrip: 0) }
        #expect(abs(Double(cwnd - before) / Double(mss) - 10) < 0.6)
    }

    private func round(_ state: inout CubicState, _ window: UInt32, roundTrip: UInt32) -> UInt32 {
        var cwnd = window
        var left = window
        while left > 0 {
            let acked = min(left, 2 * mss)
            cwnd = state.grown(cwnd: cwnd, acked: acked, mss: mss, roundTrip: roundTrip)
            left -= acked
        }
        return cwnd
    }

    /// The whole update of RFC 9438 4.2-4.4 in floating point, in segments and seconds.
    private struct Reference {
        let c = 0.4
        let beta = 0.7
        var wMax: Double
        var k: Double
        var estimate: Double
        var prior: Double
        var cwnd: Double

        init(prior: Double) {
            self.prior = prior
            cwnd = prior * beta
            wMax = prior
            k = pow((wMax - cwnd) / c, 1 / 3)
            estimate = cwnd
        }

        func window(_ t: Double) -> Double { c * pow(t - k, 3) + wMax }

        mutating func acked(_ segments: Double, _ t: Double, _ roundTrip: Double) {
            let alpha = estimate >= prior ? 1 : 3 * (1 - beta) / (1 + beta)
            estimate += alpha * segments / cwnd
            if window(t) < estimate {
                cwnd = max(cwnd, estimate)
            } else {
                let target = min(max(window(t + roundTrip), cwnd), 1.5 * cwnd)
                cwnd += (target - cwnd) / cwnd * segments
            }
        }
    }

    /// Thirty seconds of growth after a loss, for several round trips and windows, stay within one percent and a segment.
    @Test(arguments: [10, 20, 50, 100, 300], [10, 100, 1_000, 20_000]) func followsTheFormulas(
        _ roundTrip: Int, _ segments: Int
    ) {
        var state = CubicState()
        var wMax = UInt32(segments) * mss
        var cwnd = state.congested(cwnd: wMax, mss: mss, wMax: &wMax)
        state.begin(cwnd: cwnd, mss: mss, wMax: &wMax)
        var reference = Reference(prior: Double(segments))
        var worst = 0.0
        var t = 0
        while t < 30_000, cwnd < 300_000_000 {
            t += roundTrip
            state.elapsed = UInt32(t)
            // A round trip's ACKs, in sixteen pieces.
            let piece = max(cwnd / 16, 1)
            for _ in 0..<16 {
                cwnd = state.grown(cwnd: cwnd, acked: piece, mss: mss, roundTrip: UInt32(roundTrip))
                reference.acked(Double(piece) / Double(mss), Double(t) / 1_000, Double(roundTrip) / 1_000)
            }
            let window = Double(cwnd) / Double(mss)
            worst = max(worst, abs(window - reference.cwnd) / (1 + 0.01 * reference.cwnd))
        }
        #expect(worst < 1, "\(worst)")
    }

    /// Whatever comes, the window neither shrinks by growing nor exceeds a half more a round trip.
    @Test func growthIsBounded() {
        var entropy = Entropy(seed: 9)
        for _ in 0..<2_000 {
            var state = CubicState()
            let size = UInt32(48 + entropy.next(below: 1_900))
            var wMax = UInt32(truncatingIfNeeded: entropy.next() & 0x3FFF_FFFF)
            let cwnd = max(
                size, UInt32(truncatingIfNeeded: entropy.next() & 0x3FFF_FFFF) >> UInt32(entropy.next(below: 20)))
            if entropy.chance(0.5) { _ = state.congested(cwnd: cwnd, mss: size, wMax: &wMax) }
            state.begin(cwnd: cwnd, mss: size, wMax: &wMax)
            state.elapsed = UInt32(truncatingIfNeeded: entropy.next() >> UInt64(32 + entropy.next(below: 32)))
            let acked = UInt32(1 + entropy.next(below: Int(cwnd)))
            let after = state.grown(cwnd: cwnd, acked: acked, mss: size, roundTrip: UInt32(entropy.next(below: 60_000)))
            #expect(after >= cwnd && after - cwnd <= cwnd / 2 + size + 1)
        }
    }
}
