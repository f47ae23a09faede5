import Runtime

/// One end of a `MemoryWire`. Frames are copied from the sender's pool into this link's.
public final class MemoryLink: Link {
    public let pool: FramePool
    public let hardwareAddress: MACAddress
    public let mtu: Int
    public let descriptor: Int32 = -1
    public internal(set) var statistics = LinkStatistics()
    public let driver = "memory"
    let hardwareRaw: UInt64
    /// Of the links with this hardware address, the one attached first: it gets what has no flow.
    private(set) lazy var isFirstQueue = wire?.isFirst(self) ?? true
    private weak var wire: MemoryWire?
    /// Arrived, not yet taken by `receive`.
    private let arrived = FrameQueue(capacity: 1024)
    /// Room for headers before the received frame, as devices leave it.
    private static let headroom = 64

    init(wire: MemoryWire, hardwareAddress: MACAddress, pool: FramePool, mtu: Int) {
        self.wire = wire
        self.hardwareAddress = hardwareAddress
        hardwareRaw = Ethernet.raw(hardwareAddress)
        self.pool = pool
        self.mtu = mtu
    }

    deinit { arrived.deallocate() }

    public func receive(into queue: FrameQueue, limit: Int) -> Int {
        var taken = 0
        while taken < limit, queue.room > 0, let d = arrived.pop() {
            _ = queue.push(d)
            taken += 1
        }
        return taken
    }

    public func transmit(from queue: FrameQueue) -> Int {
        var taken = 0
        while let d = queue.pop() {
            let bytes = UnsafeRawBufferPointer(start: pool.address(d.frame) + Int(d.offset), count: Int(d.length))
            statistics.transmittedFrames += 1
            statistics.transmittedBytes += UInt64(d.length)
            wire?.carry(bytes, from: self)
            pool.release(d.frame)
            taken += 1
        }
        return taken
    }

    public func reclaim() {}

    /// Leaves the wire; frames that arrived and were not received return to the pool.
    public func close() {
        while let d = arrived.pop() { pool.release(d.frame) }
        wire?.detach(self)
        wire = nil
    }

    /// A frame comes off the wire.
    func accept(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count <= mtu + Ethernet.headerLength, bytes.count <= pool.frameSize - Self.headroom,
            arrived.room > 0, let frame = pool.allocate()
        else {
            statistics.receiveDrops += 1
            return
        }
        (pool.address(frame) + Self.headroom).copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
        _ = arrived.push(FrameDescriptor(frame: frame, offset: Self.headroom, length: bytes.count))
        statistics.receivedFrames += 1
        statistics.receivedBytes += UInt64(bytes.count)
    }
}
