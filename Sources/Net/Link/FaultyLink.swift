import Runtime

/// A link around a link that loses, repeats, damages and reorders frames of both directions, drawn from seeded entropy:
/// a bad network in front of any driver. (`MemoryWire` has faults of its own, with delays in virtual time.)
public final class FaultyLink<Base: Link>: Link {
    /// Probabilities for each frame of either direction, 0...1.
    public struct Faults: Sendable {
        public var loss = 0.0
        public var duplication = 0.0
        /// One random bit of the frame is flipped.
        public var corruption = 0.0
        /// The frame changes places with the one after it.
        public var reordering = 0.0
        public init() {}
    }

    public let base: Base
    /// May be changed at any time.
    public var faults: Faults
    private var entropy: Entropy
    /// Frames that have come through the faults and wait for the caller, or for the device.
    private let received: FrameQueue
    /// What `base` has just received; empty between calls.
    private let fresh: FrameQueue
    private let sending: FrameQueue
    /// Frames held back to be overtaken: at most one for each direction. Owned.
    private var heldReceived: FrameDescriptor?
    private var heldSending: FrameDescriptor?
    /// Faults done so far, for tests.
    public private(set) var lost = 0
    public private(set) var duplicated = 0
    public private(set) var corrupted = 0
    public private(set) var reordered = 0

    public init(_ base: Base, faults: Faults, entropy: Entropy) {
        self.base = base
        self.faults = faults
        self.entropy = entropy
        received = FrameQueue(capacity: 1024)
        fresh = FrameQueue(capacity: 256)
        sending = FrameQueue(capacity: 1024)
    }

    deinit {
        received.deallocate()
        fresh.deallocate()
        sending.deallocate()
    }

    public var hasReceived: Bool { base.hasReceived || !received.isEmpty || heldReceived != nil }

    public func receive(into queue: FrameQueue, limit: Int) -> Int {
        let wanted = min(limit, queue.room)
        _ = base.receive(into: fresh, limit: min(wanted, 256))
        if fresh.isEmpty, let held = heldReceived {
            // Nothing came to overtake it.
            heldReceived = nil
            _ = received.push(held)
        }
        while let frame = fresh.pop() { pass(frame, to: received, held: &heldReceived) }
        var count = 0
        while count < wanted, let frame = received.pop() {
            _ = queue.push(frame)
            count += 1
        }
        return count
    }

    public func transmit(from queue: FrameQueue) -> Int {
        var taken = 0
        // Each frame may become two, and one may be held.
        while sending.room > 2, let frame = queue.pop() {
            pass(frame, to: sending, held: &heldSending)
            taken += 1
        }
        // A held frame that nothing overtakes must leave some time.
        if queue.isEmpty, let held = heldSending, entropy.chance(0.5) {
            heldSending = nil
            _ = sending.push(held)
        }
        _ = base.transmit(from: sending)
        return taken
    }

    /// One frame through the faults.
    private func pass(_ frame: FrameDescriptor, to queue: FrameQueue, held: inout FrameDescriptor?) {
        if entropy.chance(faults.loss) {
            lost += 1
            return pool.release(frame.frame)
        }
        var frame = frame
        if entropy.chance(faults.corruption), let damaged = damagedCopy(frame) {
            corrupted += 1
            pool.release(frame.frame)
            frame = damaged
        }
        if held == nil, entropy.chance(faults.reordering) {
            reordered += 1
            held = frame
            return
        }
        push(frame, to: queue)
        if entropy.chance(faults.duplication), queue.room > 1, let copy = self.copy(frame) {
            duplicated += 1
            push(copy, to: queue)
        }
        if let overtaken = held {
            held = nil
            push(overtaken, to: queue)
        }
    }

    private func push(_ frame: FrameDescriptor, to queue: FrameQueue) {
        if !queue.push(frame) { pool.release(frame.frame) }
    }

    /// A frame of its own with the same bytes: the original may be in a retransmission queue. nil when none is free.
    private func copy(_ frame: FrameDescriptor) -> FrameDescriptor? {
        guard let fresh = pool.allocateReserved() else { return nil }
        let offset = Int(frame.offset)
        (pool.address(fresh) + offset).copyMemory(
            from: pool.address(frame.frame) + offset, byteCount: Int(frame.length))
        return FrameDescriptor(frame: fresh, offset: offset, length: Int(frame.length))
    }

    private func damagedCopy(_ frame: FrameDescriptor) -> FrameDescriptor? {
        guard frame.length > 0, let copy = copy(frame) else { return nil }
        let byte = pool.address(copy.frame) + Int(copy.offset) + entropy.next(below: Int(copy.length))
        byte.storeBytes(of: byte.load(as: UInt8.self) ^ 1 << UInt8(entropy.next(below: 8)), as: UInt8.self)
        return copy
    }

    public func close() {
        for held in [heldReceived, heldSending] { if let held { pool.release(held.frame) } }
        (heldReceived, heldSending) = (nil, nil)
        while let frame = received.pop() { pool.release(frame.frame) }
        while let frame = sending.pop() { pool.release(frame.frame) }
        base.close()
    }

    public func reclaim() {
        base.reclaim()
        if !sending.isEmpty { _ = base.transmit(from: sending) }
    }

    public var pool: FramePool { base.pool }
    public var hardwareAddress: MACAddress { base.hardwareAddress }
    public var mtu: Int { base.mtu }
    public var descriptor: Int32 { base.descriptor }
    public var statistics: LinkStatistics { base.statistics }
    public var driver: String { base.driver }
}
