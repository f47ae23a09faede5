import Runtime
import Testing

@testable import Net

@Suite struct MemoryWires {
    private func address(_ n: UInt64) -> MACAddress { MACAddress(bits: 0x0200_0000_0000 | n) }

    private func frame(from: UInt64, to: MACAddress, port: UInt16 = 0) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 60)
        bytes.withUnsafeMutableBytes {
            let p = $0.baseAddress!
            Ethernet.write(
                p, destinationRaw: Ethernet.raw(to), sourceRaw: Ethernet.raw(address(from)), type: EtherType.ipv4)
            p.put8(0x45, 14)
            p.put8(6, 23)
            p.putBig16(port, 34)
        }
        return bytes
    }

    private func send(_ link: MemoryLink, _ bytes: [UInt8]) {
        let queue = FrameQueue(capacity: 2)
        defer { queue.deallocate() }
        let id = link.pool.allocate()!
        bytes.withUnsafeBytes { link.pool.address(id).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        _ = queue.push(FrameDescriptor(frame: id, offset: 0, length: bytes.count))
        #expect(link.transmit(from: queue) == 1)
    }

    /// Drops and counts what arrived.
    private func count(_ link: MemoryLink) -> Int {
        let queue = FrameQueue(capacity: 1024)
        defer { queue.deallocate() }
        let n = link.receive(into: queue, limit: 1024)
        while let d = queue.pop() { link.pool.release(d.frame) }
        return n
    }

    @Test func switchesByAddress() {
        let wire = MemoryWire(entropy: Entropy(seed: 1), now: 0)
        let pool = FramePool(count: 64)
        let links = (1...3).map { wire.attach(hardwareAddress: address($0), pool: pool) }
        send(links[0], frame(from: 1, to: address(2)))
        #expect(links.map(count) == [0, 1, 0])
        send(links[0], frame(from: 1, to: .broadcast))
        #expect(links.map(count) == [0, 1, 1])
        send(links[0], frame(from: 1, to: address(9)))
        #expect(links.map(count) == [0, 1, 1])
        #expect(pool.freeCount == 64)
    }

    @Test func queuesOfADeviceShareItsFlows() {
        let wire = MemoryWire(entropy: Entropy(seed: 1), now: 0)
        let pool = FramePool(count: 1024)
        let sender = wire.attach(hardwareAddress: address(1), pool: pool)
        let queues = (0..<2).map { _ in wire.attach(hardwareAddress: address(2), pool: pool) }
        var counts = [0, 0]
        for port in 0..<200 {
            for _ in 0..<3 { send(sender, frame(from: 1, to: address(2), port: UInt16(port))) }
            let arrived = queues.map(count)
            // A flow stays on its queue.
            #expect(arrived == [3, 0] || arrived == [0, 3])
            counts = zip(counts, arrived).map(+)
        }
        #expect(counts[0] > 200 && counts[1] > 200)
        send(sender, frame(from: 1, to: .broadcast))
        #expect(queues.map(count) == [1, 0])
    }

    @Test func delayHoldsFramesBack() {
        var faults = MemoryWire.Faults()
        faults.delay = 1_000
        let wire = MemoryWire(entropy: Entropy(seed: 1), faults: faults, now: 5_000)
        let pool = FramePool(count: 64)
        let a = wire.attach(hardwareAddress: address(1), pool: pool)
        let b = wire.attach(hardwareAddress: address(2), pool: pool)
        send(a, frame(from: 1, to: address(2)))
        #expect(count(b) == 0 && wire.nextDeadline == 6_000)
        wire.advance(now: 5_999)
        #expect(count(b) == 0)
        wire.advance(now: 6_000)
        #expect(count(b) == 1 && wire.nextDeadline == nil)
    }

    @Test func faultsHappenAtTheirRates() {
        var faults = MemoryWire.Faults()
        faults.loss = 0.25
        faults.duplication = 0.5
        let wire = MemoryWire(entropy: Entropy(seed: 1), faults: faults, now: 0)
        let pool = FramePool(count: 4096)
        let a = wire.attach(hardwareAddress: address(1), pool: pool)
        let b = wire.attach(hardwareAddress: address(2), pool: pool)
        var arrived = 0
        for _ in 0..<2_000 {
            send(a, frame(from: 1, to: address(2)))
            wire.advance(now: 0)
            arrived += count(b)
        }
        // 2,000 * 0.75 * 1.5.
        #expect(abs(arrived - 2_250) < 120)
    }
}
