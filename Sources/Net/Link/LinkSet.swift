import CLinux
import Glibc
import Runtime

/// What feeds the stack (the directive `link`). `kernel` has no links: the server serves kernel sockets.
public enum LinkKind: String, Sendable, CaseIterable { case auto, xdp, packet, tap, kernel }

/// Everything that opening links needs to know.
public struct LinkConfiguration: Sendable {
    /// Not `.kernel`.
    public var kind: LinkKind
    /// Needed for `xdp` and `packet`. For `tap` and `auto` the names of what is created: `tap` creates this one (default
    /// apus0), `auto` the pair apus0 and apus1.
    public var interface: String?
    /// The stack's address and its subnet's length. `auto` defaults to 10.77.0.2/24.
    public var address: IPv4Address
    public var prefixLength: Int
    /// Consecutive addresses from `address` on that are ours, for a client with many connections; each has a stack.
    public var addresses = 1
    public var mode: XDPMode = .auto
    /// Queues wanted, one for each shard. There may be fewer.
    public var queues = 1
    /// Frames in each queue's pool, and their size: a power of two, 2048 or 4096.
    public var framesPerQueue = 8192
    public var frameSize = 2048
    /// The peer interface of `auto`, for tests; normally apus1.
    public var pairPeer = "apus1"

    public init(kind: LinkKind, interface: String? = nil, address: IPv4Address, prefixLength: Int, queues: Int = 1) {
        self.kind = kind
        self.interface = interface
        self.address = address
        self.prefixLength = prefixLength
        self.queues = queues
    }
}

/// The links of a server, one for each queue, and what had to be made for them (a pair of interfaces, an XDP program).
///
///     let set = try LinkSet.open(configuration)
///     switch set.links {
///     case .xdp(let links): run(shards: links)      // one specialised loop for each driver
///     ...
///     }
///     set.close()                                   // after the shards have stopped
public final class LinkSet {
    public enum Links {
        case xdp([XDPLink])
        case packet([PacketLink])
        case tap([TapLink])
    }

    public let links: Links
    /// The interface whose frames the stack takes.
    public let interface: String
    public let queueCount: Int
    public let hardwareAddress: MACAddress
    public let mtu: Int
    /// "xdp copy" and so on, as the first link says it.
    public let driver: String
    /// One for each link. They stay valid after `close`; `deallocatePools` ends them.
    public let pools: [FramePool]

    private let pair: VethPair?
    private let program: XDPProgram?

    private init(_ links: Links, _ members: [any Link], _ interface: String, _ pair: VethPair?, _ program: XDPProgram?)
    {
        self.links = links
        self.interface = interface
        self.pair = pair
        self.program = program
        queueCount = members.count
        hardwareAddress = members[0].hardwareAddress
        mtu = members[0].mtu
        driver = members[0].driver
        pools = members.map { $0.pool }
    }

    /// Opens what the configuration asks for. On an error nothing is left behind. With `.auto`, lack of privilege is
    /// `.missingPrivilege`: the server then serves kernel sockets and says so.
    public static func open(_ configuration: LinkConfiguration) throws(LinkError) -> LinkSet {
        precondition(configuration.kind != .kernel, "kernel sockets need no link")
        for address in configuration.allAddresses where AddressCheck.isLocal(address) {
            throw .addressInUse(address, owner: "the kernel of this machine")
        }
        switch configuration.kind {
        case .auto:
            let pair = try VethPair(
                host: configuration.interface ?? "apus0", stack: configuration.pairPeer,
                hostAddress: configuration.firstOther, prefixLength: configuration.prefixLength,
                queues: max(1, configuration.queues))
            do throws(LinkError) {
                return try openXDP(configuration, pair.stack, pair)
            } catch {
                pair.remove()
                throw error
            }
        case .xdp:
            guard let interface = configuration.interface else { throw .missingDirective("interface") }
            return try openXDP(configuration, interface, nil)
        case .packet:
            guard let interface = configuration.interface else { throw .missingDirective("interface") }
            let pool = configuration.makePool()
            do throws(LinkError) {
                let found = try Interface(named: interface)
                guard found.isUp else { throw .interfaceDown(interface) }
                try checkFree(configuration.address, found)
                let link = try PacketLink(
                    found, address: configuration.address, addresses: configuration.addresses, pool: pool)
                return LinkSet(.packet([link]), [link], interface, nil, nil)
            } catch {
                pool.deallocate()
                throw error
            }
        case .tap, .kernel:
            let interface = configuration.interface ?? "apus0"
            let pool = configuration.makePool()
            do throws(LinkError) {
                let link = try TapLink(
                    interface, address: configuration.address, hostAddress: configuration.firstOther,
                    prefixLength: configuration.prefixLength, pool: pool)
                return LinkSet(.tap([link]), [link], interface, nil, nil)
            } catch {
                pool.deallocate()
                throw error
            }
        }
    }

    private static func checkFree(_ address: IPv4Address, _ interface: Interface) throws(LinkError) {
        if let owner = AddressCheck.answerer(for: address, on: interface) {
            throw .addressInUse(address, owner: "the machine with the hardware address \(owner)")
        }
    }

    private static func openXDP(
        _ configuration: LinkConfiguration, _ name: String, _ pair: VethPair?
    ) throws(LinkError) -> LinkSet {
        let interface = try Interface(named: name)
        guard interface.isUp else { throw .interfaceDown(name) }
        try XDPLink.checkMTU(interface, frameSize: configuration.frameSize)
        // The device decides which queue a flow arrives on; a queue without a socket would lose its flows.
        guard interface.queueCount <= max(1, configuration.queues) else {
            throw .tooManyQueues(interface: name, queues: interface.queueCount, shards: configuration.queues)
        }
        if pair == nil { try checkFree(configuration.address, interface) }
        let program = try XDPProgram(
            interface, address: configuration.address, count: configuration.addresses, mode: configuration.mode)
        var links: [XDPLink] = []
        for queue in 0..<interface.queueCount {
            let pool = configuration.makePool()
            do throws(LinkError) {
                links.append(try XDPLink(program: program, queue: queue, pool: pool, mode: configuration.mode))
            } catch {
                pool.deallocate()
                for link in links {
                    link.close()
                    link.pool.deallocate()
                }
                program.detach()
                throw error
            }
        }
        return LinkSet(.xdp(links), links, name, pair, program)
    }

    /// Closes every link, detaches the program and removes the pair. The shards must have stopped.
    public func close() {
        switch links {
        case .xdp(let links): for link in links { link.close() }
        case .packet(let links): for link in links { link.close() }
        case .tap(let links): for link in links { link.close() }
        }
        program?.detach()
        pair?.remove()
    }

    /// No frame may be used afterwards. Not called by `close`, because stacks may still hold frames.
    public func deallocatePools() {
        for pool in pools { pool.deallocate() }
    }
}

extension LinkConfiguration {
    fileprivate func makePool() -> FramePool { FramePool(count: framesPerQueue, frameSize: frameSize) }

    fileprivate var allAddresses: [IPv4Address] {
        (0..<addresses).map { IPv4Address(bits: address.bits + UInt32($0)) }
    }

    /// The subnet's first host address, or the second if the stack has the first: the kernel's end of a pair or TAP.
    var firstOther: IPv4Address {
        let mask: UInt32 = prefixLength == 0 ? 0 : ~UInt32(0) << UInt32(32 - prefixLength)
        let first = (address.bits & mask) + 1
        return IPv4Address(bits: first == address.bits ? first + 1 : first)
    }
}
