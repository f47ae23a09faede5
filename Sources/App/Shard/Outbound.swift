import Net
import Runtime

/// One shard's half of the mesh: the rings it writes, with the credits that bound its unanswered requests and the frames
/// it has lent.
final class Outbound {
    private let mesh: Mesh
    private let id: Int
    /// Unanswered requests at each shard; at most `Mesh.requestCredits`.
    private let outstanding: UnsafeMutablePointer<Int>
    /// Whether something was written for a shard since the last `publish` that it should wake up for.
    private let wanted: UnsafeMutablePointer<Bool>
    /// Messages written since the last `publish`.
    private var dirty = false
    /// Frames of our pool that other shards read; at most `Mesh.frameCredits`.
    private(set) var lentFrames = 0
    var statistics = HandoverStatistics()
    /// Shards that slept and were woken, by a system call each.
    private(set) var wakesSent: UInt64 = 0

    init(mesh: Mesh, id: Int) {
        self.mesh = mesh
        self.id = id
        outstanding = .allocate(capacity: mesh.shardCount)
        outstanding.initialize(repeating: 0, count: mesh.shardCount)
        wanted = .allocate(capacity: mesh.shardCount)
        wanted.initialize(repeating: false, count: mesh.shardCount)
    }

    deinit {
        outstanding.deallocate()
        wanted.deallocate()
    }

    // MARK: requests

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

    // MARK: frames

    /// Lends `stray` of our `pool` to another shard, with a reference of its own until `.frameBack`; or drops it when the
    /// other side is behind, or frames are scarce here: then the device needs them more.
    func lend(_ stray: FrameDescriptor, of pool: FramePool, hopsLeft: Int, to shard: Int) {
        guard pool.freeCount &* 8 >= pool.count else {
            statistics.scarceFrameDrops &+= 1
            return
        }
        let message = ShardMessage(
            frame: pool.address(stray.frame) + Int(stray.offset), count: Int(stray.length), origin: id,
            hopsLeft: hopsLeft)
        guard lentFrames < Mesh.frameCredits, pass(message, to: shard) else {
            statistics.ringFullDrops &+= 1
            return
        }
        lentFrames &+= 1
        pool.retain(stray.frame)
    }

    /// A frame that somebody lent goes to another shard. False when that one is behind.
    func pass(_ message: ShardMessage, to shard: Int) -> Bool {
        let ring = mesh.ring(from: id, to: shard)
        // What must not fail keeps its share of the ring (see `Mesh`).
        guard ring.producerRoom() > Mesh.reservedSlots, ring.push(message) else { return false }
        statistics.sentFrames &+= 1
        wanted[shard] = true
        dirty = true
        return true
    }

    /// Gives a lent frame back. Its origin is not woken for it: it minds only once it has something to do.
    func giveBack(_ message: ShardMessage) {
        let shard = Int(message.origin)
        let pushed = mesh.ring(from: id, to: shard).push(ShardMessage(kind: .frameBack, block: message.block))
        precondition(pushed, "a ring had no room although credits bound its messages")
        dirty = true
    }

    /// A frame that we lent is back.
    func frameReturned(_ message: ShardMessage, to pool: FramePool) {
        lentFrames &-= 1
        pool.release(pool.frame(containing: message.block))
    }

    // MARK: rings

    private func push(_ message: ShardMessage, to shard: Int) {
        let pushed = mesh.ring(from: id, to: shard).push(message)
        precondition(pushed, "a ring had no room although credits bound its messages")
        wanted[shard] = true
        dirty = true
    }

    /// Makes this turn's messages visible and wakes the shards that sleep.
    func publish() {
        guard dirty else { return }
        dirty = false
        for shard in 0..<mesh.shardCount where shard != id {
            let isNew = mesh.ring(from: id, to: shard).publish()
            if isNew, wanted[shard] {
                wanted[shard] = false
                if mesh.waker(of: shard).wake() { wakesSent &+= 1 }
            }
        }
    }
}
