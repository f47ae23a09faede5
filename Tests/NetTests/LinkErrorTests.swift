import Foundation
import Glibc
import Runtime
import Testing

@testable import Net

/// What goes wrong when a link is opened: each a sentence that says what to do, and nothing left behind.
struct LinkErrorTests {
    @Test(arguments: ["", "a name", "eth/0", "0123456789abcdef", "..", "a:b"])
    func badNames(name: String) {
        #expect(throws: LinkError.badInterfaceName(name)) { _ = try Interface(named: name) }
    }

    @Test func missingInterfaceIsNamed() {
        let error = #expect(throws: LinkError.self) { _ = try Interface(named: "nosuch0") }
        #expect(error == .noSuchInterface("nosuch0"))
        #expect(error?.description == "There is no interface nosuch0: `ip link` lists those that exist.")
    }

    @Test func loopbackIsNotEthernet() {
        #expect(throws: LinkError.notEthernet("lo")) { _ = try Interface(named: "lo") }
    }

    @Test func theKernelsOwnAddressIsRefused() {
        let address = IPv4Address(127, 0, 0, 1)
        let configuration = LinkConfiguration(kind: .xdp, interface: "lo", address: address, prefixLength: 8)
        let error = #expect(throws: LinkError.self) { _ = try LinkSet.open(configuration) }
        #expect(error == .addressInUse(address, owner: "the kernel of this machine"))
    }

    @Test func anInterfaceIsNeeded() {
        for kind in [LinkKind.xdp, .packet] {
            let configuration = LinkConfiguration(kind: kind, address: IPv4Address(192, 0, 2, 9), prefixLength: 24)
            #expect(throws: LinkError.missingDirective("interface")) { _ = try LinkSet.open(configuration) }
        }
    }

    @Test func lackOfPrivilegeIsToldApart() {
        for code in [EPERM, EACCES] {
            let text = LinkError.call("open a packet socket", code).description
            #expect(text.hasPrefix("No permission to open a packet socket: run as root"))
            #expect(text.contains("setcap cap_net_admin,cap_net_raw,cap_bpf,cap_ipc_lock+ep"))
        }
        #expect(
            LinkError.call("open a packet socket", ENOMEM) == .system(operation: "open a packet socket", code: ENOMEM))
    }

    @Test func theFirstOtherAddressIsTheHosts() {
        func host(_ text: String, _ length: Int) -> String {
            "\(LinkConfiguration(kind: .auto, address: IPv4Address(text)!, prefixLength: length).firstOther)"
        }
        #expect(host("10.77.0.2", 24) == "10.77.0.1")
        #expect(host("10.77.0.1", 24) == "10.77.0.2")
        #expect(host("192.168.130.9", 17) == "192.168.128.1")
    }
}

/// The same for what needs interfaces of our own.
@Suite(.serialized, .enabled(if: mayMakeInterfaces, Comment(rawValue: needsRoot)), .timeLimit(.minutes(1)))
struct LinkOwnershipTests {
    private func configuration(_ names: TestNames, kind: LinkKind = .auto) -> LinkConfiguration {
        var configuration = LinkConfiguration(
            kind: kind, interface: kind == .auto ? names.host : names.stack, address: names.stackAddress,
            prefixLength: 24)
        configuration.pairPeer = names.stack
        configuration.framesPerQueue = 256
        return configuration
    }

    private func ip(_ arguments: String) {
        let process = start("sh", "-c", "exec ip " + arguments)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "ip \(arguments)")
    }

    @Test func aPairIsMadeConfiguredAndRemoved() throws {
        let names = TestNames(20)
        let set = try LinkSet.open(configuration(names))
        let host = try Interface(named: names.host)
        let stack = try Interface(named: names.stack)
        #expect(host.isUp && stack.isUp)
        #expect(!host.has(.transmitChecksum) && !host.has(.segmentation))
        #expect(stack.hardwareAddress == set.hardwareAddress && stack.mtu == 1500)
        #expect(AddressCheck.isLocal(names.hostAddress) && !AddressCheck.isLocal(names.stackAddress))
        set.close()
        #expect(if_nametoindex(names.host) == 0 && if_nametoindex(names.stack) == 0)
        set.deallocatePools()
    }

    @Test func itCanBeOpenedAgainAtOnce() throws {
        let names = TestNames(21)
        for _ in 0..<3 {
            let set = try LinkSet.open(configuration(names))
            set.close()
            set.deallocatePools()
        }
        // Also on an interface that stays.
        let pair = try VethPair(
            host: names.host, stack: names.stack, hostAddress: names.hostAddress, prefixLength: 24, queues: 1)
        for kind in [LinkKind.xdp, .packet, .xdp] {
            let set = try LinkSet.open(configuration(names, kind: kind))
            set.close()
            set.deallocatePools()
        }
        pair.remove()
    }

    @Test func aSecondServerIsRefusedAndTheFirstStaysWhole() throws {
        let names = TestNames(22)
        let first = try LinkSet.open(configuration(names))
        defer { first.close() }
        let me = InterfaceLock.processName(getpid())
        #expect(throws: LinkError.interfaceBusy(names.host, owner: me)) { _ = try LinkSet.open(configuration(names)) }
        #expect(throws: LinkError.interfaceBusy(names.stack, owner: me)) {
            _ = try LinkSet.open(configuration(names, kind: .xdp))
        }
        #expect(if_nametoindex(names.host) != 0 && if_nametoindex(names.stack) != 0)
    }

    @Test func aStalePairIsReplacedAndAForeignOneIsNot() throws {
        let names = TestNames(23)
        ip("link add \(names.host) type veth peer name \(names.stack)")
        #expect(throws: LinkError.foreignInterface(names.host)) { _ = try LinkSet.open(configuration(names)) }
        #expect(if_nametoindex(names.host) != 0)
        for name in [names.host, names.stack] { ip("link set \(name) alias '\(VethPair.alias)'") }
        let stale = if_nametoindex(names.host)
        let set = try LinkSet.open(configuration(names))
        #expect(if_nametoindex(names.host) != stale)
        set.close()
        #expect(if_nametoindex(names.host) == 0)
    }

    @Test func downAndTooLargeAreSaid() throws {
        let names = TestNames(24)
        let pair = try VethPair(
            host: names.host, stack: names.stack, hostAddress: names.hostAddress, prefixLength: 24, queues: 1)
        defer { pair.remove() }
        ip("link set \(names.stack) down")
        for kind in [LinkKind.xdp, .packet] {
            #expect(throws: LinkError.interfaceDown(names.stack)) {
                _ = try LinkSet.open(configuration(names, kind: kind))
            }
        }
        ip("link set \(names.stack) up mtu 2000")
        for kind in [LinkKind.xdp, .packet] {
            #expect(throws: LinkError.mtuTooLarge(interface: names.stack, mtu: 2000, limit: 1778)) {
                _ = try LinkSet.open(configuration(names, kind: kind))
            }
        }
        // The peer's MTU counts as well: its frames would not fit the driver's page.
        ip("link set \(names.stack) mtu 1500")
        ip("link set \(names.host) mtu \(XDPLink.largestMTU + 1)")
        #expect(throws: LinkError.peerMTUTooLarge(interface: names.stack, limit: XDPLink.largestMTU)) {
            _ = try LinkSet.open(configuration(names, kind: .xdp))
        }
        ip("link set \(names.host) mtu \(XDPLink.largestMTU)")
        let set = try LinkSet.open(configuration(names, kind: .xdp))
        set.close()
    }

    @Test func moreQueuesThanShardsAreSaid() throws {
        let names = TestNames(26)
        let pair = try VethPair(
            host: names.host, stack: names.stack, hostAddress: names.hostAddress, prefixLength: 24, queues: 2)
        defer { pair.remove() }
        #expect(throws: LinkError.tooManyQueues(interface: names.stack, queues: 2, shards: 1)) {
            _ = try LinkSet.open(configuration(names, kind: .xdp))
        }
        // Fewer queues than shards are no error.
        var more = configuration(names, kind: .xdp)
        more.queues = 3
        let set = try LinkSet.open(more)
        #expect(set.queueCount == 2)
        set.close()
    }

    @Test func anAddressThatSomebodyAnswersForIsRefused() throws {
        let names = TestNames(27)
        ip("netns add \(names.host)")
        defer { ip("netns delete \(names.host)") }
        ip("link add \(names.host) netns \(names.host) type veth peer name \(names.stack)")
        ip("-n \(names.host) address add \(names.stackAddress)/24 dev \(names.host)")
        ip("-n \(names.host) link set \(names.host) up")
        ip("link set \(names.stack) up")
        for kind in [LinkKind.xdp, .packet] {
            let error = #expect(throws: LinkError.self) { _ = try LinkSet.open(configuration(names, kind: kind)) }
            #expect(error?.description.contains("the machine with the hardware address") == true)
        }
        ip("-n \(names.host) address delete \(names.stackAddress)/24 dev \(names.host)")
        let set = try LinkSet.open(configuration(names, kind: .xdp))
        set.close()
    }

    @Test func aBusyQueueIsSaidAfterABoundedWait() throws {
        let names = TestNames(25)
        let pair = try VethPair(
            host: names.host, stack: names.stack, hostAddress: names.hostAddress, prefixLength: 24, queues: 1)
        defer { pair.remove() }
        let pools = [FramePool(count: 64), FramePool(count: 64)]
        defer { for pool in pools { pool.deallocate() } }
        let program = try XDPProgram(Interface(named: names.stack), address: names.stackAddress, mode: .auto)
        let link = try XDPLink(program: program, queue: 0, pool: pools[0], mode: .auto)
        #expect(throws: LinkError.queueBusy(interface: names.stack, queue: 0)) {
            _ = try XDPLink(program: program, queue: 0, pool: pools[1], mode: .auto)
        }
        #expect(pools[1].freeCount == 64)
        link.close()
        program.detach()
    }
}

/// A recording link in front of a driver that loops frames back.
struct PcapLinkTests {
    private final class Loop: Link {
        var hasReceived: Bool { true }
        let pool = FramePool(count: 16)
        let hardwareAddress = MACAddress(bits: 1)
        let mtu = 1500
        let descriptor: Int32 = -1
        let statistics = LinkStatistics()
        let driver = "loop"
        private var waiting: [FrameDescriptor] = []

        func receive(into queue: FrameQueue, limit: Int) -> Int {
            let count = min(waiting.count, limit, queue.room)
            for frame in waiting.prefix(count) { _ = queue.push(frame) }
            waiting.removeFirst(count)
            return count
        }

        /// Takes one frame a call, to see that what waits is not recorded twice.
        func transmit(from queue: FrameQueue) -> Int {
            guard let frame = queue.pop() else { return 0 }
            waiting.append(frame)
            return 1
        }
        func reclaim() {}
        func close() {}
    }

    @Test func bothDirectionsAreRecordedOnceAndBounded() throws {
        let path = NSTemporaryDirectory() + "apus-\(getpid()).pcap"
        defer { unlink(path) }
        let clock = ManualClock(unixStart: 1_700_000_000_123)
        // Header, five records of 16 + 60 bytes, and no room for a sixth.
        let link = try PcapLink(Loop(), path: path, clock: clock, limit: 24 + 5 * 76 + 75)
        let queue = FrameQueue(capacity: 8)
        for index in 0..<3 {
            let frame = link.pool.allocate()!
            memset(link.pool.address(frame) + 128, Int32(index + 1), 60)
            #expect(queue.push(FrameDescriptor(frame: frame, offset: 128, length: 60)))
        }
        for _ in 0..<3 { #expect(link.transmit(from: queue) == 1) }
        #expect(link.receive(into: queue, limit: 8) == 3)
        link.close()
        let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
        try #require(bytes.count == 24 + 5 * 76)
        #expect(bytes[..<8] == [0x4D, 0x3C, 0xB2, 0xA1, 2, 0, 4, 0])
        let firsts = (0..<5).map { bytes[24 + $0 * 76 + 16] }
        #expect(firsts == [1, 2, 3, 1, 2])
        #expect(bytes[32..<36] == [60, 0, 0, 0])
        queue.deallocate()
    }
}
