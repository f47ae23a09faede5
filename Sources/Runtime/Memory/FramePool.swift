import CLinux
import Glibc

/// A frame's number in its pool.
public typealias FrameID = UInt32

extension FrameID {
    /// "No frame", the end of a chain.
    public static let none: FrameID = .max
}

/// What is known of a frame beside its bytes. 32 bytes, two to a cache line.
@frozen
public struct FrameInfo: BitwiseCopyable {
    /// The owner's chain (receive queue, retransmission queue, free list); `.none` at its end.
    public var next: FrameID = .none
    /// How many own this frame: a connection's queue counts one, each transmit descriptor in flight one.
    /// 0 exactly while the frame is on the free list.
    public var references: UInt16 = 0
    /// The owner's flags.
    public var flags: UInt16 = 0
    /// Payload of the owner's layer: its first byte's offset in the frame and its length.
    public var start: UInt16 = 0
    public var count: UInt16 = 0
    /// TCP: sequence number of the payload's first byte.
    public var sequence: UInt32 = 0
    /// TCP: when it was last sent.
    public var stamp: Nanoseconds = 0
    public var extra: UInt64 = 0

    @inlinable public init() {}
}

/// A region of equal frames (an AF_XDP UMEM, or plain memory for the other links) with a free list and reference
/// counts. One shard owns it; copies of this handle name the same pool. All operations are O(1).
@frozen
public struct FramePool: BitwiseCopyable {
    @usableFromInline
    struct State {
        /// Top of the stack of free frames, chained through `FrameInfo.next`.
        @usableFromInline var free: FrameID
        /// Length of that chain.
        @usableFromInline var freeCount: Int
        /// The smallest `freeCount` ever.
        @usableFromInline var lowestFree: Int
        /// Free frames that `allocate` leaves to `allocateReserved`.
        @usableFromInline var floor: Int
    }

    /// First byte of frame 0, aligned to a page. `count << shift` bytes.
    public let base: UnsafeMutableRawPointer
    public let infos: UnsafeMutablePointer<FrameInfo>
    @usableFromInline let state: UnsafeMutablePointer<State>
    /// Frames in the region.
    public let count: Int
    /// log2 of the frame size.
    public let shift: UInt64

    /// Maps `count` frames of `frameSize` bytes (a power of two). Memory is given by the kernel as it is touched.
    public init(count: Int, frameSize: Int = 2048) {
        precondition(frameSize > 0 && frameSize & (frameSize - 1) == 0, "frame size must be a power of two")
        precondition(count > 0 && count < Int(FrameID.max), "frame count out of range")
        let map = mmap(
            nil, count * frameSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        precondition(map != MAP_FAILED, "no memory for the frame pool")
        base = map!
        infos = .allocate(capacity: count)
        infos.initialize(repeating: FrameInfo(), count: count)
        for id in 0..<count { infos[id].next = id + 1 < count ? FrameID(id + 1) : .none }
        // A cache line of its own, and its neighbour: it changes with every frame, and the next pool may be another core's.
        state = UnsafeMutableRawPointer.allocate(byteCount: 128, alignment: 128).bindMemory(to: State.self, capacity: 1)
        state.initialize(to: State(free: 0, freeCount: count, lowestFree: count, floor: 0))
        self.count = count
        shift = UInt64(frameSize.trailingZeroBitCount)
    }

    /// Gives the memory back. No frame may be used afterwards.
    public func deallocate() {
        #if APUS_POISON
            apus_unpoison(base, count << Int(shift))
        #endif
        munmap(base, count << Int(shift))
        infos.deallocate()
        state.deallocate()
    }

    @inlinable @inline(__always) public var frameSize: Int { 1 << Int(shift) }
    @inlinable @inline(__always) public var freeCount: Int { state.pointee.freeCount }
    @inlinable @inline(__always) public var lowestFree: Int { state.pointee.lowestFree }

    /// Keeps the last `count` free frames from `allocate`: a link that receives must not run out of frames because others
    /// wait for something that only a received frame can bring.
    public func setReserve(_ count: Int) { state.pointee.floor = max(0, min(count, self.count)) }

    /// Takes a frame with one reference, or nil when none is free beyond the reserve. Its chain and flags are cleared; the
    /// other fields are those of its last use.
    @inlinable @inline(__always) public func allocate() -> FrameID? {
        guard state.pointee.freeCount > state.pointee.floor else { return nil }
        return take()
    }

    /// `allocate` for links, and for frames that leave at once and return soon: takes from the reserve too, but leaves
    /// `left` frames of it.
    @inlinable public func allocateReserved(leaving left: Int = 0) -> FrameID? {
        guard state.pointee.freeCount > left else { return nil }
        return take()
    }

    /// At least one frame is free.
    @inlinable @inline(__always) func take() -> FrameID {
        let id = state.pointee.free
        let info = infos + Int(id)
        state.pointee.free = info.pointee.next
        state.pointee.freeCount &-= 1
        if state.pointee.freeCount < state.pointee.lowestFree { state.pointee.lowestFree = state.pointee.freeCount }
        info.pointee.next = .none
        info.pointee.references = 1
        info.pointee.flags = 0
        #if APUS_POISON
            apus_unpoison(address(id), frameSize)
        #endif
        return id
    }

    @inlinable @inline(__always) public func retain(_ id: FrameID) { infos[Int(id)].references &+= 1 }

    /// Drops one reference; the last returns the frame to the pool.
    @inlinable @inline(__always) public func release(_ id: FrameID) {
        let info = infos + Int(id)
        // One comparison tells the usual from both the shared frame and the error.
        guard info.pointee.references == 1 else {
            precondition(info.pointee.references > 1, "frame released twice")
            info.pointee.references &-= 1
            return
        }
        info.pointee.references = 0
        info.pointee.next = state.pointee.free
        state.pointee.free = id
        state.pointee.freeCount &+= 1
        #if APUS_POISON
            apus_poison(address(id), frameSize)
        #endif
    }

    /// The frame's first byte.
    @inlinable @inline(__always) public func address(_ id: FrameID) -> UnsafeMutableRawPointer {
        base + Int(truncatingIfNeeded: UInt64(id) &<< shift)
    }
    /// The frame that `byte` lies in; it must lie in one of this pool.
    @inlinable @inline(__always) public func frame(containing byte: UnsafeMutableRawPointer) -> FrameID {
        FrameID(truncatingIfNeeded: (byte - base) &>> Int(shift))
    }
    @inlinable @inline(__always) public func info(_ id: FrameID) -> UnsafeMutablePointer<FrameInfo> { infos + Int(id) }
}

/// One frame on its way between a link and the stack.
@frozen
public struct FrameDescriptor: BitwiseCopyable {
    public var frame: FrameID
    /// First byte of the Ethernet header, counted from the frame's start.
    public var offset: UInt16
    /// Bytes of the whole Ethernet frame (no FCS). `offset + length <= frameSize`.
    public var length: UInt16

    @inlinable @inline(__always) public init(frame: FrameID, offset: Int, length: Int) {
        self.frame = frame
        self.offset = UInt16(truncatingIfNeeded: offset)
        self.length = UInt16(truncatingIfNeeded: length)
    }
}

/// A FIFO of descriptors with a fixed capacity: what a link received in a burst, or what waits for transmission.
/// Copies of this handle name the same queue. One shard owns it.
@frozen
public struct FrameQueue: BitwiseCopyable {
    @usableFromInline
    struct State {
        /// Free-running positions; `tail - head` descriptors wait, at most `capacity`.
        @usableFromInline var head: Int
        @usableFromInline var tail: Int
    }
    @usableFromInline let slots: UnsafeMutablePointer<FrameDescriptor>
    @usableFromInline let state: UnsafeMutablePointer<State>
    /// One less than the capacity, which is a power of two.
    @usableFromInline let mask: Int

    public init(capacity: Int) {
        precondition(capacity > 0 && capacity & (capacity - 1) == 0, "capacity must be a power of two")
        slots = .allocate(capacity: capacity)
        slots.initialize(repeating: FrameDescriptor(frame: .none, offset: 0, length: 0), count: capacity)
        // As with a pool's state: a queue is somebody's alone.
        state = UnsafeMutableRawPointer.allocate(byteCount: 128, alignment: 128).bindMemory(to: State.self, capacity: 1)
        state.initialize(to: State(head: 0, tail: 0))
        mask = capacity - 1
    }

    public func deallocate() {
        slots.deallocate()
        state.deallocate()
    }

    @inlinable @inline(__always) public var capacity: Int { mask &+ 1 }
    @inlinable @inline(__always) public var count: Int { state.pointee.tail &- state.pointee.head }
    @inlinable @inline(__always) public var isEmpty: Bool { state.pointee.tail == state.pointee.head }
    @inlinable @inline(__always) public var room: Int { capacity &- count }

    /// False when the queue is full: the frame stays the caller's.
    @inlinable @inline(__always) public func push(_ descriptor: FrameDescriptor) -> Bool {
        guard room > 0 else { return false }
        slots[state.pointee.tail & mask] = descriptor
        state.pointee.tail &+= 1
        return true
    }

    /// `push` for who has looked at `room`: it must be above 0.
    @inlinable @inline(__always) public func append(_ descriptor: FrameDescriptor) {
        assert(room > 0)
        slots[state.pointee.tail & mask] = descriptor
        state.pointee.tail &+= 1
    }

    @inlinable @inline(__always) public func pop() -> FrameDescriptor? {
        guard !isEmpty else { return nil }
        let descriptor = slots[state.pointee.head & mask]
        state.pointee.head &+= 1
        return descriptor
    }

    /// The descriptor `index` places behind the head; `index < count`.
    @inlinable @inline(__always) public func peek(_ index: Int = 0) -> FrameDescriptor {
        slots[(state.pointee.head &+ index) & mask]
    }

    /// Moves descriptors from the head of `source` to this queue's end, at most `limit` and as many as there is room for.
    /// Returns how many.
    @inlinable @inline(__always) public func take(from source: FrameQueue, limit: Int = .max) -> Int {
        guard source.count == 1, count <= mask, limit > 0 else {
            return takeMany(from: source, min(source.count, room, limit))
        }
        // Between a request and its reply it is one.
        slots[state.pointee.tail & mask] =
            source.slots[source.state.pointee.head & source.mask]
        source.state.pointee.head &+= 1
        state.pointee.tail &+= 1
        return 1
    }

    @usableFromInline @inline(never) func takeMany(from source: FrameQueue, _ count: Int) -> Int {
        for _ in 0..<max(0, count) {
            guard let descriptor = source.pop() else { break }
            _ = push(descriptor)
        }
        return max(0, count)
    }

    /// Drops the first `n` descriptors, which the caller has taken over.
    @inlinable @inline(__always) public func removeFirst(_ n: Int) {
        precondition(n <= count, "more taken than there was")
        state.pointee.head &+= n
    }
}
