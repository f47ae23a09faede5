import Histogram
import Runtime

/// What one test found.
struct BenchResult {
    var name = ""
    /// Answered requests that count.
    var requests = 0
    /// From the first request that could be sent to the last reply.
    var seconds = 0.0
    var intendedRate: Double?
    /// Error replies, and requests lost with their connection.
    var errors = 0
    var wrong = 0
    var errorText: String?
    var wrongText: String?
    var connections = 0
    var reconnects = 0
    /// Of this process.
    var cpuSeconds = 0.0
    /// What the transport did meanwhile.
    var counters = TransportCounters()
    /// Nanoseconds.
    var histogram = Histogram<UInt64>(highestTrackableValue: 2)
    /// The test was ended early.
    var isInterrupted = false
    /// Of `mixed`: each kind of request by itself; of what concerns the whole test they have the seconds only.
    var parts: [BenchResult] = []

    var rate: Double { seconds > 0 ? Double(requests) / seconds : 0 }

    /// Microseconds at or below which this percentage of the latencies lies.
    func latency(_ percentile: Double) -> Double {
        requests == 0 ? 0 : Double(histogram.valueAtPercentile(percentile)) / 1e3
    }
    var minimum: Double { requests == 0 ? 0 : Double(histogram.min) / 1e3 }
    var maximum: Double { requests == 0 ? 0 : Double(histogram.maxRecorded) / 1e3 }
    var mean = 0.0

    /// What was recorded is this result's; nothing is pending.
    mutating func add(_ recorder: BenchRecorder) {
        requests = recorder.count
        histogram = recorder.histogram
        mean = recorder.mean * 1e3
    }
}

extension BenchLoop {
    /// Of the test that is finished, or was stopped.
    func takeResult() -> BenchResult {
        recorder.flush()
        var result = BenchResult()
        result.name = workload?.name ?? ""
        result.add(recorder)
        result.seconds = Double(max(0, state.lastReply - state.start)) / 1e9
        result.intendedRate = settings.rate
        result.errors = state.errors + state.lost
        let counters = (isFinished ? verifier?.finish() : nil) ?? (wrong: 0, text: nil)
        result.wrong = state.wrong + counters.wrong
        result.errorText = state.errorText
        result.wrongText = state.wrongText ?? counters.text
        result.connections = readyCount
        result.reconnects = state.reconnects
        result.cpuSeconds = ProcessUsage.seconds - state.usageAtStart
        result.counters = transport.counters - state.countersAtStart
        result.parts = mix?.results(seconds: result.seconds) ?? []
        result.isInterrupted = !isFinished
        return result
    }
}

extension TransportCounters {
    static func - (a: TransportCounters, b: TransportCounters) -> TransportCounters {
        TransportCounters(
            systemCalls: a.systemCalls &- b.systemCalls, segmentsSent: a.segmentsSent &- b.segmentsSent,
            segmentsReceived: a.segmentsReceived &- b.segmentsReceived,
            retransmissions: a.retransmissions &- b.retransmissions, bytesSent: a.bytesSent &- b.bytesSent,
            bytesReceived: a.bytesReceived &- b.bytesReceived)
    }
}
