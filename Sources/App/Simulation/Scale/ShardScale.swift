import CLinux
import Glibc
import Net
import Runtime
import Store

/// How much faster two shards on two cores are than one on one core, when each core also makes the load for its shard
/// (`LoadLink`): real threads, real shards, the machine's clock. GET of 64-byte values, for keys of the own shard or for
/// uniformly random ones, half of which the other shard owns.
public struct ShardScale {
    public struct Case: Hashable, Sendable {
        public var shards: Int
        /// Keys of all shards rather than of the own one.
        public var randomKeys: Bool
        public var pipeline: Int
        /// Clients of each shard.
        public var clients = 50
        /// Keys of all shards together, the same for every number of shards.
        public var keys = 100_000

        public init(shards: Int, randomKeys: Bool, pipeline: Int) {
            self.shards = shards
            self.randomKeys = randomKeys
            self.pipeline = pipeline
        }
    }

    /// Requests that fit into a segment.
    public static let longestPipeline = 1_448 / RequestTable.length

    private let mesh: Mesh
    private let tables: [RequestTable]
    private let seats: [ScaleSeat]

    /// Requests a second over all shards, measured for `seconds` after a tenth of a second. `cores` has one for each
    /// shard. nil when a reply was wrong or a
    /// client could not connect.
    public static func rate(_ wanted: Case, seconds: Double, cores: [Int32]) -> Double? {
        let scale = ShardScale(wanted)
        let rate = scale.run(seconds: seconds, cores: cores)
        // Stacks give their frames back when they go, and requests may be under way: before what they lie in.
        for seat in scale.seats { seat.shard = nil }
        for seat in scale.seats { seat.link = nil }
        for table in scale.tables { table.deallocate() }
        scale.mesh.deallocate()
        return rate
    }

    private init(_ wanted: Case) {
        mesh = Mesh(shardCount: wanted.shards)
        let keys = Self.keys(wanted.keys, SlotTable(shardCount: wanted.shards))
        tables = wanted.randomKeys ? [RequestTable(keys.flatMap { $0 })] : keys.map { RequestTable($0) }
        let published = RCUPublished(Config())
        let control = ServerControl(facts: ServerFacts())
        seats = (0..<wanted.shards).map { [mesh, tables] id in
            ScaleSeat(
                id: id, mesh: mesh, published: published, control: control, load: wanted, keys: keys[id],
                requests: wanted.randomKeys ? tables[0] : tables[id])
        }
    }

    /// `count` of them, by owner.
    private static func keys(_ count: Int, _ slots: SlotTable) -> [[[UInt8]]] {
        var keys = [[[UInt8]]](repeating: [], count: slots.shardCount)
        for number in 0..<count {
            let digits = String(number)
            let key = Array(("key:" + String(repeating: "0", count: 12 - digits.count) + digits).utf8)
            keys[key.withUnsafeBytes { slots.owner(of: ByteView($0.baseAddress!, $0.count)) }].append(key)
        }
        return keys
    }

    private func run(seconds: Double, cores: [Int32]) -> Double? {
        let threads = seats.map { seat in
            PinnedThread(name: "apus-scale-\(seat.id)", core: cores[seat.id]) { seat.run() }
        }
        for thread in threads { thread.start() }
        while mesh.started < seats.count { usleep(1_000) }
        usleep(100_000)
        let clock = SystemClock()
        let (before, start) = (completed, clock.monotonic)
        usleep(UInt32(seconds * 1e6))
        let (after, end) = (completed, clock.monotonic)
        mesh.stop()
        for thread in threads { thread.join() }
        guard seats.allSatisfy({ $0.isSound }) else { return nil }
        return Double(after - before) * 1e9 / Double(end - start)
    }

    private var completed: UInt64 { seats.reduce(0) { $0 + apus_load_relaxed_u64($1.completed) } }
}

/// What a shard's thread is given at its start. Everything of the shard is made there, as in the server: what two threads
/// write must not share a cache line.
private final class ScaleSeat: @unchecked Sendable {
    let id: Int
    let mesh: Mesh
    let published: RCUPublished<Config>
    let control: ServerControl
    let load: ShardScale.Case
    let keys: [[UInt8]]
    let requests: RequestTable
    /// Requests that were answered; written by the thread.
    let completed: UnsafeMutablePointer<UInt64>
    /// The thread's until it has ended.
    var shard: Shard<LoadLink, SystemClock>?
    var link: LoadLink?

    init(
        id: Int, mesh: Mesh, published: RCUPublished<Config>, control: ServerControl, load: ShardScale.Case,
        keys: [[UInt8]], requests: RequestTable
    ) {
        self.id = id
        self.mesh = mesh
        self.published = published
        self.control = control
        self.load = load
        self.keys = keys
        self.requests = requests
        completed = UnsafeMutableRawPointer.allocate(byteCount: 128, alignment: 128).bindMemory(
            to: UInt64.self, capacity: 16)
        completed.initialize(repeating: 0, count: 16)
    }

    deinit { completed.deallocate() }

    /// The thread's whole life.
    func run() {
        RCUThread.register()
        defer { RCUThread.unregister() }
        let shard = makeShard()
        self.shard = shard
        mesh.shardStarted()
        shard.run()
    }

    /// All clients were served, and no reply was wrong.
    var isSound: Bool {
        guard let link else { return false }
        return link.wrong == 0 && link.established == load.clients
    }

    private func makeShard() -> Shard<LoadLink, SystemClock> {
        let clock = SystemClock()
        let link = LoadLink(
            shard: id, clients: load.clients, pipeline: load.pipeline, requests: requests, completed: completed)
        self.link = link
        var network = Stack.Configuration(
            hardwareAddress: SimulatedServer.hardwareAddress, address: SimulatedServer.address)
        network.strayHandling = mesh.shardCount > 1
        let stack = Stack(
            configuration: network, pool: link.pool, entropy: Entropy(seed: UInt64(id + 1)), now: clock.monotonic)
        stack.listen(port: SimulatedServer.port)
        let keyspace = Keyspace(
            databases: 1, hashKey: (1, 2), monotonic: clock.monotonic, unix: clock.unixMilliseconds)
        fill(keyspace.database(0), now: clock.unixMilliseconds)
        let state = ShardState(
            id: id, mesh: mesh, keyspace: keyspace, published: published, control: control,
            streams: Streams(stack: stack, kernel: nil), entropy: Entropy(seed: UInt64(id + 7)))
        return Shard(state: state, link: link, clock: clock)
    }

    private func fill(_ database: Database, now: Int64) {
        let value = [UInt8](repeating: UInt8(ascii: "v"), count: 64)
        for key in keys {
            key.withUnsafeBytes { key in
                value.withUnsafeBytes { value in
                    _ = database.set(
                        ByteView(key.baseAddress!, key.count), ByteView(value.baseAddress!, value.count), now: now)
                }
            }
        }
    }
}
