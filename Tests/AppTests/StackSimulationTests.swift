import Testing

@testable import App

/// A few seeds of what `apus stack-sim` runs by the thousand (see docs/testing.md), with every turn checked.
@Suite struct StackSimulationTests {
    @Test(arguments: 0..<4) func streamsOverARoughLine(block: UInt64) {
        for seed in (block * 3)..<(block * 3 + 3) {
            let result = StackSimulation.run(seed: seed, checkEvery: 16)
            #expect(result.failure == nil, "apus stack-sim --check 1 --seed \(seed): \(result.failure ?? "")")
        }
    }

    /// Seeds that once failed: two large segments for a narrow path while frames were short (20, 107), text that overtook the
    /// ACK of a cookie (23), a frame that was sent in part, acknowledged so far, and then taken for lost (13086, 16076).
    @Test(arguments: [20, 23, 107, 13_086, 16_076]) func seedsThatFailed(seed: UInt64) {
        let result = StackSimulation.run(seed: seed)
        #expect(result.failure == nil, "apus stack-sim --check 1 --seed \(seed): \(result.failure ?? "")")
    }

    @Test func theSameSeedGivesTheSameRun() {
        let (first, second) = (StackSimulation.run(seed: 5), StackSimulation.run(seed: 5))
        #expect(first.turns == second.turns && first.time == second.time && first.bytes == second.bytes)
    }
}
