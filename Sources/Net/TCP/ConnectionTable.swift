import Runtime

/// From a connection's remote address and ports to its control block: open addressing with linear probing and backshift
/// deletion, a power-of-two capacity at most half full. The stack has one address, so that 64 bits name a connection.
/// A secret multiplier keeps a peer from choosing ports that collide. Find, insert and remove are O(1) expected; insert
/// doubles the table now and then, which moves 16 bytes a connection.
struct ConnectionTable: ~Copyable {
    struct Slot {
        var key: UInt64
        /// nil in free slots.
        var block: Block?
    }

    /// `mask + 1` slots; every used slot is reachable from its home without crossing a free one.
    private var slots: UnsafeMutablePointer<Slot>
    private var mask: Int
    private(set) var count = 0
    private let secret0: UInt64
    /// Odd.
    private let secret1: UInt64

    init(entropy: inout Entropy, capacity: Int = 256) {
        precondition(capacity & (capacity - 1) == 0)
        slots = .allocate(capacity: capacity)
        slots.initialize(repeating: Slot(key: 0, block: nil), count: capacity)
        mask = capacity - 1
        secret0 = entropy.next()
        secret1 = entropy.next() | 1
    }

    deinit { slots.deallocate() }

    /// The name of a connection: all three in memory order. Source and destination port are four adjacent bytes of a
    /// received segment.
    @inline(__always) static func key(remoteRaw: UInt32, portsRaw: UInt32) -> UInt64 {
        UInt64(remoteRaw) << 32 | UInt64(portsRaw)
    }

    @inline(__always) private func home(_ key: UInt64) -> Int {
        let product = (key ^ secret0).multipliedFullWidth(by: secret1)
        return Int(truncatingIfNeeded: product.high ^ product.low) & mask
    }

    @inline(__always) func find(_ key: UInt64) -> Block? {
        var index = home(key)
        while true {
            let slot = slots + index
            guard let block = slot.pointee.block else { return nil }
            if slot.pointee.key == key { return block }
            index = (index &+ 1) & mask
        }
    }

    /// `key` must not be present.
    mutating func insert(_ key: UInt64, _ block: Block) {
        if (count &+ 1) &* 2 > mask { grow() }
        place(key, block)
        count &+= 1
    }

    /// Does nothing when `key` is absent.
    mutating func remove(_ key: UInt64) {
        var hole = home(key)
        while true {
            guard slots[hole].block != nil else { return }
            if slots[hole].key == key { break }
            hole = (hole &+ 1) & mask
        }
        var index = hole
        while true {
            index = (index &+ 1) & mask
            guard slots[index].block != nil else { break }
            // A slot moves into the hole unless its home lies cyclically behind the hole.
            let distance = (index &- home(slots[index].key)) & mask
            if distance >= (index &- hole) & mask {
                slots[hole] = slots[index]
                hole = index
            }
        }
        slots[hole] = Slot(key: 0, block: nil)
        count &-= 1
    }

    private func place(_ key: UInt64, _ block: Block) {
        var index = home(key)
        while slots[index].block != nil { index = (index &+ 1) & mask }
        slots[index] = Slot(key: key, block: block)
    }

    @inline(never) private mutating func grow() {
        let old = slots
        let oldCount = mask &+ 1
        slots = .allocate(capacity: oldCount &* 2)
        slots.initialize(repeating: Slot(key: 0, block: nil), count: oldCount &* 2)
        mask = oldCount &* 2 &- 1
        for index in 0..<oldCount {
            if let block = old[index].block { place(old[index].key, block) }
        }
        old.deallocate()
    }

    /// Every block, in no order, for shutdown and checkers. O(capacity).
    func forEach(_ body: (Block) -> Void) {
        for index in 0...mask {
            if let block = slots[index].block { body(block) }
        }
    }
}
