import Testing

@testable import Runtime

/// Where a shard's time goes: exact spans, and stages whose shares are sampled.
@Suite struct CycleAccountTests {
    private var account = CycleAccount(now: 1_000_000, ticksPerReading: 5, seed: 1)

    /// A turn with work that spends `ticks` in each of the stages.
    private mutating func sampledTurn(_ ticks: [(CycleAccount.Stage, UInt64)], hadWork: Bool = true) {
        var now: UInt64 = 1_000
        account.beginTurn(ticks: now)
        for (stage, span) in ticks {
            now += span
            account.mark(stage, ticks: now)
        }
        account.endTurn(hadWork: hadWork)
    }

    @Test mutating func spansAreExact() {
        // Spins for 2 ms, of which 1.5 asleep; works for 3 ms; spins for 4 ms; works.
        account.slept(for: 1_500_000)
        account.change(toBusy: true, now: 3_000_000)
        account.change(toBusy: false, now: 6_000_000)
        account.change(toBusy: true, now: 10_000_000)
        let report = account.report(now: 12_000_000)
        #expect(report.elapsed == 11_000)
        #expect(report.asleep == 1_500)
        #expect(report.spinning == 4_500)
        #expect(report.busy == 5_000)
    }

    /// In the first turn after some in vain nobody knows yet that it has work.
    @Test mutating func aSpanThatIsNotOverCounts() {
        account.change(toBusy: true, now: 2_000_000)
        account.change(toBusy: false, now: 5_000_000)
        let report = account.report(now: 9_000_000)
        #expect(report.busy == 3_000)
        #expect(report.spinning == 1_000 + 4_000)
    }

    @Test mutating func stagesDivideBusyTimeWithoutRemainder() {
        account.change(toBusy: true, now: 1_000_000)
        for _ in 0..<CycleAccount.group {
            sampledTurn([(.receive, 105), (.tcp, 205), (.execute, 405), (.transmit, 6), (.loop, 5)])
        }
        let report = account.report(now: 8_000_000)
        #expect(report.busy == 7_000)
        #expect(CycleAccount.Stage.allCases.reduce(0) { $0 + report[$1] } == 7_000)
        // 100 : 200 : 400 : 1, what reading the counter takes being subtracted.
        #expect(report[.receive] == 998)
        #expect(report[.tcp] == 1_997)
        #expect(report[.execute] == 3_996)
        #expect(report[.transmit] == 9)
        #expect(report[.loop] == 0)
    }

    /// It only warms the copy's code.
    @Test mutating func theFirstTurnOfAGroupIsNotCounted() {
        account.change(toBusy: true, now: 1_000_000)
        sampledTurn([(.receive, 1_000)])
        #expect(account.report(now: 2_000_000).sampledTurns == 0)
        for _ in 1..<CycleAccount.group { sampledTurn([(.tcp, 1_000)]) }
        let report = account.report(now: 2_000_000)
        #expect(report.sampledTurns == UInt64(CycleAccount.group - 1))
        #expect(report[.receive] == 0)
        #expect(report[.tcp] == 1_000)
    }

    @Test mutating func turnsInVainAreNotCounted() {
        for _ in 0..<10 { sampledTurn([(.receive, 1_000)], hadWork: false) }
        #expect(account.untilSample <= 0)
        #expect(account.report(now: 2_000_000).sampledTurns == 0)
    }

    @Test mutating func groupsHaveRandomDistances() {
        var distances: Set<Int> = []
        var turns = 0
        for _ in 0..<100 {
            for _ in 0..<CycleAccount.group { sampledTurn([(.tcp, 100)]) }
            distances.insert(account.untilSample)
            turns += CycleAccount.group + account.untilSample
            account.untilSample = 0
        }
        let least = CycleAccount.leastDistance
        #expect(distances.allSatisfy { (least..<(2 * least)).contains($0) })
        #expect(distances.count > 50)
        #expect(account.report(now: 2_000_000).turns == UInt64(turns))
    }

    @Test mutating func resetForgets() {
        account.change(toBusy: true, now: 2_000_000)
        for _ in 0..<CycleAccount.group { sampledTurn([(.tcp, 100)]) }
        account.slept(for: 500_000)
        account.reset(now: 5_000_000)
        let report = account.report(now: 6_000_000)
        #expect(report.elapsed == 1_000)
        #expect(report.busy == 1_000)
        #expect(report.turns == 0 && report.sampledTurns == 0)
        #expect(report[.tcp] == 0)
    }

    @Test mutating func sharesOfAVeryLongTimeDoNotOverflow() {
        account.change(toBusy: true, now: 1_000_000)
        for _ in 0..<CycleAccount.group { sampledTurn([(.tcp, 1 << 40), (.parse, 1 << 40)]) }
        let report = account.report(now: .seconds(10 * 365 * 86_400))
        #expect(report[.tcp] + report[.parse] == report.busy)
        #expect(report[.tcp] == report.busy / 2 || report[.tcp] == report.busy / 2 + 1)
    }
}
