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
    /// nil after `close`. The wire must outlive its links, or they be closed before.
    private unowned(unsafe) var wire: MemoryWire?
    /// The wire's `isDeferred`; false after `close`.
    @usableFromInline var isDeferred = false
    /// Arrived, not yet taken by `receive`.
    @usableFromInline let arrived = FrameQueue(capacity: 1024)
    /// Handed over by `transmit` and not yet on the wire; on the wire and not yet given back by `reclaim`. Used when the
    /// wire is deferred: the transmit and completion rings of a device.
    @usableFromInline let sending = FrameQueue(capacity: 1024)
    @usableFromInline let sent = FrameQueue(capacity: 1024)
    /// Room for headers before the received frame, as devices leave it.
    private static let headroom = 64

    init(wire: MemoryWire, hardwareAddress: MACAddress, pool: FramePool, mtu: Int) {
        self.wire = wire
        self.hardwareAddress = hardwareAddress
        hardwareRaw = Ethernet.raw(hardwareAddress)
        self.pool = pool
        self.mtu = mtu
    }

    deinit {
        arrived.deallocate()
        sending.deallocate()
        sent.deallocate()
    }

    @inlinable @inline(__always) public func receive(into queue: FrameQueue, limit: Int) -> Int {
        queue.take(from: arrived, limit: limit)
    }

    public var hasReceived: Bool { !arrived.isEmpty }

    @inlinable @inline(__always) public func transmit(from queue: FrameQueue) -> Int {
        isDeferred ? sending.take(from: queue) : carry(queue)
    }

    @usableFromInline func carry(_ queue: FrameQueue) -> Int {
        guard let wire else { return drop(queue) }
        var taken = 0
        while let d = queue.pop() {
            let bytes = UnsafeRawBufferPointer(start: pool.address(d.frame) + Int(d.offset), count: Int(d.length))
            statistics.transmittedFrames += 1
            statistics.transmittedBytes += UInt64(d.length)
            wire.carry(bytes, from: self)
            pool.release(d.frame)
            taken += 1
        }
        return taken
    }

    @inlinable @inline(__always) public func reclaim() {
        while let d = sent.pop() { pool.release(d.frame) }
    }

    /// The device at work: what was posted goes on the wire, as far as there is room to say that it is done.
    func send(over wire: MemoryWire) {
        while sent.room > 0, let d = sending.pop() {
            let start = pool.address(d.frame) + Int(d.offset)
            statistics.transmittedFrames &+= 1
            statistics.transmittedBytes &+= UInt64(d.length)
            wire.carry(UnsafeRawBufferPointer(start: start, count: Int(d.length)), from: self)
            _ = sent.push(d)
        }
    }

    /// Whose frames are the link's at present, for `Stack.findViolation`.
    public var heldFrames: [FrameQueue] { [arrived, sending, sent] }

    /// A closed link takes frames and loses them.
    private func drop(_ queue: FrameQueue) -> Int {
        let count = queue.count
        while let d = queue.pop() { pool.release(d.frame) }
        return count
    }

    /// Leaves the wire; frames that arrived and were not received return to the pool, and those posted.
    public func close() {
        while let d = arrived.pop() { pool.release(d.frame) }
        while let d = sending.pop() { pool.release(d.frame) }
        reclaim()
        wire?.detach(self)
        wire = nil
        isDeferred = false
    }

    /// A frame comes off the wire.
    func accept(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count <= mtu + Ethernet.headerLength, bytes.count <= pool.frameSize - Self.headroom,
            arrived.room > 0, let frame = pool.allocateReserved()
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
