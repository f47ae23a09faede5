import Runtime

/// Who answers for an IPv4 address on the link (RFC 826, RFC 1122 2.3.2). The cache holds entries and their states; it
/// sends nothing itself: `Stack+ARP.swift` does, and owns the timers' meaning.
struct NeighbourCache: ~Copyable {
    enum State: UInt8 {
        /// Asked by broadcast, no answer yet; frames may wait.
        case incomplete
        /// Confirmed within `reachableTime`.
        case reachable
        /// Not confirmed lately; good until used, then probed.
        case stale
        /// In use while its owner is asked directly. Other claims are not believed meanwhile.
        case probing
    }

    struct Entry {
        /// Scheduled in every state: retry, or ageing. `context` is the entry's address with bit 0 set. The first field:
        /// a node's address is its entry's.
        var timer: TimerNode
        /// Next in the bucket.
        var next: UnsafeMutablePointer<Entry>?
        var address: IPv4Address
        /// As `Ethernet.raw`; 0 exactly while incomplete.
        var hardwareRaw: UInt64
        var state: State
        /// Requests sent in the present state.
        var attempts: UInt8
        /// Frames that wait for the address, oldest first; at most `maxPending`. One reference each.
        var pendingCount: UInt8
        var pending: (FrameDescriptor, FrameDescriptor, FrameDescriptor, FrameDescriptor)
    }

    static let maxEntries = 512
    static let maxPending = 4
    static let reachableTime: Nanoseconds = .seconds(30)
    static let staleTime: Nanoseconds = .seconds(300)
    static let retryTime: Nanoseconds = .seconds(1)
    static let maxAttempts: UInt8 = 3
    private static let buckets = 256

    private let table: UnsafeMutablePointer<UnsafeMutablePointer<Entry>?>
    private let slab: Slab<Entry>
    private let secret: UInt64
    /// Changes whenever a resolved address may have become wrong; connections compare it with their own copy.
    private(set) var generation: UInt32 = 1
    private(set) var count = 0
    /// Where the search for an entry to give up begins.
    private var hand = 0

    init(entropy: inout Entropy) {
        table = .allocate(capacity: Self.buckets)
        table.initialize(repeating: nil, count: Self.buckets)
        slab = Slab(objectsPerChunk: 32)
        secret = entropy.next() | 1
    }

    deinit {
        table.deallocate()
        slab.deallocate()
    }

    private func bucket(_ address: IPv4Address) -> Int {
        Int(truncatingIfNeeded: (UInt64(address.bits) &+ 1) &* secret >> 48) & (Self.buckets - 1)
    }

    /// O(1) expected.
    func find(_ address: IPv4Address) -> UnsafeMutablePointer<Entry>? {
        var entry = table[bucket(address)]
        while let current = entry {
            if current.pointee.address == address { return current }
            entry = current.pointee.next
        }
        return nil
    }

    /// A new incomplete entry; nil when the cache is full. `address` must not be present.
    mutating func insert(_ address: IPv4Address) -> UnsafeMutablePointer<Entry>? {
        guard count < Self.maxEntries else { return nil }
        let entry = slab.allocate()
        let none = FrameDescriptor(frame: .none, offset: 0, length: 0)
        let index = bucket(address)
        entry.initialize(
            to: Entry(
                timer: TimerNode(context: UInt64(UInt(bitPattern: entry)) | 1), next: table[index], address: address,
                hardwareRaw: 0, state: .incomplete, attempts: 0, pendingCount: 0, pending: (none, none, none, none)))
        table[index] = entry
        count += 1
        return entry
    }

    /// The timer must be cancelled and nothing may wait.
    mutating func remove(_ entry: UnsafeMutablePointer<Entry>) {
        precondition(!entry.pointee.timer.isScheduled && entry.pointee.pendingCount == 0)
        let index = bucket(entry.pointee.address)
        if table[index] == entry {
            table[index] = entry.pointee.next
        } else {
            var previous = table[index]
            while let current = previous, current.pointee.next != entry { previous = current.pointee.next }
            previous?.pointee.next = entry.pointee.next
        }
        slab.free(entry)
        count -= 1
        invalidate()
    }

    /// Makes every connection look its next hop up again.
    mutating func invalidate() { generation &+= 1 }

    /// A stale entry that may give way to a new one, searched round-robin. O(entries), only when full.
    mutating func victim() -> UnsafeMutablePointer<Entry>? {
        for step in 0..<Self.buckets {
            let index = (hand + step) & (Self.buckets - 1)
            var entry = table[index]
            while let current = entry {
                if current.pointee.state == .stale {
                    hand = index + 1
                    return current
                }
                entry = current.pointee.next
            }
        }
        return nil
    }

    /// Every entry, for checkers.
    func forEach(_ body: (UnsafeMutablePointer<Entry>) -> Void) {
        for index in 0..<Self.buckets {
            var entry = table[index]
            while let current = entry {
                entry = current.pointee.next
                body(current)
            }
        }
    }

    /// Any entry, for shutdown.
    func first() -> UnsafeMutablePointer<Entry>? {
        for index in 0..<Self.buckets {
            if let entry = table[index] { return entry }
        }
        return nil
    }
}

extension UnsafeMutablePointer where Pointee == NeighbourCache.Entry {
    var timerNode: UnsafeMutablePointer<TimerNode> {
        UnsafeMutableRawPointer(self).assumingMemoryBound(to: TimerNode.self)
    }

    /// Adds a waiting frame; returns the oldest one when it had to give way.
    func pushPending(_ descriptor: FrameDescriptor) -> FrameDescriptor? {
        var dropped: FrameDescriptor?
        if Int(pointee.pendingCount) == NeighbourCache.maxPending { dropped = popPending() }
        switch pointee.pendingCount {
        case 0: pointee.pending.0 = descriptor
        case 1: pointee.pending.1 = descriptor
        case 2: pointee.pending.2 = descriptor
        default: pointee.pending.3 = descriptor
        }
        pointee.pendingCount += 1
        return dropped
    }

    func popPending() -> FrameDescriptor? {
        guard pointee.pendingCount > 0 else { return nil }
        let first = pointee.pending.0
        pointee.pending = (pointee.pending.1, pointee.pending.2, pointee.pending.3, first)
        pointee.pendingCount -= 1
        return first
    }
}
