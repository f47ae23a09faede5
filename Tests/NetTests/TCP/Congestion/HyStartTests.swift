import Testing

@testable import Net

/// HyStart++ (RFC 9406 4.2) by its rounds.
@Suite struct HyStartRounds {
    /// A round of `count` samples of this many microseconds; true when slow start ends at its first ACK.
    private func round(_ state: inout HyStart, _ number: Int, _ sample: UInt32, count: Int = 10) -> Bool {
        let ends = state.acknowledged(
            SequenceNumber(UInt32(number * 100)), next: SequenceNumber(UInt32(number * 100 + 100)))
        for _ in 0..<count { state.measured(sample) }
        return ends
    }

    @Test func steadyRoundTripsNeverEndSlowStart() {
        var state = HyStart()
        for number in 0..<50 { #expect(!round(&state, number, 20_000 + UInt32(number % 3) * 1_000)) }
        #expect(state.roundsLeft == 0)
    }

    @Test func growingRoundTripsEndItAfterFiveCarefulRounds() {
        var state = HyStart()
        _ = round(&state, 0, 20_000)
        _ = round(&state, 1, 24_000)
        // The threshold is a eighth, but four milliseconds at least.
        #expect(state.roundsLeft == 5)
        for number in 2..<6 { #expect(!round(&state, number, 26_000)) }
        #expect(round(&state, 6, 26_000))
    }

    @Test func shorterRoundTripsTakeItBack() {
        var state = HyStart()
        _ = round(&state, 0, 100_000)
        _ = round(&state, 1, 120_000)
        #expect(state.roundsLeft == 5)
        _ = round(&state, 2, 119_000)
        #expect(state.roundsLeft == 0)
    }

    @Test func fewSamplesSayNothing() {
        var state = HyStart()
        _ = round(&state, 0, 20_000)
        _ = round(&state, 1, 90_000, count: 7)
        #expect(state.roundsLeft == 0)
    }

    @Test func theThresholdIsBounded() {
        var state = HyStart()
        _ = round(&state, 0, 400_000)
        _ = round(&state, 1, 415_999)
        #expect(state.roundsLeft == 0)
        state = HyStart()
        _ = round(&state, 0, 400_000)
        _ = round(&state, 1, 416_000)
        #expect(state.roundsLeft == 5)
    }
}
