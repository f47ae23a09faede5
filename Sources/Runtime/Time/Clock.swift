import CLinux
import Glibc

/// Nanoseconds: an instant of the monotonic clock, or a span between two.
public typealias Nanoseconds = Int64

extension Nanoseconds {
    @inlinable public static func microseconds(_ n: Int64) -> Nanoseconds { n &* 1_000 }
    @inlinable public static func milliseconds(_ n: Int64) -> Nanoseconds { n &* 1_000_000 }
    @inlinable public static func seconds(_ n: Int64) -> Nanoseconds { n &* 1_000_000_000 }
}

/// A shard's only source of time. It is read once a turn of the poll loop; everything in the turn sees that value.
public protocol Clock {
    /// Nanoseconds of a clock that never goes back. Its zero is arbitrary.
    var monotonic: Nanoseconds { get }
    /// Milliseconds since the Unix epoch: the time that key expiry and TIME speak.
    var unixMilliseconds: Int64 { get }
    /// Microseconds since the Unix epoch.
    var unixMicroseconds: Int64 { get }
    /// A counter for the length of short spans and the order of events, the same for all shards. Its unit is the clock's
    /// own and the same for its life.
    var ticks: UInt64 { get }
    /// Ticks that pass between two readings at once: what each reading adds to a span.
    var ticksPerReading: UInt64 { get }
}

/// The machine's clocks (CLOCK_MONOTONIC, CLOCK_REALTIME), read through the vDSO. Its ticks are the time stamp counter's
/// where that is steady, else nanoseconds of the monotonic clock.
@frozen
public struct SystemClock: Clock {
    @usableFromInline let countsCycles: Bool
    public init() { countsCycles = Self.hasSteadyCounter }

    public var monotonic: Nanoseconds { Self.read(CLOCK_MONOTONIC) }
    public var unixMilliseconds: Int64 { Self.read(CLOCK_REALTIME) / 1_000_000 }
    public var unixMicroseconds: Int64 { Self.read(CLOCK_REALTIME) / 1_000 }
    @inlinable @inline(__always) public var ticks: UInt64 { countsCycles ? apus_time_stamp() : UInt64(monotonic) }
    public var ticksPerReading: UInt64 { Self.readingCost }

    /// The counter has one rate in all states of the processor, and the kernel keeps time by it, which it does only where
    /// it found all cores' counters to be the same.
    private static let hasSteadyCounter: Bool = {
        guard apus_time_stamp_is_invariant() != 0,
            let file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "r")
        else { return false }
        defer { fclose(file) }
        return fgetc(file) == 0x74 && fgetc(file) == 0x73 && fgetc(file) == 0x63 && fgetc(file) == 0x0a  // "tsc\n"
    }()

    /// The least of some tries.
    private static let readingCost: UInt64 = {
        let clock = SystemClock()
        var least = UInt64.max
        for _ in 0..<1000 {
            let first = clock.ticks
            least = min(least, clock.ticks &- first)
        }
        return least
    }()

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}

/// Time that moves only when told to: tests and the simulator. Copies share one time.
@frozen
public struct ManualClock: Clock {
    @usableFromInline final class Hands {
        @usableFromInline var monotonic: Nanoseconds
        /// What readings of `ticks` have added to them so far.
        @usableFromInline var readings: UInt64 = 0
        let unixEpochOffset: Nanoseconds
        init(_ start: Nanoseconds, _ offset: Nanoseconds) {
            monotonic = start
            unixEpochOffset = offset
        }
    }
    @usableFromInline let hands: Hands
    @usableFromInline let ticksEachReading: UInt64

    /// - Parameters:
    ///   - start: the first value of `monotonic`.
    ///   - unixStart: milliseconds since the Unix epoch at that instant.
    ///   - ticksEachReading: by how much each reading of `ticks` moves them, as if what lies between two readings took
    ///     time; with 0 they are the nanoseconds of `monotonic`.
    public init(
        start: Nanoseconds = .seconds(1), unixStart: Int64 = 1_700_000_000_000, ticksEachReading: UInt64 = 0
    ) {
        hands = Hands(start, unixStart * 1_000_000 - start)
        self.ticksEachReading = ticksEachReading
    }

    @inlinable @inline(__always) public var monotonic: Nanoseconds { hands.monotonic }
    public var unixMilliseconds: Int64 { (hands.monotonic + hands.unixEpochOffset) / 1_000_000 }
    public var unixMicroseconds: Int64 { (hands.monotonic + hands.unixEpochOffset) / 1_000 }
    @inlinable @inline(__always) public var ticks: UInt64 {
        hands.readings &+= ticksEachReading
        return UInt64(hands.monotonic) &+ hands.readings
    }
    public var ticksPerReading: UInt64 { 0 }

    public func advance(by span: Nanoseconds) {
        precondition(span >= 0, "time does not go back")
        hands.monotonic += span
    }

    public func advance(to instant: Nanoseconds) {
        if instant > hands.monotonic { hands.monotonic = instant }
    }
}
