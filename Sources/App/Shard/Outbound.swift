import Net
import Runtime

/// One shard's half of the mesh: the rings it writes, with the credits that bound its unanswered requests and the frames
/// it has lent.
/// A handle: copies name the same rings. One shard owns it.
struct Outbound: BitwiseCopyable {
    /// Plain memory: everything here is on the way of a message.
    private let state: UnsafeMutablePointer<State>
    /// By shard; the own place is not used.
    private let peers: UnsafeMutablePointer<Peer>
    /// Shards for which something was written since the last `publish`: the first `changedCount`, each once
    /// (`Peer.isChanged`).
    private let changed: UnsafeMutablePointer<UInt16>
    private let id: Int

    private struct State {
        var changedCount = 0
        /// Frames of our pool that other shards read; at most `Mesh.frameCredits`.
        var lentFrames = 0
        var statistics = HandoverStatistics()
        /// Shards that slept and were woken, by a system call each.
        var wakesSent: UInt64 = 0
    }

    /// What this shard has to do with one other.
    private struct Peer {
        let ring: SPSCRing<ShardMessage>
        let waker: Waker
        /// Unanswered requests; at most `Mesh.requestCredits`.
        var outstanding = 0
        /// In the list of those with something new.
        var isChanged = false
        /// Something of it is worth a wake-up.
        var isWanted = false
        /// Requests and replies that are not published yet; below `batch`.
        var unpublished = 0
    }

    /// So many requests and replies are published while the turn goes on: the other shard begins with them meanwhile.
    private static let batch = 4

    init(mesh: Mesh, id: Int) {
        self.id = id
        state = .allocate(capacity: 1)
        state.initialize(to: State())
        peers = .allocate(capacity: mesh.shardCount)
        for peer in 0..<mesh.shardCount {
            (peers + peer).initialize(to: Peer(ring: mesh.ring(from: id, to: peer), waker: mesh.waker(of: peer)))
        }
        changed = .allocate(capacity: mesh.shardCount)
        changed.initialize(repeating: 0, count: mesh.shardCount)
    }

    func deallocate() {
        state.deallocate()
        peers.deallocate()
        changed.deallocate()
    }

    var lentFrames: Int { state.pointee.lentFrames }
    var wakesSent: UInt64 { state.pointee.wakesSent }
    var statistics: HandoverStatistics {
        get { state.pointee.statistics }
        nonmutating set { state.pointee.statistics = newValue }
    }

    // MARK: requests

    @inline(__always) func hasCredit(for shard: Int) -> Bool { peers[shard].outstanding < Mesh.requestCredits }

    /// Needs credit, which the reply gives back.
    @inline(__always) func send(_ request: UnsafeMutablePointer<RemoteRequest>, to shard: Int) {
        send(request, replyOffset: request.pointee.replyOffset, to: shard)
    }

    /// For who has just written `replyOffset` there: to read it back would wait for the line.
    @inline(__always)
    func send(_ request: UnsafeMutablePointer<RemoteRequest>, replyOffset: UInt16, to shard: Int) {
        request.pointee.isUnderWay = true
        peers[shard].outstanding &+= 1
        push(ShardMessage(kind: .request, request: request, replyOffset: replyOffset), to: shard)
    }

    @inline(__always) func credit(from shard: Int) { peers[shard].outstanding &-= 1 }

    @inline(__always)
    func sendBack(_ request: UnsafeMutablePointer<RemoteRequest>, replyOffset: UInt16, to shard: Int) {
        push(ShardMessage(kind: .reply, request: request, replyOffset: replyOffset), to: shard)
    }

    // MARK: frames

    /// Lends `stray` of our `pool` to another shard, with a reference of its own until `.frameBack`; or drops it when the
    /// other side is behind, or frames are scarce here: then the device needs them more.
    func lend(_ stray: FrameDescriptor, of pool: FramePool, hopsLeft: Int, to shard: Int) {
        guard pool.freeCount &* 8 >= pool.count else {
            state.pointee.statistics.scarceFrameDrops &+= 1
            return
        }
        let message = ShardMessage(
            frame: pool.address(stray.frame) + Int(stray.offset), count: Int(stray.length), origin: id,
            hopsLeft: hopsLeft)
        guard lentFrames < Mesh.frameCredits, pass(message, to: shard) else {
            state.pointee.statistics.ringFullDrops &+= 1
            return
        }
        state.pointee.lentFrames &+= 1
        pool.retain(stray.frame)
    }

    /// A frame that somebody lent goes to another shard. False when that one is behind.
    func pass(_ message: ShardMessage, to shard: Int) -> Bool {
        let ring = peers[shard].ring
        // What must not fail keeps its share of the ring (see `Mesh`).
        guard ring.producerRoom() > Mesh.reservedSlots, ring.push(message) else { return false }
        state.pointee.statistics.sentFrames &+= 1
        note(shard)
        peers[shard].isWanted = true
        return true
    }

    /// Gives a lent frame back. Its origin is not woken for it: it minds only once it has something to do.
    func giveBack(_ message: ShardMessage) {
        let shard = Int(message.origin)
        let pushed = peers[shard].ring.push(ShardMessage(kind: .frameBack, block: message.block))
        precondition(pushed, "a ring had no room although credits bound its messages")
        note(shard)
    }

    /// A frame that we lent is back.
    func frameReturned(_ message: ShardMessage, to pool: FramePool) {
        state.pointee.lentFrames &-= 1
        pool.release(pool.frame(containing: message.block))
    }

    // MARK: rings

    @inline(__always) private func push(_ message: ShardMessage, to shard: Int) {
        let pushed = peers[shard].ring.push(message)
        precondition(pushed, "a ring had no room although credits bound its messages")
        note(shard)
        peers[shard].isWanted = true
        peers[shard].unpublished &+= 1
        if peers[shard].unpublished == Self.batch { publishSome(shard) }
    }

    /// The shard stays among the changed ones.
    @inline(never) private func publishSome(_ shard: Int) {
        let peer = peers + shard
        peer.pointee.unpublished = 0
        peer.pointee.ring.publish()
    }

    @inline(__always) private func note(_ shard: Int) {
        guard !peers[shard].isChanged else { return }
        peers[shard].isChanged = true
        changed[state.pointee.changedCount] = UInt16(truncatingIfNeeded: shard)
        state.pointee.changedCount &+= 1
    }

    /// Makes this turn's messages visible and wakes the shards that sleep. O(shards with messages).
    @inline(__always) func publish() {
        if state.pointee.changedCount > 0 { publishChanged() }
    }

    @inline(__always) private func publishChanged() {
        for index in 0..<state.pointee.changedCount {
            let peer = peers + Int(changed[index])
            peer.pointee.ring.publish()
            peer.pointee.isChanged = false
            peer.pointee.unpublished = 0
            guard peer.pointee.isWanted else { continue }
            peer.pointee.isWanted = false
            if peer.pointee.waker.wake() { state.pointee.wakesSent &+= 1 }
        }
        state.pointee.changedCount = 0
    }
}
