import Net
import Runtime

/// What other shards send to this one: requests to execute, replies to deliver, frames of flows they do not know.
final class Inbound {
    private let shard: ShardState
    private let streams: Streams
    private let pump: SessionPump
    private let pool: FramePool?
    private let sink = RequestSink()
    private let handed = FrameQueue(capacity: 16)
    /// Messages taken from one ring in one turn: enough to use a batch, few enough that frames do not wait long.
    private let budget = 256

    init(shard: ShardState, streams: Streams, pump: SessionPump, pool: FramePool?) {
        self.shard = shard
        self.streams = streams
        self.pump = pump
        self.pool = pool
    }

    deinit { handed.deallocate() }

    /// For the decision to sleep.
    var hasMessages: Bool {
        for peer in 0..<shard.shardCount where peer != shard.id {
            if shard.mesh.ring(from: peer, to: shard.id).hasElements { return true }
        }
        return false
    }

    func drain() -> Bool {
        var work = false
        for peer in 0..<shard.shardCount where peer != shard.id {
            let ring = shard.mesh.ring(from: peer, to: shard.id)
            var left = budget
            while left > 0, let message = ring.pop() {
                left &-= 1
                switch message.kind {
                case .request: execute(message.block.assumingMemoryBound(to: RemoteRequest.self))
                case .reply:
                    shard.outbound.credit(from: peer)
                    pump.deliver(message.block.assumingMemoryBound(to: RemoteRequest.self))
                case .frame: input(message.block, from: peer)
                }
            }
            if left != budget {
                ring.release()
                work = true
            }
        }
        return work
    }

    private func execute(_ request: UnsafeMutablePointer<RemoteRequest>) {
        shard.execute(request, sink: sink)
        shard.outbound.sendBack(request, to: Int(request.pointee.origin))
    }

    // MARK: frames

    /// Gives a handed frame to our stack; if it belongs to nobody here, it travels on, and the last shard answers.
    private func input(_ block: UnsafeMutableRawPointer, from peer: Int) {
        defer { block.deallocate() }
        let header = block.load(as: HandedFrame.self)
        let count = Int(header.count)
        // A shard without a queue of the device has no connections: the frame goes on. If this was the last shard, the
        // next one that has a stack answers; there is one, because the frame came in somewhere.
        guard let stack = streams.stack, let pool else {
            return passOn(ByteView(block + HandedFrame.headerSize, count), hops: max(1, Int(header.hopsLeft)))
        }
        guard let frame = pool.allocate() else { return }
        let offset = 128
        guard count <= pool.frameSize - offset else { return pool.release(frame) }
        (pool.address(frame) + offset).copyMemory(from: block + HandedFrame.headerSize, byteCount: count)
        _ = handed.push(FrameDescriptor(frame: frame, offset: offset, length: count))
        stack.inputStray(handed, final: header.hopsLeft == 0, now: shard.monotonic)
        if !stack.strays.isEmpty { handOver(stack.strays, pool: pool, hops: Int(header.hopsLeft)) }
        pump.serveStack()
    }

    /// Sends frames of unknown flows on to the next shard, and neighbours' news to all. `hops`: shards that have not
    /// seen them.
    func handOver(_ strays: FrameQueue, pool: FramePool, hops: Int? = nil) {
        while let stray = strays.pop() {
            let bytes = UnsafeRawPointer(pool.address(stray.frame) + Int(stray.offset))
            let view = ByteView(bytes, Int(stray.length))
            if isARP(view) {
                if hops == nil { shareNeighbourNews(view) }
            } else {
                passOn(view, hops: hops ?? shard.shardCount - 1)
            }
            pool.release(stray.frame)
        }
    }

    private func passOn(_ frame: ByteView, hops: Int) {
        guard hops > 0 else { return }
        let next = (shard.id + 1) % shard.shardCount
        shard.outbound.hand(HandedFrame.make(copying: frame, hops: hops - 1), to: next)
    }

    /// ARP arrives on one queue, but every shard has a neighbour cache: each gets a copy of what tells something of a
    /// neighbour of ours, that is replies, questions for us (the shard that got one has answered it) and announcements.
    private func shareNeighbourNews(_ frame: ByteView) {
        func address(_ offset: Int) -> UInt32 {
            frame.base.loadUnaligned(fromByteOffset: offset, as: UInt32.self).bigEndian
        }
        let isReply = frame.base.loadUnaligned(fromByteOffset: 20, as: UInt16.self).bigEndian == 2
        let (sender, target) = (address(28), address(38))
        guard isReply || target == sender || target == streams.stack!.configuration.address.bits else { return }
        for peer in 0..<shard.shardCount where peer != shard.id {
            shard.outbound.hand(HandedFrame.make(copying: frame, hops: 0), to: peer)
        }
    }

    private func isARP(_ frame: ByteView) -> Bool {
        frame.count >= 42 && frame.base.loadUnaligned(fromByteOffset: 12, as: UInt16.self).bigEndian == 0x0806
    }
}
