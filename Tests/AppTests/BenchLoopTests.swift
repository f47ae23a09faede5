import Net
import Runtime
import Testing

@testable import App

@Suite("Bench: the loop in virtual time")
struct BenchLoopTests {
    @Test(arguments: [(1, 1), (5, 1), (50, 16), (300, 3)])
    func everyRequestIsAnsweredAndRight(clients: Int, pipeline: Int) throws {
        let bed = BenchBed {
            $0.clients = clients
            $0.pipeline = pipeline
            $0.requests = 5_000
            $0.keyspace = 100
            $0.sizes = 10...200
            $0.verifies = true
        }
        for test in ["ping_inline", "ping_mbulk", "set", "get", "incr", "mset", "mixed"] {
            let result = try bed.run(test)
            #expect(bed.loop.failure == nil)
            #expect(result.requests == 5_000, "\(test)")
            #expect(result.errors == 0 && result.wrong == 0, "\(result.wrongText ?? "")")
            #expect(result.connections == clients)
            #expect(result.histogram.totalCount == 5_000)
            #expect(result.seconds > 0 && result.counters.bytesReceived > 0)
        }
        // Seven tests, and nothing else.
        #expect(bed.server.commandsProcessed == 7 * 5_000)
    }

    @Test func aDurationEndsTheSending() throws {
        let bed = BenchBed {
            $0.clients = 2
            $0.duration = 0.01
            $0.warmup = 0.005
        }
        let result = try bed.run("ping_mbulk")
        #expect(abs(result.seconds - 0.01) < 0.000_1)
        // What the warm-up sent is not counted.
        #expect(UInt64(result.requests) < bed.server.commandsProcessed)
        #expect(result.requests > 100)
    }

    @Test func anOpenLoopSendsAtItsRate() throws {
        let bed = BenchBed {
            $0.clients = 10
            $0.rate = 10_000
            $0.requests = 1_000
        }
        let result = try bed.run("ping_mbulk")
        #expect(result.requests == 1_000)
        #expect(abs(result.seconds - 0.1) < 0.001)
        // One each 100 microseconds; a turn takes 10, so every request leaves at its time and has the same latency.
        #expect(result.minimum == result.maximum)
        #expect(result.intendedRate == 10_000)
    }

    /// A server that stands still for 100 ms while 10,000 requests a second are to be sent: a thousand of them wait, and
    /// those that could not even be sent count from when they should have been.
    @Test(arguments: [1, 50]) func aStalledServerIsInTheLatencies(clients: Int) throws {
        let bed = BenchBed {
            $0.clients = clients
            $0.rate = 10_000
            $0.requests = 3_000
        }
        bed.connect()
        let begin = bed.now + .milliseconds(50)
        bed.stall = begin..<begin + .milliseconds(100)
        let result = try bed.run("ping_mbulk")
        #expect(result.requests == 3_000)
        #expect(result.maximum > 99_000 && result.maximum < 102_000)
        // Sent in the first 90 of the 100 ms, and answered after them: waited for more than 10 ms.
        let waited = result.histogram.count(within: 10_000_000...1_000_000_000)
        #expect(waited > 880 && waited < 960, "\(waited)")
    }

    @Test func poissonArrivalsHaveTheRate() throws {
        var schedule = ArrivalSchedule(rate: 1_000_000, arrivals: .poisson, start: 0, seed: 1)
        var gaps: [Double] = []
        for _ in 0..<100_000 {
            let before = schedule.next
            schedule.advance()
            gaps.append(Double(schedule.next - before))
        }
        let mean = gaps.reduce(0, +) / 100_000
        #expect(abs(mean - 1_000) < 15)
        // Exponential: e^-2 of the gaps are longer than twice the mean.
        let long = Double(gaps.count { $0 > 2_000 }) / 100_000
        #expect(abs(long - 0.1353) < 0.005)
    }

    @Test func aConstantRateDoesNotDrift() {
        var schedule = ArrivalSchedule(rate: 3, arrivals: .constant, start: 5, seed: 1)
        for _ in 0..<3_000_000 { schedule.advance() }
        #expect(schedule.next == 5 + .seconds(1_000_000))
    }

    @Test func connectionsNeedNotBeKept() throws {
        let bed = BenchBed {
            $0.clients = 3
            $0.pipeline = 2
            $0.requests = 600
            $0.keepsAlive = false
        }
        let result = try bed.run("ping_mbulk")
        #expect(bed.loop.failure == nil)
        #expect(result.requests == 600 && result.errors == 0)
    }

    @Test func lostConnectionsAreReplacedAndCounted() throws {
        let bed = BenchBed {
            $0.clients = 4
            $0.requests = 400
            $0.command = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]
        }
        let result = try bed.run("")
        #expect(bed.loop.failure == nil)
        #expect(result.reconnects > 0)
        #expect(result.requests + bed.loop.state.lost == 400)
    }

    @Test func manyAddressesShareOneLink() throws {
        let bed = BenchBed(addresses: 5) {
            $0.clients = 23
            $0.requests = 2_000
            $0.pipeline = 4
            $0.verifies = true
        }
        let result = try bed.run("set")
        #expect(bed.loop.failure == nil)
        #expect(result.requests == 2_000 && result.wrong == 0)
    }

    @Test func nobodyAnswers() {
        let bed = BenchBed { $0.host = "10.0.0.77" }
        let other = BenchBed { $0.port = 1 }
        for (bed, words) in [(bed, "nobody answers"), (other, "refused")] {
            bed.loop.open(1)
            bed.turns { $0.isOpen }
            _ = words
        }
        #expect(other.loop.failure?.description.contains("Cannot connect to 10.0.0.1:1") == true)
    }

    @Test func aPasswordIsAsked() throws {
        let config = try Config(["requirepass": "secret"])
        let wrong = BenchBed(config: config) { $0.password = "other" }
        wrong.connect()
        #expect(wrong.loop.failure?.description.hasPrefix("The server refuses: WRONGPASS") == true)
        let right = BenchBed(config: config) {
            $0.password = "secret"
            $0.database = 3
            $0.usesRESP3 = true
            $0.requests = 100
        }
        #expect(try right.run("set").errors == 0)
        let none = BenchBed(config: config) { $0.requests = 100 }
        let result = try none.run("set")
        #expect(result.errors == 100)
        #expect(result.errorText == "NOAUTH Authentication required.")
    }
}
