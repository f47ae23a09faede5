import CLinux
import Glibc
import Net
import Runtime
import Store

/// The real server: one pinned thread per shard over the machine's links and clock, until SIGTERM, SIGINT or SHUTDOWN.
public final class Server {
    private let config: Config
    private let log: Log
    private let mesh: Mesh
    private let published: RCUPublished<Config>
    private let cores: [Int32]
    private var threads: [PinnedThread] = []

    private init(_ config: Config, log: Log) {
        self.config = config
        self.log = log
        cores = PinnedThread.usableCores
        mesh = Mesh(shardCount: config.shards ?? max(1, cores.count))
        published = RCUPublished(config)
    }

    /// Serves until told to stop; returns the exit status. SIGTERM and SIGINT must be blocked in the calling thread,
    /// which waits for them here. Throws a sentence for people when the server cannot start.
    public static func run(_ config: Config, configFile: String = "") throws -> Int32 {
        apus_give_large_blocks_back()
        let log = try Log(config)
        let server = Server(config, log: log)
        return try server.run(configFile: configFile)
    }

    private func run(configFile: String) throws -> Int32 {
        log.notice("Apus \(Config.version) starting, process \(getpid()), \(mesh.shardCount) shard(s)")
        for notice in config.notices { log.warning(notice) }
        if config.hasKernelListener, let notice = DescriptorLimit.raise(clients: config.maxClients) {
            log.warning(notice)
        }
        let links = try openLinks()
        let listeners: [[Int32]]
        do {
            listeners = try openListeners(isOnlyWay: links == nil)
        } catch {
            links?.close()
            throw error
        }
        let control = RunningServer(
            facts: facts(links, configFile: configFile), published: published, log: log)
        switch links?.links {
        case .xdp(let queues): start(queues, listeners, control)
        case .packet(let queues): start(queues, listeners, control)
        case .tap(let queues): start(queues, listeners, control)
        case nil: start([MemoryLink](), listeners, control)
        }
        while mesh.started < mesh.shardCount { usleep(200) }
        announce(links)
        waitForSignal()
        mesh.stop()
        for thread in threads { thread.join() }
        links?.close()
        log.warning("Apus is now ready to exit, bye bye...")
        return 0
    }

    // MARK: links and listeners

    private func openLinks() throws -> LinkSet? {
        guard let kind = LinkKind(rawValue: config.link.rawValue), kind != .kernel else { return nil }
        guard config.address != nil || kind == .auto || kind == .tap else {
            throw LinkError.missingDirective("address")
        }
        let address = config.stackAddress
        var wanted = LinkConfiguration(
            kind: kind, interface: config.interface, address: address.address, prefixLength: address.prefixLength,
            queues: mesh.shardCount)
        wanted.mode = Net.XDPMode(rawValue: config.xdpMode.rawValue)!
        wanted.framesPerQueue = config.shardFrames
        // A Result, because the compiler (6.3.1) fails on a typed error that is matched and thrown on.
        let set: LinkSet
        switch Result(catching: { () throws(LinkError) in try LinkSet.open(wanted) }) {
        case .success(let opened): set = opened
        case .failure(let error):
            guard kind == .auto, error.isMissingPrivilege else { throw error }
            log.warning("\(error) Serving kernel sockets only.")
            return nil
        }
        log.notice("Link \(set.driver) on \(set.interface), \(set.queueCount) queue(s), address \(address.address)")
        if set.queueCount < mesh.shardCount {
            log.notice("\(mesh.shardCount - set.queueCount) shard(s) without a queue serve what the others hand them")
        }
        return set
    }

    private func openListeners(isOnlyWay: Bool) throws -> [[Int32]] {
        guard config.hasKernelListener else {
            if isOnlyWay {
                throw StartError(sentence: "no link and no kernel listener: nobody could connect; set bind or link")
            }
            return []
        }
        return try KernelListener.open(
            bind: config.bind, port: config.port, shards: mesh.shardCount, backlog: config.tcpBacklog)
    }

    private func facts(_ links: LinkSet?, configFile: String) -> ServerFacts {
        var entropy = Entropy.system()
        var facts = ServerFacts()
        facts.runID = (0..<40).map { _ in String(entropy.next(below: 16), radix: 16) }.joined()
        facts.startedAt = SystemClock().unixMilliseconds
        facts.executable = CommandLine.arguments.first ?? ""
        facts.configFile = configFile
        facts.port = config.port
        if let links {
            facts.link = links.driver
            facts.interface = links.interface
            facts.address = config.stackAddress.address.description
        } else {
            facts.link = "kernel"
        }
        return facts
    }

    private func announce(_ links: LinkSet?) {
        if links != nil {
            let address = config.stackAddress.address
            log.notice("Serving \(address):\(stackPort) over our own TCP/IP stack")
        }
        if config.hasKernelListener {
            log.notice("Serving \(config.bind.joined(separator: " ")) port \(config.port) over kernel sockets")
        }
        log.notice("Ready to accept connections")
    }

    /// `port 0` turns the kernel's listener off, not the stack's.
    private var stackPort: UInt16 { config.port == 0 ? 6379 : config.port }

    // MARK: shards

    /// One thread for each shard; `links` may be fewer.
    private func start<L: Link & SendableMetatype>(_ links: [L], _ listeners: [[Int32]], _ control: ServerControl) {
        // One secret for all shards would do; each draws its own anyway.
        for id in 0..<mesh.shardCount {
            let seat = Seat(
                id: id, link: id < links.count ? links[id] : nil, listeners: id < listeners.count ? listeners[id] : [],
                mesh: mesh, published: published, control: control, config: config, port: stackPort,
                sharesCore: mesh.shardCount >= cores.count, usesStrays: links.count > 1)
            let core = cores.isEmpty ? nil : cores[pinningIndex(id)]
            let thread = PinnedThread(name: "apus-shard-\(id)", core: core) { seat.serve() }
            thread.start()
            threads.append(thread)
        }
    }

    /// Cores from the last to the first: the first gets the interrupts on most machines, and the main thread.
    private func pinningIndex(_ shard: Int) -> Int { cores.count - 1 - shard % cores.count }

    private func waitForSignal() {
        let name = StopSignals().wait() == SIGINT ? "SIGINT" : "SIGTERM"
        log.warning("Received \(name) scheduling shutdown...")
    }
}

/// Why the server cannot start, for people.
struct StartError: Error, CustomStringConvertible {
    let sentence: String
    var description: String { sentence }
}

extension LinkError {
    fileprivate var isMissingPrivilege: Bool {
        if case .missingPrivilege = self { return true }
        return false
    }
}

extension Config {
    /// The stack's address: as given, or that of the pair which `link auto` makes.
    fileprivate var stackAddress: SubnetAddress { address ?? SubnetAddress("10.77.0.2/24")! }
}

/// What a shard's thread is given at its start.
private struct Seat<L: Link>: @unchecked Sendable {
    let id: Int
    let link: L?
    let listeners: [Int32]
    let mesh: Mesh
    let published: RCUPublished<Config>
    let control: ServerControl
    let config: Config
    let port: UInt16
    let sharesCore: Bool
    let usesStrays: Bool

    /// The thread's whole life.
    func serve() {
        RCUThread.register()
        defer { RCUThread.unregister() }
        let clock = SystemClock()
        var entropy = Entropy.system()
        let stack = makeStack(&entropy, now: clock.monotonic)
        let kernel = listeners.isEmpty ? nil : KernelStack(listeners: listeners, keepalive: config.tcpKeepalive)
        let keyspace = Keyspace(
            databases: config.databases, hashKey: Entropy.systemSecret(), monotonic: clock.monotonic,
            unix: clock.unixMilliseconds)
        let state = ShardState(
            id: id, mesh: mesh, keyspace: keyspace, published: published, control: control,
            streams: Streams(stack: stack, kernel: kernel), entropy: entropy)
        state.sharesCore = sharesCore
        let shard = Shard(state: state, link: link, clock: clock)
        mesh.shardStarted()
        shard.run()
        kernel?.close()
    }

    private func makeStack(_ entropy: inout Entropy, now: Nanoseconds) -> Stack? {
        guard let link else { return nil }
        let address = config.stackAddress
        var wanted = Stack.Configuration(
            hardwareAddress: link.hardwareAddress, address: address.address, prefixLength: address.prefixLength)
        wanted.gateway = config.gateway
        wanted.mtu = link.mtu
        wanted.receiveWindow = config.tcpReceiveWindow
        wanted.receiveWindowMaximum = config.tcpReceiveWindowMax
        wanted.sendFrames = config.tcpSendFrames
        wanted.userTimeout = .seconds(Int64(config.tcpUserTimeout))
        wanted.congestionControl = config.tcpCongestion
        wanted.ecn = config.tcpECN
        wanted.keepalive = .seconds(Int64(config.tcpKeepalive))
        wanted.strayHandling = usesStrays
        wanted.secret = Entropy.systemSecret()
        let stack = Stack(
            configuration: wanted, pool: link.pool, entropy: Entropy(seed: entropy.next()), now: now)
        stack.listen(port: port)
        return stack
    }
}

/// `ServerControl` of the real server.
private final class RunningServer: ServerControl, @unchecked Sendable {
    private let published: RCUPublished<Config>
    private let log: Log

    init(facts: ServerFacts, published: RCUPublished<Config>, log: Log) {
        self.published = published
        self.log = log
        super.init(facts: facts)
    }

    override func publish(_ config: Config) {
        log.level = config.logLevel
        published.publish(config)
    }

    /// The main thread waits for just this.
    override func shutDown() { kill(getpid(), SIGTERM) }
}
