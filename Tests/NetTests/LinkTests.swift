import CLinux
import Foundation
import Glibc
import Runtime
import Testing

@testable import Net

/// Each driver against the kernel of this machine, over interfaces that the test makes and removes.
@Suite(.serialized, .enabled(if: mayMakeInterfaces, Comment(rawValue: needsRoot)), .timeLimit(.minutes(1)))
struct LinkTests {
    private func makePair(_ names: TestNames, queues: Int = 1) throws -> VethPair {
        try VethPair(
            host: names.host, stack: names.stack, hostAddress: names.hostAddress, prefixLength: 24, queues: queues)
    }

    private func openXDP(_ names: TestNames, _ pool: FramePool) throws -> (XDPProgram, XDPLink) {
        let program = try XDPProgram(Interface(named: names.stack), address: names.stackAddress, mode: .auto)
        return (program, try XDPLink(program: program, queue: 0, pool: pool, mode: .auto))
    }

    @Test func ringsGrowWithThePool() {
        #expect([64, 512, 8_192, 16_384].map(XDPLink.ringSize(frames:)) == [32, 256, 4_096, 4_096])
        #expect([32_768, 100_000, 1 << 20].map(XDPLink.ringSize(frames:)) == [8_192, 16_384, 32_768])
    }

    /// A link for several addresses takes frames to all of them, and to no other.
    @Test(arguments: [true, false]) func severalAddresses(xdp: Bool) throws {
        let names = TestNames(xdp ? 28 : 29)
        let pair = try makePair(names)
        defer { pair.remove() }
        var configuration = LinkConfiguration(
            kind: xdp ? .xdp : .packet, interface: names.stack, address: names.stackAddress, prefixLength: 24)
        configuration.addresses = 3
        configuration.framesPerQueue = 512
        let set = try LinkSet.open(configuration)
        defer {
            set.close()
            set.deallocatePools()
        }
        func ping(_ number: UInt32) -> Bool {
            let address = IPv4Address(bits: names.stackAddress.bits + number)
            switch set.links {
            case .xdp(let links): return isAnswered(links[0], address)
            case .packet(let links): return isAnswered(links[0], address)
            case .tap: return false
            }
        }
        #expect((0..<3).allSatisfy(ping))
        #expect(!ping(3))
    }

    /// Whether one echo request to `address` comes back from a responder there.
    private func isAnswered<L: Link>(_ link: L, _ address: IPv4Address) -> Bool {
        var responder = Responder(link, address)
        defer { responder.deallocate() }
        let ping = start("ping", "-n", "-c", "1", "-W", "1", "\(address)")
        responder.serve(until: ping, seconds: 3)
        return ping.terminationStatus == 0
    }

    /// Three echo requests of `size` bytes come back.
    private func expectPing<L: Link>(_ link: L, _ names: TestNames, size: Int = 56) {
        var responder = Responder(link, names.stackAddress)
        defer { responder.deallocate() }
        let ping = start("ping", "-n", "-c", "3", "-i", "0.05", "-W", "2", "-s", "\(size)", "\(names.stackAddress)")
        responder.serve(until: ping, seconds: 8)
        #expect(ping.terminationStatus == 0)
        #expect(responder.answered >= 3)
        #expect(link.statistics.receivedFrames >= 3)
        #expect(link.statistics.transmittedFrames >= 3)
        #expect(link.statistics.receiveDrops == 0)
    }

    // MARK: XDP

    @Test(arguments: [(XDPMode.auto, "xdp copy"), (.copy, "xdp copy"), (.generic, "xdp generic")])
    func xdpAnswersPing(mode: XDPMode, driver: String) throws {
        let names = TestNames(1)
        let pair = try makePair(names)
        defer { pair.remove() }
        let pool = FramePool(count: 512)
        defer { pool.deallocate() }
        let program = try XDPProgram(
            Interface(named: names.stack), address: names.stackAddress, mode: mode)
        let link = try XDPLink(program: program, queue: 0, pool: pool, mode: mode)
        #expect(link.driver == driver)
        #expect(pool.freeCount == 256, "half the pool is lent for reception")
        expectPing(link, names)
        expectPing(link, names, size: 1472)
        link.close()
        #expect(pool.freeCount == pool.count, "every frame is back")
        program.detach()
    }

    @Test func zeroCopyIsRefusedByVethWithASentence() throws {
        let names = TestNames(2)
        let pair = try makePair(names)
        defer { pair.remove() }
        let pool = FramePool(count: 256)
        defer { pool.deallocate() }
        let program = try XDPProgram(Interface(named: names.stack), address: names.stackAddress, mode: .zeroCopy)
        let error = #expect(throws: LinkError.self) {
            _ = try XDPLink(program: program, queue: 0, pool: pool, mode: .zeroCopy)
        }
        #expect(error?.description.contains("xdp-mode zero-copy") == true)
        program.detach()
    }

    @Test func theProgramTakesOurFramesAndPassesAllOthers() throws {
        let names = TestNames(3)
        let pair = try makePair(names)
        defer { pair.remove() }
        let pool = FramePool(count: 256)
        defer { pool.deallocate() }
        let peer = try RawSocket(names.host)
        let kernel = try RawSocket(names.stack)
        let (program, link) = try openXDP(names, pool)
        let mac = link.hardwareAddress
        let other = IPv4Address(192, 0, 2, 77)
        let ours = [
            ethernet(0x0806, arp(1, target: names.stackAddress)),
            ethernet(to: mac, 0x0806, arp(2, target: names.stackAddress)),
            ethernet(to: mac, 0x0800, ipv4(to: names.stackAddress), size: 34),
            ethernet(to: mac, 0x0800, ipv4(to: names.stackAddress), size: 1514),
        ]
        let passed = [
            ethernet(0x0806, arp(1, target: other)),
            ethernet(to: mac, 0x0800, ipv4(to: other)),
            ethernet(to: mac, 0x86DD, ipv4(to: names.stackAddress)),
            ethernet(to: mac, 0x0800, [0x45, 0, 0, 0], size: 33),
            ethernet(to: mac, 0x88B5, []),
        ]
        for frame in ours + passed { peer.send(frame) }
        let queue = FrameQueue(capacity: 64)
        defer { queue.deallocate() }
        var wait = pollfd(fd: link.descriptor, events: Int16(POLLIN), revents: 0)
        while queue.count < ours.count, poll(&wait, 1, 2000) > 0 { _ = link.receive(into: queue, limit: 64) }
        try #require(queue.count == ours.count)
        for expected in ours {
            let frame = queue.pop()!
            let bytes = ByteView(pool.address(frame.frame) + Int(frame.offset), Int(frame.length))
            #expect(bytes.array == expected)
            pool.release(frame.frame)
        }
        // The kernel may add frames of its own (none of these types), never ours.
        var seen: [[UInt8]] = []
        while seen.count < passed.count, let frame = kernel.receive(within: 2000) { seen.append(frame) }
        #expect(seen == passed)
        // Without a program everything reaches the kernel: detaching works.
        link.close()
        program.detach()
        peer.send(ours[2])
        #expect(kernel.receive(within: 2000) == ours[2])
    }

    @Test func aQueueWithoutASocketPassesToTheKernel() throws {
        let names = TestNames(4)
        let pair = try makePair(names)
        defer { pair.remove() }
        let kernel = try RawSocket(names.stack)
        let peer = try RawSocket(names.host)
        let program = try XDPProgram(Interface(named: names.stack), address: names.stackAddress, mode: .auto)
        let frame = ethernet(0x0800, ipv4(to: names.stackAddress))
        peer.send(frame)
        #expect(kernel.receive(within: 2000) == frame)
        program.detach()
    }

    @Test func aBurstBeyondOneKickIsSentWhole() throws {
        let names = TestNames(5)
        let pair = try makePair(names)
        defer { pair.remove() }
        let pool = FramePool(count: 1024)
        defer { pool.deallocate() }
        let peer = try RawSocket(names.host)
        let (program, link) = try openXDP(names, pool)
        let queue = FrameQueue(capacity: 1024)
        defer { queue.deallocate() }
        for round in 0..<3 {
            var frames = 0
            while frames < 500, let frame = pool.allocate() {
                let bytes = ethernet(0x88B5, [UInt8(frames & 255), UInt8(frames >> 8), UInt8(round)])
                bytes.withUnsafeBytes { (pool.address(frame) + 128).copyMemory(from: $0.baseAddress!, byteCount: 60) }
                #expect(queue.push(FrameDescriptor(frame: frame, offset: 128, length: 60)))
                frames += 1
            }
            for _ in 0..<100 where !queue.isEmpty {
                _ = link.transmit(from: queue)
                link.reclaim()
            }
            #expect(queue.isEmpty)
            var seen = 0
            while seen < frames, let frame = peer.receive(within: 1000) {
                #expect(frame[14] == UInt8(seen & 255) && frame[15] == UInt8(seen >> 8) && frame[16] == UInt8(round))
                seen += 1
            }
            #expect(seen == frames)
            #expect(frames == 500)
            link.reclaim()
            #expect(pool.freeCount == 512, "sent frames are free again")
        }
        #expect(link.statistics.transmittedFrames == 1500)
        link.close()
        #expect(pool.freeCount == 1024)
        program.detach()
    }

    @Test func aFloodWithoutAReaderCostsFramesAndNothingElse() throws {
        let names = TestNames(6)
        let pair = try makePair(names)
        defer { pair.remove() }
        let pool = FramePool(count: 128)
        defer { pool.deallocate() }
        let peer = try RawSocket(names.host)
        let (program, link) = try openXDP(names, pool)
        let frame = ethernet(0x0800, ipv4(to: names.stackAddress))
        for _ in 0..<200 { peer.send(frame) }
        var wait = pollfd(fd: link.descriptor, events: Int16(POLLIN), revents: 0)
        #expect(poll(&wait, 1, 2000) == 1)
        let queue = FrameQueue(capacity: 256)
        defer { queue.deallocate() }
        #expect(link.receive(into: queue, limit: 256) == 64)
        link.reclaim()
        #expect(pool.freeCount == 16, "an eighth is kept for sending")
        while let frame = queue.pop() { pool.release(frame.frame) }
        link.reclaim()
        #expect(pool.freeCount == 64)
        #expect(link.statistics.receiveDrops == 136)
        peer.send(frame)
        #expect(poll(&wait, 1, 2000) == 1)
        #expect(link.receive(into: queue, limit: 1) == 1)
        pool.release(queue.pop()!.frame)
        link.close()
        #expect(pool.freeCount == 128)
        program.detach()
    }

    @Test func flowsSpreadOverTwoQueues() throws {
        let names = TestNames(7)
        var configuration = LinkConfiguration(
            kind: .auto, interface: names.host, address: names.stackAddress, prefixLength: 24, queues: 2)
        configuration.pairPeer = names.stack
        configuration.framesPerQueue = 512
        let set = try LinkSet.open(configuration)
        defer { set.close() }
        #expect(set.queueCount == 2 && set.driver == "xdp copy" && set.interface == names.stack)
        guard case .xdp(let links) = set.links else { return }
        // The neighbour is known, so the datagrams leave at once.
        let neighbour = start(
            "ip", "neigh", "replace", "\(names.stackAddress)", "lladdr", "\(set.hardwareAddress)", "dev", names.host)
        neighbour.waitUntilExit()
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = UInt16(9).bigEndian
        name.sin_addr.s_addr = names.stackAddress.bits.bigEndian
        for _ in 0..<64 {
            let sender = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
            _ = withUnsafePointer(to: &name) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { sendto(sender, "x", 1, 0, $0, 16) }
            }
            close(sender)
        }
        let queue = FrameQueue(capacity: 256)
        defer { queue.deallocate() }
        let counts = links.map { $0.receive(into: queue, limit: 128) }
        #expect(counts.reduce(0, +) == 64)
        #expect(counts.allSatisfy { $0 >= 8 }, "\(counts)")
    }

    // MARK: the other drivers

    @Test func packetAnswersPing() throws {
        let names = TestNames(8)
        let pair = try makePair(names)
        defer { pair.remove() }
        let pool = FramePool(count: 256)
        defer { pool.deallocate() }
        let link = try PacketLink(Interface(named: names.stack), address: names.stackAddress, pool: pool, slots: 64)
        expectPing(link, names)
        expectPing(link, names, size: 1472)
        #expect(pool.freeCount == pool.count)
        link.close()
    }

    @Test func packetRingsWrapAndFilter() throws {
        let names = TestNames(9)
        let pair = try makePair(names)
        defer { pair.remove() }
        let pool = FramePool(count: 256)
        defer { pool.deallocate() }
        let peer = try RawSocket(names.host)
        let link = try PacketLink(Interface(named: names.stack), address: names.stackAddress, pool: pool, slots: 64)
        let queue = FrameQueue(capacity: 64)
        defer { queue.deallocate() }
        // Nobody's address: for its own the kernel would answer on any interface.
        let other = IPv4Address(192, 0, 2, 77)
        for round in 0..<10 {
            for index in 0..<20 {
                peer.send(ethernet(0x0800, ipv4(to: other)))
                peer.send(ethernet(0x0800, ipv4(to: names.stackAddress) + [UInt8(round), UInt8(index)]))
                peer.send(ethernet(0x0806, arp(1, target: other)))
            }
            #expect(link.receive(into: queue, limit: 64) == 20)
            for index in 0..<20 {
                let bytes = pool.address(queue.peek(index).frame) + Int(queue.peek(index).offset)
                #expect(bytes.load(fromByteOffset: 34, as: UInt8.self) == UInt8(round))
                #expect(bytes.load(fromByteOffset: 35, as: UInt8.self) == UInt8(index))
            }
            #expect(link.transmit(from: queue) == 20)
            for index in 0..<20 {
                let frame = peer.receive(within: 1000)
                #expect(frame?.count == 60 && frame?[34] == UInt8(round) && frame?[35] == UInt8(index))
            }
        }
        #expect(pool.freeCount == pool.count)
        #expect(link.statistics.receiveDrops == 0)
        link.close()
    }

    @Test func tapAnswersPing() throws {
        let names = TestNames(10)
        let configuration = LinkConfiguration(
            kind: .tap, interface: names.host, address: names.stackAddress, prefixLength: 24)
        let set = try LinkSet.open(configuration)
        guard case .tap(let links) = set.links else { return }
        expectPing(links[0], names)
        expectPing(links[0], names, size: 1472)
        #expect(throws: LinkError.interfaceBusy(names.host, owner: nil)) { _ = try LinkSet.open(configuration) }
        set.close()
        #expect(links[0].pool.freeCount == links[0].pool.count)
        #expect(if_nametoindex(names.host) == 0, "the interface is gone")
        set.deallocatePools()
    }
}
