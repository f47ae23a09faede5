import Histogram
import Runtime

/// The latencies of one test, in nanoseconds, to three significant digits (HdrHistogram).
struct BenchRecorder {
    private(set) var histogram = Histogram<UInt64>(highestTrackableValue: UInt64(BenchRecorder.longest))
    /// Of all recorded, for a mean at any time without a look at the histogram.
    private(set) var sum: Nanoseconds = 0
    private(set) var count = 0
    /// A value that came `pendingCount` times in a row and is not in the histogram yet: replies of one turn to requests of
    /// one turn have the same latency.
    private var pending: Nanoseconds = 0
    private var pendingCount: UInt64 = 0
    /// What is longer counts as this: an hour.
    private static let longest = Nanoseconds.seconds(3_600)

    @inline(__always) mutating func record(_ latency: Nanoseconds) {
        sum &+= latency
        count &+= 1
        if latency == pending {
            pendingCount &+= 1
        } else {
            flush()
            pending = latency
            pendingCount = 1
        }
    }

    mutating func flush() {
        guard pendingCount > 0 else { return }
        histogram.record(UInt64(max(0, min(pending, Self.longest))), count: pendingCount)
        pendingCount = 0
    }

    mutating func reset() {
        histogram.reset()
        (sum, count, pendingCount) = (0, 0, 0)
    }

    /// Milliseconds on average.
    var mean: Double { count == 0 ? 0 : Double(sum) / Double(count) / 1e6 }
}
