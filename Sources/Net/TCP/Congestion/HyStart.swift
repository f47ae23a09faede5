/// HyStart++ (RFC 9406): slow start that notices by growing round-trip times that the path is nearly full, goes on more
/// carefully for some rounds, and ends before queues overflow. A round is a window's worth of ACKs.
struct HyStart: BitwiseCopyable {
    /// Microseconds (RFC 9406 4.3).
    static let leastThreshold: UInt32 = 4_000
    static let mostThreshold: UInt32 = 16_000
    static let samplesNeeded: UInt8 = 8
    static let carefulRounds: UInt8 = 5
    /// What the growth is divided by in the careful rounds.
    static let carefulDivisor: UInt32 = 4

    /// The round ends when this is acknowledged; meaningful with `isRunning`.
    var roundEnd = SequenceNumber(0)
    var isRunning = false
    /// Smallest round trips in microseconds of this round, the one before, and when care began; .max: none.
    var lowest: UInt32 = .max
    var lowestBefore: UInt32 = .max
    var baseline: UInt32 = .max
    /// Samples in this round, saturating.
    var samples: UInt8 = 0
    /// Rounds of care that are left; 0: ordinary slow start.
    var roundsLeft: UInt8 = 0

    /// A round trip of `sample` microseconds was measured.
    mutating func measured(_ sample: UInt32) {
        lowest = min(lowest, sample)
        if samples < .max { samples &+= 1 }
        guard samples >= Self.samplesNeeded else { return }
        if roundsLeft > 0 {
            // The longer round trips were a passing thing.
            if lowest < baseline {
                baseline = .max
                roundsLeft = 0
            }
            return
        }
        guard lowestBefore != .max else { return }
        let threshold = max(Self.leastThreshold, min(Self.mostThreshold, lowestBefore / 8))
        if lowest >= lowestBefore &+ threshold {
            baseline = lowest
            roundsLeft = Self.carefulRounds
        }
    }

    /// Everything before `una` is acknowledged, `next` is sent next. True when slow start should end.
    mutating func acknowledged(_ una: SequenceNumber, next: SequenceNumber) -> Bool {
        if isRunning, una < roundEnd { return false }
        if isRunning {
            lowestBefore = lowest
            if roundsLeft > 0 {
                roundsLeft &-= 1
                if roundsLeft == 0 { return true }
            }
        }
        isRunning = true
        roundEnd = next
        lowest = .max
        samples = 0
        return false
    }
}
