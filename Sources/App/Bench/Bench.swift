import CLinux
import Glibc
import Net
import Runtime

/// `apus bench`: opens the wire that the settings name, and runs the load over it.
public enum Bench {
    /// Runs in the calling thread, in which SIGINT and SIGTERM are blocked. Returns the exit status; throws a sentence when
    /// nothing could be measured.
    public static func run(_ settings: BenchSettings) throws(BenchError) -> Int32 {
        try settings.check()
        let plans = try BenchPlan.all(settings)
        if let core = settings.core {
            let code = apus_pin_to_core(Int32(clamping: core))
            guard code == 0 else {
                throw BenchError("Cannot stay on core \(core): \(String(cString: strerror(code))) (--core).")
            }
        }
        apus_exact_timers()
        guard settings.link != .kernel else { return try overSockets(settings, plans) }
        let links = try open(settings)
        defer { links.close() }
        switch links.links {
        case .xdp(let queues): return try over(queues[0], settings, plans)
        case .packet(let queues): return try over(queues[0], settings, plans)
        case .tap(let queues): return try over(queues[0], settings, plans)
        }
    }

    private static func overSockets(_ settings: BenchSettings, _ plans: [BenchPlan]) throws(BenchError) -> Int32 {
        if let notice = DescriptorLimit.raise(clients: settings.clients) {
            throw BenchError("\(settings.clients) clients need as many descriptors. \(notice).")
        }
        let transport = SocketTransport(
            try resolve(settings.host), port: UInt16(settings.port), resets: !settings.keepsAlive)
        return try BenchRun(settings, plans, transport: transport).run()
    }

    private static func over<L: Link>(
        _ link: L, _ settings: BenchSettings, _ plans: [BenchPlan]
    ) throws(BenchError) -> Int32 {
        if settings.sendsDatagrams { return try DatagramRun(settings, link: link).run() }
        let transport = StackTransport(
            link, stackConfiguration(settings, hardware: link.hardwareAddress, mtu: link.mtu),
            addresses: settings.addresses, host: IPv4Address(settings.host)!, port: UInt16(settings.port),
            entropy: Entropy.system(), now: SystemClock().monotonic)
        return try BenchRun(settings, plans, transport: transport).run()
    }

    static func stackConfiguration(
        _ settings: BenchSettings, hardware: MACAddress, mtu: Int
    ) -> Stack.Configuration {
        let address = settings.address!
        var wanted = Stack.Configuration(
            hardwareAddress: hardware, address: address.address, prefixLength: address.prefixLength)
        wanted.gateway = settings.gateway
        wanted.mtu = mtu
        wanted.secret = Entropy.systemSecret()
        // Ports are few and come back at once: nothing of an old connection lingers on a wire of our own.
        if !settings.keepsAlive { wanted.maximumSegmentLifetime = .milliseconds(20) }
        return wanted
    }

    private static func open(_ settings: BenchSettings) throws(BenchError) -> LinkSet {
        let address = settings.address!
        var wanted = LinkConfiguration(
            kind: settings.link, interface: settings.interface, address: address.address,
            prefixLength: address.prefixLength)
        wanted.mode = settings.xdpMode
        wanted.addresses = settings.addresses
        // Each connection may have a frame in either direction at a time.
        wanted.framesPerQueue = min(1 << 17, max(8_192, settings.clients * 3))
        do throws(LinkError) {
            return try LinkSet.open(wanted)
        } catch {
            throw BenchError(error.description)
        }
    }

    /// An address literal, or the first address of a name.
    private static func resolve(_ host: String) throws(BenchError) -> SocketAddress {
        if let address = SocketAddress(host) { return address }
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, &hints, &list)
        guard code == 0, let first = list else {
            throw BenchError("'\(host)' is no address and no known name: \(String(cString: gai_strerror(code))) (-h).")
        }
        defer { freeaddrinfo(list) }
        var text = [CChar](repeating: 0, count: 64)
        getnameinfo(
            first.pointee.ai_addr, first.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
        let literal = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard let address = SocketAddress(literal) else {
            throw BenchError("'\(host)' has an address that cannot be used: \(literal) (-h).")
        }
        return address
    }
}
