/// Where a shard's time goes. Busy, spinning and asleep are exact: they are the spans between readings of the clock that
/// the loop makes anyway. How busy time divides into stages is sampled: of some hundreds of turns with work, a few are run by a
/// second copy of the same code that reads the tick counter between stages, and their shares are those of all busy time.
///
/// A group of consecutive turns is sampled, because that copy's code is cold after so many turns of the other: the first
/// turn of a group warms it and is not counted. The distances between groups are random, so that no rhythm of the clients
/// can hide from them. What reading the counter costs is subtracted from every span.
public struct CycleAccount {
    /// What a turn does; `loop` is what belongs to none of the others: clock, configuration.
    public enum Stage: Int, CaseIterable, Sendable {
        case receive, tcp, parse, execute, crossShard, transmit, timers, loop
    }

    /// Turns of a group; the first is not counted.
    public static let group = 4
    /// Turns with work between two groups: this many and as many again at most.
    public static let leastDistance = 512

    /// Turns with work until the next group. The loop counts it down, and runs the copy while it is not above 0.
    public var untilSample = 0
    /// Turns of the present group that are left.
    private var left = Self.group
    /// The present or last distance, and a source of the next ones.
    private var distance = 0
    private var noise: UInt32

    /// Since when time is attributed: the start, or the last reset.
    private var since: Nanoseconds
    /// When the present span with or without work began.
    private var changed: Nanoseconds
    private var isBusy = false
    /// Time of ended spans without work.
    private var idle: Nanoseconds = 0
    private var asleep: Nanoseconds = 0
    /// Turns with work until the end of the last group.
    private var turns: UInt64 = 0
    private var sampledTurns: UInt64 = 0
    /// Ticks by stage, of all counted turns; and of the turn that is being sampled.
    private var ticks = InlineArray<8, UInt64>(repeating: 0)
    private var pending = InlineArray<8, UInt64>(repeating: 0)
    /// The last reading of the counter.
    private var last: UInt64 = 0
    private let ticksPerReading: UInt64

    /// - Parameters:
    ///   - ticksPerReading: the clock's.
    ///   - seed: for the distances between groups.
    public init(now: Nanoseconds, ticksPerReading: UInt64, seed: UInt64) {
        since = now
        changed = now
        self.ticksPerReading = ticksPerReading
        noise = UInt32(truncatingIfNeeded: seed) | 1
    }

    /// All time before `now` is forgotten. Called in a turn.
    public mutating func reset(now: Nanoseconds) {
        since = now
        changed = now
        idle = 0
        asleep = 0
        turns = 0
        sampledTurns = 0
        ticks = InlineArray(repeating: 0)
        // Turns so far count from here on.
        distance = untilSample
    }

    // MARK: exact

    /// The first turn with work after some without, or the other way round, began at `now`.
    public mutating func change(toBusy: Bool, now: Nanoseconds) {
        if toBusy { idle &+= now &- changed }
        changed = now
        isBusy = toBusy
    }

    public mutating func slept(for span: Nanoseconds) { asleep &+= span }

    // MARK: sampled

    public mutating func beginTurn(ticks now: UInt64) {
        pending = InlineArray(repeating: 0)
        last = now
    }

    /// The time since the last mark was `stage`'s.
    public mutating func mark(_ stage: Stage, ticks now: UInt64) {
        let span = now &- last
        pending[stage.rawValue] &+= span > ticksPerReading ? span &- ticksPerReading : 0
        last = now
    }

    /// The end of a turn that was run by the copy. A turn without work is not counted and leaves the group as it is.
    public mutating func endTurn(hadWork: Bool) {
        guard hadWork else { return }
        if left < Self.group {
            for stage in 0..<Stage.allCases.count { ticks[stage] &+= pending[stage] }
            sampledTurns &+= 1
        }
        left &-= 1
        guard left == 0 else { return }
        turns &+= UInt64(distance &+ Self.group)
        left = Self.group
        // xorshift32 (Marsaglia 2003).
        noise ^= noise &<< 13
        noise ^= noise &>> 17
        noise ^= noise &<< 5
        distance = Self.leastDistance &+ Int(noise % UInt32(Self.leastDistance))
        untilSample = distance
    }

    // MARK: what came out

    /// Until `now`, which is in a turn.
    public func report(now: Nanoseconds) -> CycleReport {
        var report = CycleReport()
        let idle = isBusy ? idle : idle &+ (now &- changed)
        report.asleep = UInt64(asleep) / 1_000
        report.spinning = UInt64(max(0, idle &- asleep)) / 1_000
        report.busy = UInt64(max(0, now &- since &- idle)) / 1_000
        report.turns = turns &+ UInt64(max(0, distance &- untilSample)) &+ UInt64(Self.group &- left)
        report.sampledTurns = sampledTurns
        report.stages = Self.divide(report.busy, ticks)
        return report
    }

    /// `whole` in the proportions of `parts`, without a remainder: what rounding leaves goes to the largest. All 0 while
    /// nothing is known of the proportions.
    private static func divide(_ whole: UInt64, _ parts: InlineArray<8, UInt64>) -> InlineArray<8, UInt64> {
        var result = InlineArray<8, UInt64>(repeating: 0)
        var sum: UInt64 = 0
        var largest = 0
        for index in 0..<8 {
            sum &+= parts[index]
            if parts[index] > parts[largest] { largest = index }
        }
        guard sum > 0 else { return result }
        var rest = whole
        for index in 0..<8 {
            result[index] = sum.dividingFullWidth(whole.multipliedFullWidth(by: parts[index])).quotient
            rest &-= result[index]
        }
        result[largest] &+= rest
        return result
    }
}

/// A shard's time in microseconds, or that of all shards. `busy` is the sum of `stages`, except before the first sample.
public struct CycleReport: BitwiseCopyable, Sendable {
    /// Turns with work, waiting with turns in vain, and waiting in poll(2).
    public var busy: UInt64 = 0
    public var spinning: UInt64 = 0
    public var asleep: UInt64 = 0
    public var turns: UInt64 = 0
    public var sampledTurns: UInt64 = 0
    fileprivate var stages = InlineArray<8, UInt64>(repeating: 0)

    public init() {}

    public var elapsed: UInt64 { busy &+ spinning &+ asleep }
    public subscript(stage: CycleAccount.Stage) -> UInt64 { stages[stage.rawValue] }

    public mutating func add(_ other: CycleReport) {
        busy &+= other.busy
        spinning &+= other.spinning
        asleep &+= other.asleep
        turns &+= other.turns
        sampledTurns &+= other.sampledTurns
        for index in 0..<8 { stages[index] &+= other.stages[index] }
    }
}
