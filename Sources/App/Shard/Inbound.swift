import Net
import Runtime

/// What other shards send to this one: requests to execute, replies to deliver, frames of flows they do not know.
final class Inbound {
    private let shard: ShardState
    private let outbound: Outbound
    private let streams: Streams
    private let pump: SessionPump
    private let pool: FramePool?
    private let sink = RequestSink()
    /// Copies of frames that others lent, on their way into our stack; all with the same `handedHops`. Empty between
    /// rings.
    private let handed = FrameQueue(capacity: 64)
    private var handedHops: UInt16 = 0
    /// Messages taken from one ring in one turn: enough to use a batch, few enough that frames do not wait long.
    private static let budget = 256
    /// The memory of so many messages is asked for ahead of the one at hand, and that of their keys in groups of as many.
    private static let lookahead = 8
    /// Rings from the other shards, `peerCount` of them, and whose they are.
    private let rings: UnsafeMutablePointer<SPSCRing<ShardMessage>>
    private let peers: UnsafeMutablePointer<Int>
    private let peerCount: Int

    init(shard: ShardState, streams: Streams, pump: SessionPump, pool: FramePool?) {
        self.shard = shard
        outbound = shard.outbound
        self.streams = streams
        self.pump = pump
        self.pool = pool
        let others = (0..<shard.shardCount).filter { $0 != shard.id }
        peerCount = others.count
        rings = .allocate(capacity: max(1, peerCount))
        peers = .allocate(capacity: max(1, peerCount))
        for (index, peer) in others.enumerated() {
            (rings + index).initialize(to: shard.mesh.ring(from: peer, to: shard.id))
            (peers + index).initialize(to: peer)
        }
    }

    deinit {
        handed.deallocate()
        rings.deallocate()
        peers.deallocate()
    }

    /// A load for each other shard.
    @inline(__always) var hasMessages: Bool {
        for index in 0..<peerCount where rings[index].hasElements { return true }
        return false
    }

    /// Takes what has come, a bounded number from each ring. Whether there was any.
    @inline(__always) func drain<P: Probe>(_ probe: P) -> Bool { hasMessages && drainRings(probe) }

    @inline(never) private func drainRings<P: Probe>(_ probe: P) -> Bool {
        for index in 0..<peerCount where rings[index].hasElements { drain(rings[index], of: peers[index], probe) }
        if streams.stack?.hasReady == true { pump.serveStack(probe) }
        return true
    }

    @inline(__always) private func drain<P: Probe>(_ ring: SPSCRing<ShardMessage>, of peer: Int, _ probe: P) {
        let count = min(ring.available, Self.budget)
        // What they hold lies in the other core's cache.
        for index in 0..<min(count, Self.lookahead) { ring[index].prefetch() }
        // The first index whose key has not been asked for.
        var keysFrom = shard.database(0).outgrowsCaches ? 0 : Int.max
        for index in 0..<count {
            if index == keysFrom {
                keysFrom &+= Self.lookahead
                prefetchKeys(ring, index, min(keysFrom, count))
            }
            let message = ring[index]
            if index &+ Self.lookahead < count { ring[index &+ Self.lookahead].prefetch() }
            if index &+ 1 < count, ring[index &+ 1].isLong { ring[index &+ 1].prefetchRest() }
            if message.kind == .reply {
                outbound.credit(from: peer)
                deliver(message.block.assumingMemoryBound(to: RemoteRequest.self), from: peer, probe)
            } else {
                pump.endDelivery()
                if message.kind == .request { execute(message, probe) } else { takeOther(message, probe) }
            }
        }
        pump.endDelivery()
        probe.mark(.crossShard)
        if !handed.isEmpty {
            inputHanded()
            probe.mark(.tcp)
        }
        ring.removeFirst(count)
        ring.release()
    }

    @inline(never) private func takeOther<P: Probe>(_ message: ShardMessage, _ probe: P) {
        if message.kind == .frame { take(message, probe) } else { outbound.frameReturned(message, to: pool!) }
    }

    /// Asks for the memory of the keys of the runs among the messages `place ..< end`.
    @inline(never)
    private func prefetchKeys(_ ring: SPSCRing<ShardMessage>, _ place: Int, _ end: Int) {
        let keys = pump.ahead.keys
        var found = 0
        for index in place..<end where ring[index].kind == .request {
            let request = ring[index].block.assumingMemoryBound(to: RemoteRequest.self)
            guard request.pointee.kind == .run || request.pointee.kind == .volley, request.pointee.database == 0 else {
                continue
            }
            var record = UnsafeRawPointer(request.records)
            for _ in 0..<min(Int(request.pointee.argumentCount), CommandsAhead.mostFrames &- found) {
                (keys[found], record) = CommandRecord.key(record)
                found &+= 1
            }
        }
        if found > 1 {
            shard.database(0).prefetch(keys, stride: 1, count: found, hashes: pump.ahead.hashes)
        }
    }

    // MARK: frames

    /// Copies a lent frame for our stack, or sends it on.
    private func take<P: Probe>(_ message: ShardMessage, _ probe: P) {
        guard let pool else { return passOn(message) }
        defer {
            // One of our own that went round shards without a stack.
            if Int(message.origin) == shard.id {
                outbound.frameReturned(message, to: pool)
            } else {
                outbound.giveBack(message)
            }
        }
        let offset = 128
        let count = Int(message.count)
        guard count <= pool.frameSize - offset, let frame = pool.allocate() else {
            outbound.statistics.scarceFrameDrops &+= 1
            return
        }
        (pool.address(frame) + offset).copyMemory(from: message.block, byteCount: count)
        if handed.room == 0 || handedHops != message.hopsLeft, !handed.isEmpty { inputHanded() }
        handedHops = message.hopsLeft
        let copy = FrameDescriptor(frame: frame, offset: offset, length: count)
        handed.append(copy)
        if probe.traces { probe.note(.handed, copy, of: pool, isOurs: false) }
        outbound.statistics.receivedFrames &+= 1
    }

    /// Gives the copies to our stack; what belongs to nobody here travels on, and the last shard answers.
    private func inputHanded() {
        let stack = streams.stack!
        stack.inputStray(handed, final: handedHops == 0, now: shard.monotonic)
        if !stack.strays.isEmpty { handOver(stack.strays, pool: pool!, hops: Int(handedHops)) }
    }

    /// A shard without a queue of the device has no connections. If it was the last to be asked, the next one that has a
    /// stack answers; there is one, because the frame came in somewhere.
    private func passOn(_ message: ShardMessage) {
        var message = message
        message.hopsLeft = max(1, message.hopsLeft) - 1
        if !outbound.pass(message, to: nextShard) {
            outbound.statistics.ringFullDrops &+= 1
            outbound.giveBack(message)
        }
    }

    private var nextShard: Int { (shard.id + 1) % shard.shardCount }

    /// Sends frames of unknown flows on to the next shard, and neighbours' news to all. `hops`: shards that have not
    /// seen them.
    func handOver(_ strays: FrameQueue, pool: FramePool, hops: Int? = nil) {
        while let stray = strays.pop() {
            let bytes = UnsafeRawPointer(pool.address(stray.frame) + Int(stray.offset))
            let view = ByteView(bytes, Int(stray.length))
            if isARP(view) {
                if hops == nil { shareNeighbourNews(view, stray, pool) }
            } else {
                let hops = hops ?? shard.shardCount - 1
                if hops > 0 { outbound.lend(stray, of: pool, hopsLeft: hops - 1, to: nextShard) }
            }
            pool.release(stray.frame)
        }
    }

    /// ARP arrives on one queue, but every shard has a neighbour cache: each gets what tells something of a neighbour of
    /// ours, that is replies, questions for us (the shard that got one has answered it) and announcements.
    private func shareNeighbourNews(_ frame: ByteView, _ stray: FrameDescriptor, _ pool: FramePool) {
        func address(_ offset: Int) -> UInt32 {
            frame.base.loadUnaligned(fromByteOffset: offset, as: UInt32.self).bigEndian
        }
        let isReply = frame.base.loadUnaligned(fromByteOffset: 20, as: UInt16.self).bigEndian == 2
        let (sender, target) = (address(28), address(38))
        guard isReply || target == sender || target == streams.stack!.configuration.address.bits else { return }
        for peer in 0..<shard.shardCount where peer != shard.id {
            outbound.lend(stray, of: pool, hopsLeft: 0, to: peer)
        }
    }

    private func isARP(_ frame: ByteView) -> Bool {
        frame.count >= 42 && frame.base.loadUnaligned(fromByteOffset: 12, as: UInt16.self).bigEndian == 0x0806
    }
}

// Transparent, which only extensions' functions can be: part of the loop in `drain`, each called there once.
extension Inbound {
    @_transparent
    private func execute<P: Probe>(_ message: ShardMessage, _ probe: P) {
        let request = message.block.assumingMemoryBound(to: RemoteRequest.self)
        let origin = Int(request.pointee.origin)
        probe.mark(.crossShard)
        probe.note(.taken, request, value: origin)
        if request.pointee.kind == .run {
            shard.executeRun(request, replyOffset: Int(message.count), sink: sink, words: pump.scratch.arguments)
        } else {
            executeOther(request, replyOffset: Int(message.count))
        }
        probe.mark(.execute)
        probe.note(.executed, request, value: origin + 1)
        outbound.sendBack(request, replyOffset: message.count, to: origin)
    }

    @inline(never)
    private func executeOther(_ request: UnsafeMutablePointer<RemoteRequest>, replyOffset: Int) {
        if request.pointee.kind == .volley {
            shard.executeVolley(request, replyOffset: replyOffset, sink: sink, words: pump.scratch.arguments)
        } else {
            shard.execute(request, sink: sink)
        }
    }

    @_transparent
    private func deliver<P: Probe>(_ request: UnsafeMutablePointer<RemoteRequest>, from peer: Int, _ probe: P) {
        guard probe.traces else { return pump.deliver(request) }
        probe.note(.delivered, request, value: peer)
        // The request is freed, and so are sessions that have left.
        let isWhole = request.pointee.fanOut == nil
        let session = request.pointee.session ?? request.pointee.fanOut!.pointee.session
        let hasLeft = session.state.pointee.flags.contains(.left)
        pump.deliver(request)
        if !hasLeft, isWhole || session.state.pointee.outstanding == 0 { probe.note(.written, session, value: 0) }
    }
}
