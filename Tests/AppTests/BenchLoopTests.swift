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
            $0.requests = 1_000
            $0.keyspace = 100
            $0.sizes = 10...200
            $0.verifies = true
        }
        for test in ["ping_inline", "ping_mbulk", "set", "get", "incr", "mixed"] {
            let result = try bed.run(test)
            #expect(bed.loop.failure == nil)
            #expect(result.requests == 1_000, "\(test)")
            #expect(result.errors == 0 && result.wrong == 0, "\(result.wrongText ?? "")")
            #expect(result.connections == clients)
            #expect(result.histogram.totalCount == 1_000)
            #expect(result.seconds > 0 && result.counters.bytesReceived > 0)
        }
        // Six tests, and nothing else.
        #expect(bed.server.commandsProcessed == 6 * 1_000)
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
        // One each 100 microseconds; a turn takes 10, so every request leaves at its time, and comes back in the next turn.
        #expect(result.minimum == 10 && result.latency(90) < 10.1 && result.maximum <= 20)
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
        // A single client works off the others one by one, so that they wait longer.
        #expect(waited > 880 && waited < (clients == 1 ? 1_150 : 960), "\(waited)")
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

    /// With a bound on what is in flight, clients take turns, and each gets its part.
    @Test func whatIsInFlightIsBounded() throws {
        let bed = BenchBed {
            $0.clients = 100
            $0.pipeline = 2
            $0.inFlight = 10
            $0.requests = 2_000
            $0.verifies = true
        }
        bed.connect()
        var most = 0
        bed.loop.begin(try BenchPlan.all(bed.settings)[3].workload(bed.settings, seed: 3, verifier: bed.loop.verifier))
        bed.turns {
            most = max(most, $0.inFlight)
            return $0.isFinished
        }
        #expect(most == 10)
        #expect(bed.loop.takeResult().requests == 2_000)
        #expect((0..<100).allSatisfy { bed.loop.clients[$0].answered == 20 })
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
        let refused = BenchBed { $0.port = 1 }
        refused.connect()
        let silent = BenchBed { _ in }
        silent.stall = 0..<Nanoseconds.max
        silent.connect()
        #expect(
            refused.loop.failure?.description == "Cannot connect to 10.0.0.1:1: it was refused, or nobody answered.")
        #expect(
            silent.loop.failure?.description
                == "10.0.0.1:6379 cannot be reached: nobody answers within 5 seconds.")
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

@Suite("Bench: datagrams to a bare echo")
struct BenchDatagramTests {
    /// `FrameEcho` on the other end of a cable; every `lossy`-th of its answers is lost.
    private func run(
        clients: Int, requests: Int, replyFrame: Int?, expected: Int?, lossy: Int = 0
    ) -> (result: BenchResult, lost: Int) {
        let clock = ManualClock()
        let wire = MemoryWire(entropy: Entropy(seed: 1), now: clock.monotonic)
        let pools = [FramePool(count: 2048), FramePool(count: 2048)]
        let near = wire.attach(hardwareAddress: MACAddress(bits: 0x0200_0000_0001), pool: pools[0])
        let far = wire.attach(hardwareAddress: MACAddress(bits: 0x0200_0000_0002), pool: pools[1])
        var settings = BenchSettings()
        (settings.clients, settings.requests, settings.host) = (clients, requests, "10.0.0.2")
        settings.address = SubnetAddress("10.0.0.1/24")
        settings.replyFrame = expected
        var echo = FrameEcho(
            hardwareAddress: far.hardwareAddress, address: IPv4Address(10, 0, 0, 2), replyLength: replyFrame)
        let (received, answers) = (FrameQueue(capacity: 1024), FrameQueue(capacity: 1024))
        var result = BenchResult()
        do {
            let loop = DatagramLoop(settings, link: near, clock: clock)
            var count = 0
            while !loop.isFinished, loop.failure == nil {
                _ = loop.turn()
                _ = far.receive(into: received, limit: 512)
                echo.answer(received, into: answers, of: pools[1])
                for _ in 0..<answers.count {
                    let frame = answers.pop()!
                    count += 1
                    if lossy > 0, count % lossy == 0 {
                        pools[1].release(frame.frame)
                    } else {
                        answers.append(frame)
                    }
                }
                _ = far.transmit(from: answers)
                clock.advance(by: .microseconds(10))
            }
            #expect(loop.failure == nil)
            result = loop.takeResult()
        }
        near.close()
        far.close()
        #expect(pools.allSatisfy { $0.freeCount == $0.count }, "every frame is given back")
        received.deallocate()
        answers.deallocate()
        for pool in pools { pool.deallocate() }
        return (result, result.errors)
    }

    @Test(arguments: [1, 7, 300]) func allComeBack(clients: Int) {
        let (result, lost) = run(clients: clients, requests: 5_000, replyFrame: 130, expected: 130)
        #expect(result.requests == 5_000 && lost == 0 && result.wrong == 0)
        // The generator takes 128 frames a turn.
        #expect(result.latency(50) < (clients > 128 ? 30.1 : 10.1))
    }

    @Test func lostOnesAreCountedAndReplaced() {
        let (result, lost) = run(clients: 10, requests: 1_000, replyFrame: nil, expected: nil, lossy: 100)
        #expect(result.requests + lost == 1_000)
        #expect(lost >= 9 && lost <= 11)
    }

    @Test func answersOfAnotherSizeAreWrong() {
        #expect(run(clients: 1, requests: 10, replyFrame: 130, expected: 131).result.wrong == 10)
    }
}
