import Net
import Runtime

@testable import App

/// A load generator beside the whole server, on one wire in memory and in virtual time: a turn of everybody takes ten
/// microseconds.
final class BenchBed {
    typealias Loop = BenchLoop<StackTransport<MemoryLink>, ManualClock>

    let server: SimulatedServer
    private(set) var loop: Loop!
    var settings: BenchSettings
    private let pool: FramePool
    private let link: MemoryLink
    private var meddlers: [SimulatedClient] = []
    /// The server does not run between these times.
    var stall: Range<Nanoseconds>?
    static let step = Nanoseconds.microseconds(10)

    init(addresses: Int = 1, config: Config = Config(), _ change: (inout BenchSettings) -> Void) {
        server = SimulatedServer(shards: 1, seed: 1, config: config)
        var settings = BenchSettings()
        settings.host = "\(SimulatedServer.address)"
        settings.link = .packet
        settings.interface = "memory"
        settings.address = SubnetAddress("10.0.0.9/24")
        settings.addresses = addresses
        change(&settings)
        self.settings = settings
        pool = FramePool(count: 8192)
        let hardware = MACAddress(bits: 0x0200_0000_0200)
        link = server.wire.attach(hardwareAddress: hardware, pool: pool)
        let transport = StackTransport(
            link, Bench.stackConfiguration(settings, hardware: hardware, mtu: 1500), addresses: addresses,
            host: SimulatedServer.address, port: UInt16(settings.port), entropy: Entropy(seed: 2),
            now: server.clock.monotonic)
        loop = BenchLoop(settings, transport: transport, clock: server.clock, run: 7)
    }

    deinit {
        // The stack gives its frames back before their pool goes.
        loop = nil
        link.close()
        pool.deallocate()
        for client in meddlers { client.deallocate() }
    }

    var now: Nanoseconds { server.clock.monotonic }

    /// Turns until `done`, a failure, or a minute has passed.
    func turns(until done: (Loop) -> Bool) {
        let end = now + .seconds(60)
        while let loop, !done(loop), loop.failure == nil, now < end {
            server.wire.advance(now: now)
            if !(stall?.contains(now) ?? false) { _ = server.turn() }
            server.wire.advance(now: now)
            loop.turn()
            server.clock.advance(by: Self.step)
        }
    }

    func connect() {
        loop.open(settings.clients)
        turns { $0.isOpen }
    }

    /// Connects if need be, and runs one test to its end.
    func run(_ test: String) throws -> BenchResult {
        if loop.readyCount == 0 { connect() }
        settings.tests = [test]
        let plan = try BenchPlan.all(settings)[0]
        loop.begin(plan.workload(settings, seed: 3, verifier: loop.verifier))
        turns { $0.isFinished }
        return loop.takeResult()
    }
}

extension BenchBed {
    /// Another client says something behind the generator's back.
    func meddle(_ line: String) {
        let client = SimulatedClient(
            number: 100 + meddlers.count, wire: server.wire, entropy: Entropy(seed: 5), now: now)
        meddlers.append(client)
        client.keepsReplies = true
        client.connect(now: now)
        client.send(Array((line + "\r\n").utf8))
        for _ in 0..<500 {
            server.wire.advance(now: now)
            _ = server.turn()
            server.wire.advance(now: now)
            _ = client.turn(now: now)
            loop.turn()
            server.clock.advance(by: Self.step)
        }
    }
}
