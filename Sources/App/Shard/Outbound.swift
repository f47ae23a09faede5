import Runtime

/// One shard's half of the mesh: the rings it writes, with the credit that bounds its unanswered requests.
final class Outbound {
    private let mesh: Mesh
    private let id: Int
    /// Unanswered requests at each shard; at most `Mesh.requestCredits`.
    private let outstanding: UnsafeMutablePointer<Int>
    /// Messages written since the last `publish`.
    private var dirty = false
    var statistics = HandoverStatistics()

    init(mesh: Mesh, id: Int) {
        self.mesh = mesh
        self.id = id
        outstanding = .allocate(capacity: mesh.shardCount)
        outstanding.initialize(repeating: 0, count: mesh.shardCount)
    }

    deinit { outstanding.deallocate() }

    func hasCredit(for shard: Int) -> Bool { outstanding[shard] < Mesh.requestCredits }

    /// Needs credit, which the reply gives back.
    func send(_ request: UnsafeMutablePointer<RemoteRequest>, to shard: Int) {
        outstanding[shard] &+= 1
        push(ShardMessage(kind: .request, block: request), to: shard)
    }

    func credit(from shard: Int) { outstanding[shard] &-= 1 }

    func sendBack(_ request: UnsafeMutablePointer<RemoteRequest>, to shard: Int) {
        push(ShardMessage(kind: .reply, block: request), to: shard)
    }

    /// Takes the block, or drops it when the other side is behind.
    func hand(_ frame: UnsafeMutableRawPointer, to shard: Int) {
        let ring = mesh.ring(from: id, to: shard)
        // Requests and replies keep their share of the ring (see `Mesh`).
        guard ring.producerRoom() > 2 * Mesh.requestCredits,
            ring.push(ShardMessage(kind: .frame, block: frame))
        else {
            statistics.ringFullDrops &+= 1
            frame.deallocate()
            return
        }
        dirty = true
    }

    private func push(_ message: ShardMessage, to shard: Int) {
        let pushed = mesh.ring(from: id, to: shard).push(message)
        precondition(pushed, "a ring had no room although credits bound its messages")
        dirty = true
    }

    /// Makes this turn's messages visible and wakes the shards that sleep.
    func publish() {
        guard dirty else { return }
        dirty = false
        for shard in 0..<mesh.shardCount where shard != id {
            if mesh.ring(from: id, to: shard).publish() { mesh.waker(of: shard).wake() }
        }
    }
}
