import CLinux

/// A bounded queue from one producer thread to one consumer thread, without locks (Lamport 1983; cached indices as in
/// FastForward and the kernel's AF_XDP rings). `Element` must be trivial.
///
/// The producer writes elements, then publishes a batch with one release store; the consumer sees whole batches.
/// Each side caches the other's index and re-reads it only when the cached value says full (or empty), so that a busy
/// ring moves its cache lines once a batch and not once an element. Copies of this handle name the same ring.
@frozen
public struct SPSCRing<Element>: BitwiseCopyable, @unchecked Sendable {
    // Three cache lines (128 bytes apart, for the adjacent-line prefetcher), offsets in bytes:
    //   0    published tail: written by the producer, read by the consumer
    //   128  published head: written by the consumer, read by the producer
    //   256  the producer's own: tail not yet published, cached head
    //   384  the consumer's own: head not yet published, cached tail
    @usableFromInline let control: UnsafeMutableRawPointer
    @usableFromInline let slots: UnsafeMutablePointer<Element>
    @usableFromInline let mask: UInt32

    /// - Parameters:
    ///   - capacity: elements, a power of two, at most 2^31 (positions are free-running 32-bit numbers).
    ///   - startIndex: the first position; tests begin just before the wrap.
    public init(capacity: Int, startIndex: UInt32 = 0) {
        precondition(capacity > 0 && capacity & (capacity - 1) == 0, "capacity must be a power of two")
        precondition(capacity <= 1 << 31, "capacity beyond the positions' range")
        control = .allocate(byteCount: 512, alignment: 128)
        control.initializeMemory(as: UInt8.self, repeating: 0, count: 512)
        slots = UnsafeMutableRawPointer.allocate(
            byteCount: MemoryLayout<Element>.stride * capacity, alignment: 128
        ).bindMemory(to: Element.self, capacity: capacity)
        mask = UInt32(capacity - 1)
        for index in [publishedTail, publishedHead, tail, cachedHead, head, cachedTail] { index.pointee = startIndex }
    }

    public func deallocate() {
        control.deallocate()
        slots.deallocate()
    }

    public var capacity: Int { Int(mask) + 1 }

    @inlinable var publishedTail: UnsafeMutablePointer<UInt32> { word(0) }
    @inlinable var publishedHead: UnsafeMutablePointer<UInt32> { word(128) }
    /// Next slot to write; at least `publishedTail`, at most `cachedHead + capacity`.
    @inlinable var tail: UnsafeMutablePointer<UInt32> { word(256) }
    /// A value that `publishedHead` had: never ahead of it.
    @inlinable var cachedHead: UnsafeMutablePointer<UInt32> { word(260) }
    /// Next slot to read; at least `publishedHead`, at most `cachedTail`.
    @inlinable var head: UnsafeMutablePointer<UInt32> { word(384) }
    /// A value that `publishedTail` had: never ahead of it.
    @inlinable var cachedTail: UnsafeMutablePointer<UInt32> { word(388) }

    @inlinable func word(_ offset: Int) -> UnsafeMutablePointer<UInt32> {
        (control + offset).assumingMemoryBound(to: UInt32.self)
    }

    // MARK: producer

    /// The slot to fill next, or nil when the ring is full. Filled slots become visible with `publish`.
    @inlinable @inline(__always) public func reserve() -> UnsafeMutablePointer<Element>? {
        let position = tail.pointee
        if position &- cachedHead.pointee > mask {
            cachedHead.pointee = apus_load_acquire_u32(publishedHead)
            if position &- cachedHead.pointee > mask { return nil }
        }
        return slots + Int(position & mask)
    }

    /// Accepts the slot that `reserve` gave. Not yet visible to the consumer.
    @inlinable @inline(__always) public func commit() { tail.pointee &+= 1 }

    /// False when the ring is full.
    @inlinable @inline(__always) public func push(_ element: Element) -> Bool {
        guard let slot = reserve() else { return false }
        slot.initialize(to: element)
        commit()
        return true
    }

    /// Makes everything committed visible to the consumer. Returns whether there was anything new.
    @inlinable @discardableResult public func publish() -> Bool {
        guard tail.pointee != apus_load_relaxed_u32(publishedTail) else { return false }
        apus_store_release_u32(publishedTail, tail.pointee)
        return true
    }

    /// Elements that surely fit now.
    @inlinable public func producerRoom() -> Int {
        cachedHead.pointee = apus_load_acquire_u32(publishedHead)
        return Int(mask &+ 1 &- (tail.pointee &- cachedHead.pointee))
    }

    // MARK: consumer

    /// The oldest element, left in place, or nil when the ring is empty.
    @inlinable public func front() -> UnsafeMutablePointer<Element>? {
        let position = head.pointee
        if position == cachedTail.pointee {
            cachedTail.pointee = apus_load_acquire_u32(publishedTail)
            if position == cachedTail.pointee { return nil }
        }
        return slots + Int(position & mask)
    }

    /// Elements that the consumer knows of; it looks for more when it knows of none.
    @inlinable @inline(__always) public var available: Int {
        if head.pointee == cachedTail.pointee { cachedTail.pointee = apus_load_acquire_u32(publishedTail) }
        return Int(cachedTail.pointee &- head.pointee)
    }

    /// The element `index` places behind the oldest; `index < available`.
    @inlinable @inline(__always) public subscript(_ index: Int) -> Element {
        slots[Int((head.pointee &+ UInt32(truncatingIfNeeded: index)) & mask)]
    }

    /// Drops the first `count` elements, of those `available`. Their slots go back to the producer with `release`.
    @inlinable @inline(__always) public func removeFirst(_ count: Int) {
        precondition(count <= Int(cachedTail.pointee &- head.pointee), "more removed than there was")
        head.pointee &+= UInt32(truncatingIfNeeded: count)
    }

    /// Drops the element that `front` showed. Its slot goes back to the producer with `release`.
    @inlinable public func removeFront() { head.pointee &+= 1 }

    @inlinable public func pop() -> Element? {
        guard let slot = front() else { return nil }
        let element = slot.pointee
        removeFront()
        return element
    }

    /// Gives the slots of everything removed back to the producer.
    @inlinable public func release() {
        if head.pointee != apus_load_relaxed_u32(publishedHead) { apus_store_release_u32(publishedHead, head.pointee) }
    }

    /// Whether the consumer would find something; for the decision to sleep.
    @inlinable public var hasElements: Bool { head.pointee != apus_load_acquire_u32(publishedTail) }
}
