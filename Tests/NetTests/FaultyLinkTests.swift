import Runtime
import Testing

@testable import Net

/// Two stacks over a perfect wire, one of them behind a faulty link: the stream arrives whole.
@Suite struct FaultyLinkTests {
    private func faults(_ change: (inout FaultyLink<MemoryLink>.Faults) -> Void) -> FaultyLink<MemoryLink>.Faults {
        var faults = FaultyLink<MemoryLink>.Faults()
        change(&faults)
        return faults
    }

    /// Frames 0..<count, one byte each, sent through a link with these faults; what arrives at the other end.
    private func arrivals(_ count: Int, _ faults: FaultyLink<MemoryLink>.Faults) -> [[UInt8]] {
        let wire = MemoryWire(entropy: Entropy(seed: 1), now: 0)
        let (poolA, poolB) = (FramePool(count: 512), FramePool(count: 512))
        let sender = FaultyLink(
            wire.attach(hardwareAddress: MACAddress(bits: 1), pool: poolA), faults: faults, entropy: Entropy(seed: 3))
        let receiver = wire.attach(hardwareAddress: MACAddress(bits: 2), pool: poolB)
        let queue = FrameQueue(capacity: 512)
        var found: [[UInt8]] = []
        for number in 0..<count {
            let id = poolA.allocate()!
            let bytes = [UInt8](repeating: 0, count: 59) + [UInt8(number & 255)]
            poolA.address(id).copyMemory(from: bytes, byteCount: bytes.count)
            _ = queue.push(FrameDescriptor(frame: id, offset: 0, length: bytes.count))
            _ = sender.transmit(from: queue)
            sender.reclaim()
            _ = receiver.receive(into: queue, limit: 512)
            while let frame = queue.pop() {
                found.append(ByteView(poolB.address(frame.frame) + Int(frame.offset), Int(frame.length)).array)
                poolB.release(frame.frame)
            }
        }
        sender.close()
        receiver.close()
        #expect(poolA.freeCount == poolA.count)
        #expect(poolB.freeCount == poolB.count)
        for pool in [poolA, poolB] { pool.deallocate() }
        queue.deallocate()
        return found
    }

    @Test func withoutFaultsNothingChanges() {
        let frames = arrivals(100, faults { _ in })
        #expect(frames.map { $0.last! } == (0..<100).map { UInt8($0) })
    }

    @Test func loss() {
        let frames = arrivals(1_000, faults { $0.loss = 0.3 })
        #expect((600...800).contains(frames.count))
    }

    @Test func duplication() {
        let frames = arrivals(1_000, faults { $0.duplication = 0.2 })
        #expect((1_100...1_300).contains(frames.count))
    }

    @Test func corruptionFlipsOneBit() {
        let frames = arrivals(200, faults { $0.corruption = 1 })
        #expect(frames.count == 200)
        for (number, frame) in frames.enumerated() {
            let sent = [UInt8](repeating: 0, count: 59) + [UInt8(number)]
            let flipped = zip(frame, sent).reduce(0) { $0 + ($1.0 ^ $1.1).nonzeroBitCount }
            #expect(flipped == 1)
        }
    }

    @Test func reorderingLosesNothing() {
        let frames = arrivals(250, faults { $0.reordering = 0.3 }).map { $0.last! }
        let order = (0..<250).map { UInt8($0) }
        #expect(Set(frames).count >= 249, "only the last may still be held")
        let same = frames == order
        #expect(!same)
    }

    @Test(arguments: 1...10) func aStreamArrivesWhole(seed: UInt64) {
        let wire = MemoryWire(entropy: Entropy(seed: seed), now: .seconds(1))
        let (poolA, poolB) = (FramePool(count: 1024), FramePool(count: 1024))
        let bad = faults {
            $0.loss = 0.05
            $0.duplication = 0.05
            $0.corruption = 0.02
            $0.reordering = 0.1
        }
        let here = FaultyLink(
            wire.attach(hardwareAddress: MACAddress(bits: 0x0200_0000_0001), pool: poolA), faults: bad,
            entropy: Entropy(seed: seed))
        let there = wire.attach(hardwareAddress: MACAddress(bits: 0x0200_0000_0002), pool: poolB)
        let client = Stack(
            configuration: .init(hardwareAddress: here.hardwareAddress, address: IPv4Address(10, 0, 0, 1)),
            pool: poolA, entropy: Entropy(seed: seed), now: .seconds(1))
        let server = Stack(
            configuration: .init(hardwareAddress: there.hardwareAddress, address: IPv4Address(10, 0, 0, 2)),
            pool: poolB, entropy: Entropy(seed: seed + 1), now: .seconds(1))
        server.listen(port: 7)
        var now = Nanoseconds.seconds(1)
        let connection = client.connect(to: IPv4Address(10, 0, 0, 2), port: 7, now: now)!
        let sent = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        write(sent, to: connection, of: client)
        var arrived: [UInt8] = []
        let burst = FrameQueue(capacity: 256)
        for _ in 0..<200_000 where arrived.count < sent.count {
            now += .milliseconds(1)
            turn(client, here, burst, now)
            turn(server, there, burst, now)
            while let ready = server.nextEvent() {
                _ = server.takeEvents(ready)
                while server.received(ready).count > 0 {
                    let view = server.received(ready)
                    arrived += view.array
                    server.consume(ready, view.count)
                }
            }
            while let ready = client.nextEvent() { _ = client.takeEvents(ready) }
        }
        let whole = arrived == sent
        #expect(whole, "seed \(seed): \(arrived.count) of \(sent.count) bytes")
        #expect(here.lost > 0 && here.duplicated > 0 && here.reordered > 0)
    }

    private func turn<L: Link>(_ stack: Stack, _ link: L, _ burst: FrameQueue, _ now: Nanoseconds) {
        _ = link.receive(into: burst, limit: 256)
        stack.input(burst, now: now)
        stack.advanceTimers(now: now)
        stack.output(now: now)
        _ = link.transmit(from: stack.transmitQueue)
        link.reclaim()
    }

    private func write(_ bytes: [UInt8], to connection: TCPConnection, of stack: Stack) {
        var position = 0
        while position < bytes.count {
            let span = stack.outputSpan(connection)
            let count = min(span.room, bytes.count - position)
            bytes.withUnsafeBytes { span.cursor.copyMemory(from: $0.baseAddress! + position, byteCount: count) }
            stack.commit(connection, span.cursor + count)
            position += count
        }
    }
}
