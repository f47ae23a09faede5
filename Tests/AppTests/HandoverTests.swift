import Net
import Runtime
import Testing

@testable import App

/// Frames that arrive on the queue of a shard that does not know their flow: the streams must not notice.
@Suite struct HandoverTests {
    private func options(shards: Int, queues: Int = 0) -> Simulation.Options {
        var options = Simulation.Options()
        options.shards = shards
        options.queues = queues
        options.commandsPerClient = 100
        options.pipeline = 4
        options.faults.delay = .microseconds(200)
        return options
    }

    private func expectGood(_ options: Simulation.Options, seed: UInt64, _ at: SourceLocation = #_sourceLocation) {
        let result = Simulation.run(seed: seed, options)
        #expect(result.failure == nil, "seed \(seed): \(result.failure ?? "")", sourceLocation: at)
        #expect(result.handedFrames > 10, "seed \(seed)", sourceLocation: at)
    }

    @Test(arguments: 1...20)
    func everyFrameOnAnyQueue(seed: UInt64) {
        var options = options(shards: 2)
        options.faults.scatter = 1
        expectGood(options, seed: seed)
    }

    @Test(arguments: 1...20)
    func flowsMoveNowAndThenOnALossyWire(seed: UInt64) {
        var options = options(shards: 2)
        options.faults.moves = 0.02
        options.faults.loss = 0.05
        options.faults.duplication = 0.05
        options.faults.reordering = 0.05
        expectGood(options, seed: seed)
    }

    /// SYNs sent again open on another shard than the first; resets and answers must not cross over.
    @Test(arguments: 1...20)
    func everyFrameOnAnyOfFourQueuesAndLoss(seed: UInt64) {
        var options = options(shards: 4)
        options.clients = 8
        options.faults.scatter = 0.7
        options.faults.loss = 0.1
        options.faults.duplication = 0.1
        expectGood(options, seed: seed)
    }

    @Test(arguments: 1...10)
    func shardsWithoutAQueueLieBetween(seed: UInt64) {
        var options = options(shards: 4, queues: 2)
        options.faults.scatter = 0.5
        options.faults.loss = 0.02
        expectGood(options, seed: seed)
    }
}

/// Lending frames: one copy, no allocation, and never more of them away than the rings have room for.
@Suite struct LendingTests {
    private let mesh = Mesh(shardCount: 2)
    private let pool = FramePool(count: 2048)

    private func lend(_ outbound: Outbound) {
        let frame = pool.allocate()!
        outbound.lend(FrameDescriptor(frame: frame, offset: 64, length: 60), of: pool, hopsLeft: 0, to: 1)
        pool.release(frame)
    }

    @Test func aLentFrameIsHeldUntilItIsBack() {
        let (first, second) = (Outbound(mesh: mesh, id: 0), Outbound(mesh: mesh, id: 1))
        lend(first)
        #expect(pool.freeCount == pool.count - 1)
        first.publish()
        let message = mesh.ring(from: 0, to: 1).pop()!
        #expect(message.kind == .frame && message.count == 60 && message.origin == 0)
        second.giveBack(message)
        second.publish()
        let back = mesh.ring(from: 1, to: 0).pop()!
        #expect(back.kind == .frameBack)
        first.frameReturned(back, to: pool)
        #expect(first.lentFrames == 0)
        #expect(pool.freeCount == pool.count)
        mesh.deallocate()
        pool.deallocate()
    }

    @Test func aShardThatIsBehindCostsFramesNotRoom() {
        let outbound = Outbound(mesh: mesh, id: 0)
        for _ in 0..<(Mesh.frameCredits + 100) { lend(outbound) }
        #expect(outbound.lentFrames == Mesh.frameCredits)
        #expect(outbound.statistics.sentFrames == UInt64(Mesh.frameCredits))
        #expect(outbound.statistics.ringFullDrops == 100)
        #expect(pool.freeCount == pool.count - Mesh.frameCredits)
        // All that must not fail still fits.
        #expect(mesh.ring(from: 0, to: 1).producerRoom() >= Mesh.reservedSlots)
        mesh.deallocate()
        pool.deallocate()
    }

    @Test func noFrameIsLentWhileFramesAreScarce() {
        let outbound = Outbound(mesh: mesh, id: 0)
        var taken: [FrameID] = []
        while pool.freeCount * 8 > pool.count { taken.append(pool.allocate()!) }
        lend(outbound)
        #expect(outbound.lentFrames == 0)
        #expect(outbound.statistics.scarceFrameDrops == 1)
        mesh.deallocate()
        pool.deallocate()
    }

    @Test func theMessageStaysSmall() { #expect(MemoryLayout<ShardMessage>.stride == 16) }
}
