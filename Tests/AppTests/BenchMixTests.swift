import Runtime
import Testing

@testable import App

@Suite("Bench: the kinds of request of a mix")
struct BenchMixTests {
    /// Closed loop, open loop, and with a bound on what is in flight.
    @Test(arguments: [(rate: Double?.none, inFlight: Int?.none), (20_000, nil), (nil, 10)])
    func theyAreTheWholeTogether(rate: Double?, inFlight: Int?) throws {
        let bed = BenchBed {
            $0.clients = 7
            $0.pipeline = 5
            $0.requests = 4_000
            $0.ratio = (1, 3)
            ($0.rate, $0.inFlight) = (rate, inFlight)
            $0.warmup = 0.001
        }
        let result = try bed.run("mixed")
        #expect(result.requests == 4_000)
        try #require(result.parts.map(\.name) == ["SET", "GET"])
        #expect(result.parts.map(\.requests).reduce(0, +) == 4_000)
        // 1,000 on average, with a standard deviation of 27.
        #expect((890...1_110).contains(result.parts[0].requests))
        #expect(abs(result.parts.map(\.rate).reduce(0, +) - result.rate) < 1e-6 * result.rate)
        #expect(result.parts.map(\.minimum).min() == result.minimum)
        #expect(result.parts.map(\.maximum).max() == result.maximum)
        let sum = result.parts.map { $0.mean * Double($0.requests) }.reduce(0, +)
        #expect(abs(sum / 4_000 - result.mean) < 1e-6 * result.mean)
        // Latency by latency.
        var counts: [UInt64: UInt64] = [:]
        for part in result.parts {
            for value in part.histogram.recordedValues() { counts[value.value, default: 0] += value.count }
        }
        let all = result.histogram.recordedValues().map { ($0.value, $0.count) }
        #expect(counts == Dictionary(uniqueKeysWithValues: all))
    }

    /// What is written is really SET and what is read GET: only one of them may make keys.
    @Test(arguments: [0, 1]) func eachIsCountedForWhatItIs(part: Int) throws {
        let bed = BenchBed {
            $0.requests = 500
            $0.ratio = part == 0 ? (1, 0) : (0, 1)
            $0.keyspace = 1_000_000
        }
        let result = try bed.run("mixed")
        #expect(result.parts[part].requests == 500 && result.parts[1 - part].requests == 0)
        #expect(result.parts[1 - part].rate == 0 && result.parts[1 - part].latency(99) == 0)
        // "+OK" 500 times, or "$-1" as often.
        #expect(result.counters.bytesReceived == UInt64(500 * 5))
    }

    @Test func errorsAndWrongRepliesAreOfTheirKind() throws {
        let refused = BenchBed(config: try Config(["requirepass": "secret"])) {
            $0.requests = 300
            $0.ratio = (1, 1)
            $0.pipeline = 4
        }
        let errors = try refused.run("mixed")
        #expect(errors.errors == 300 && errors.parts.map(\.errors) == errors.parts.map(\.requests))
        let bed = BenchBed {
            $0.requests = 300
            $0.keyspace = 10
            $0.sizes = 64...64
            $0.ratio = (0, 1)
            $0.verifies = true
        }
        bed.meddle("SET key:000000000003 " + String(repeating: "x", count: 64))
        bed.connect()
        let wrong = try bed.run("mixed")
        #expect(wrong.wrong > 0 && wrong.parts.map(\.wrong) == [0, wrong.wrong])
        #expect(wrong.parts.map(\.errors) == [0, 0])
    }

    /// Replies are found by their place, wherever the ring of places begins anew.
    @Test func aPlaceTellsTheKind() {
        let mix = BenchMix(["SET", "GET"], second: .get, clients: 2, ring: 4)
        let kinds: [RequestKind] = [.set, .get, .get, .set]
        for position in 0..<40 {
            for client in 0..<2 {
                mix.sent(kinds[(position + client) % 4], client: client, position: position)
            }
            if position < 3 { continue }
            mix.answered(client: 0, position: position - 3, latency: Nanoseconds(1_000))
            mix.failed(client: 1, position: position - 3)
        }
        // 37 of each client, from the first on: set, get, get, set, ... and get, get, set, set, ...
        let parts = mix.results(seconds: 2)
        #expect(parts.map(\.requests) == [19, 18] && parts.map(\.errors) == [18, 19])
        #expect(parts.map(\.rate) == [9.5, 9] && parts[0].mean == 1)
    }

    // MARK: how they are told

    private func sample() -> BenchResult {
        func result(_ name: String, _ latencies: [Nanoseconds]) -> BenchResult {
            var recorder = BenchRecorder()
            for latency in latencies { recorder.record(latency) }
            recorder.flush()
            var result = BenchResult()
            (result.name, result.seconds) = (name, 2)
            result.add(recorder)
            return result
        }
        var whole = result("MIXED 1:1", [1_000, 3_000])
        whole.parts = [result("SET", [3_000]), result("GET", [1_000])]
        whole.parts[0].errors = 1
        return whole
    }

    private func table(_ change: (inout BenchSettings) -> Void) -> [String] {
        var settings = BenchSettings()
        change(&settings)
        let text = BenchTable(settings: settings, server: "", link: "kernel").lines(sample())
        return text.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
    }

    @Test func theyAreLinesBehindTheTotal() {
        #expect(
            table { _ in } == [
                "MIXED 1:1 1 0.002 0.001 0.003 0.003 0.003 0.003 0", "SET 1 0.003 0.003 0.003 0.003 0.003 0.003 1",
                "GET 1 0.001 0.001 0.001 0.001 0.001 0.001 0",
            ])
        #expect(
            table { $0.isQuiet = true } == [
                "MIXED 1:1: 1.00 requests per second, p50=0.001 msec",
                "MIXED 1:1 SET: 0.50 requests per second, p50=0.003 msec",
                "MIXED 1:1 GET: 0.50 requests per second, p50=0.001 msec",
            ])
        #expect(
            table { $0.isCSV = true } == [
                #""MIXED 1:1","1.00","0.002","0.001","0.001","0.003","0.003","0.003""#,
                #""MIXED 1:1 SET","0.50","0.003","0.003","0.003","0.003","0.003","0.003""#,
                #""MIXED 1:1 GET","0.50","0.001","0.001","0.001","0.001","0.001","0.001""#,
            ])
    }

    @Test func jsonHasThemWhereThereIsAMix() {
        let json = BenchJSON(settings: BenchSettings(), server: "", link: "kernel", mode: "")
        let text = json.document([sample()], time: "")
        #expect(text.contains(#""parts":[{"name":"SET","requests":1,"rate":0.5,"errors":1,"wrong":0,"latency_us":{"#))
        #expect(text.contains(#"{"name":"GET","requests":1,"rate":0.5,"errors":0,"wrong":0,"latency_us":{"min":1,"#))
        var plain = sample()
        plain.parts = []
        #expect(!json.document([plain], time: "").contains("parts"))
    }
}
