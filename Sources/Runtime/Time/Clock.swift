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
}

/// The machine's clocks (CLOCK_MONOTONIC, CLOCK_REALTIME), read through the vDSO.
public struct SystemClock: Clock {
    public init() {}

    public var monotonic: Nanoseconds { Self.read(CLOCK_MONOTONIC) }
    public var unixMilliseconds: Int64 { Self.read(CLOCK_REALTIME) / 1_000_000 }
    public var unixMicroseconds: Int64 { Self.read(CLOCK_REALTIME) / 1_000 }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}

/// Time that moves only when told to: tests and the simulator. Copies share one time.
public struct ManualClock: Clock {
    private final class Hands {
        var monotonic: Nanoseconds
        let unixEpochOffset: Nanoseconds
        init(_ start: Nanoseconds, _ offset: Nanoseconds) {
            monotonic = start
            unixEpochOffset = offset
        }
    }
    private let hands: Hands

    /// - Parameters:
    ///   - start: the first value of `monotonic`.
    ///   - unixStart: milliseconds since the Unix epoch at that instant.
    public init(start: Nanoseconds = .seconds(1), unixStart: Int64 = 1_700_000_000_000) {
        hands = Hands(start, unixStart * 1_000_000 - start)
    }

    public var monotonic: Nanoseconds { hands.monotonic }
    public var unixMilliseconds: Int64 { (hands.monotonic + hands.unixEpochOffset) / 1_000_000 }
    public var unixMicroseconds: Int64 { (hands.monotonic + hands.unixEpochOffset) / 1_000 }

    public func advance(by span: Nanoseconds) {
        precondition(span >= 0, "time does not go back")
        hands.monotonic += span
    }

    public func advance(to instant: Nanoseconds) {
        if instant > hands.monotonic { hands.monotonic = instant }
    }
}
