import Net
import Runtime
import Store

/// The complete server on a simulated wire, in virtual time, in one thread: the same shards, stacks, sessions and
/// keyspaces as the real one. Everything random comes from one seed, so a run can be repeated exactly.
public final class SimulatedServer {
    public static let address = IPv4Address(10, 0, 0, 1)
    public static let hardwareAddress = MACAddress(bits: 0x0200_0000_0001)
    public static let port: UInt16 = 6379

    public let clock: ManualClock
    public let wire: MemoryWire
    public let pools: [FramePool]
    private(set) var shards: [Shard<MemoryLink, ManualClock>]
    /// `shards[0]`, without counting references: what is measured calls it.
    let firstShard: Unmanaged<Shard<MemoryLink, ManualClock>>
    let mesh: Mesh
    private let control: SimulatedControl

    /// - Parameters:
    ///   - queues: shards with a queue of the device; 0 means all of them.
    ///   - clock: the time of all shards.
    public init(
        shards count: Int, queues: Int = 0, seed: UInt64, faults: MemoryWire.Faults = .init(), frames: Int = 4096,
        config: Config = Config(), clock: ManualClock = ManualClock()
    ) {
        var entropy = Entropy(seed: seed)
        wire = MemoryWire(entropy: Entropy(seed: entropy.next()), faults: faults, now: clock.monotonic)
        wire.isDeferred = true
        mesh = Mesh(shardCount: count)
        let published = RCUPublished(config)
        control = SimulatedControl(published)
        let queues = queues == 0 ? count : queues
        var pools: [FramePool] = []
        var shards: [Shard<MemoryLink, ManualClock>] = []
        for id in 0..<count {
            var link: MemoryLink?
            if id < queues {
                let pool = FramePool(count: frames)
                pools.append(pool)
                link = wire.attach(hardwareAddress: Self.hardwareAddress, pool: pool)
            }
            var stack: Stack?
            if let link { stack = Self.stack(on: link, &entropy, clock.monotonic, strays: queues > 1) }
            let keyspace = Keyspace(
                databases: config.databases, hashKey: (entropy.next(), entropy.next()), monotonic: clock.monotonic,
                unix: clock.unixMilliseconds)
            let state = ShardState(
                id: id, mesh: mesh, keyspace: keyspace, published: published, control: control,
                streams: Streams(stack: stack, kernel: nil), entropy: Entropy(seed: entropy.next()))
            shards.append(Shard(state: state, link: link, clock: clock))
        }
        self.clock = clock
        self.pools = pools
        self.shards = shards
        firstShard = .passUnretained(shards[0])
    }

    deinit {
        // Stacks give their frames back when they go: before the pools.
        shards = []
        mesh.deallocate()
        for pool in pools { pool.deallocate() }
    }

    private static func stack(
        on link: MemoryLink, _ entropy: inout Entropy, _ now: Nanoseconds, strays: Bool
    ) -> Stack {
        var wanted = Stack.Configuration(hardwareAddress: hardwareAddress, address: address)
        wanted.strayHandling = strays
        let stack = Stack(configuration: wanted, pool: link.pool, entropy: Entropy(seed: entropy.next()), now: now)
        stack.listen(port: port)
        return stack
    }

    /// One turn of each shard. Whether any had something to do.
    @discardableResult public func turn() -> Bool {
        var work = false
        for shard in shards { work = shard.turn() || work }
        return work
    }

    /// What is wrong with a stack (`Stack.findViolation`), or nil.
    func findViolation() -> String? {
        for shard in shards {
            // Shards lend each other frames.
            if let stack = shard.state.streams.stack, let link = shard.link,
                let wrong = stack.findViolation(held: link.heldFrames, ownsAll: shards.count == 1)
            {
                return "shard \(shard.state.id): \(wrong)"
            }
        }
        return nil
    }

    /// When a shard must look again although nothing arrives.
    public var nextDeadline: Nanoseconds { shards.map { $0.nextDeadline() }.min()! }

    /// SHUTDOWN was called.
    public var isShutDown: Bool { control.isShutDown }

    /// Connections of all stacks, those in TIME-WAIT included.
    public var liveConnections: Int { shards.reduce(0) { $0 + ($1.state.streams.stack?.liveConnections ?? 0) } }
    public var liveSessions: Int { shards.reduce(0) { $0 + $1.state.sessions.count } }
    public var requestsUnderWay: Int { shards.reduce(0) { $0 + $1.state.requests.liveCount } }
    public var partialRequests: Int { shards.reduce(0) { $0 + $1.pump.scratch.state.pointee.partialCount } }
    public var freeFrames: Int { pools.reduce(0) { $0 + $1.freeCount } }
    public var allFrames: Int { pools.reduce(0) { $0 + $1.count } }
    public var handedFrames: UInt64 { shards.reduce(0) { $0 + $1.state.outbound.statistics.sentFrames } }
    public var commandsProcessed: UInt64 { shards.reduce(0) { $0 + $1.state.statistics.commandsProcessed } }
}

private final class SimulatedControl: ServerControl, @unchecked Sendable {
    private let published: RCUPublished<Config>
    private(set) var isShutDown = false

    init(_ published: RCUPublished<Config>) {
        self.published = published
        super.init(facts: ServerFacts())
    }

    override func publish(_ config: Config) { published.publish(config) }
    override func shutDown() { isShutDown = true }
}
