import Glibc
import Runtime

/// From a connection's remote address and ports to its control block: open addressing with linear probing, a power of two
/// of slots, at most three quarters of them used. The stack has one address, so that 64 bits name a connection. A slot
/// is eight bytes, a block's address beside 16 bits of its key's hash, so that a probe that goes past other connections
/// does not touch their blocks. A secret multiplier keeps a peer from choosing ports that collide.
///
/// Growing (and shrinking) does not stop the shard: new slots are mapped, and each later insert, removal and millisecond
/// moves a few connections. Until all have moved, some are found in the old slots only. Find, insert and remove are
/// O(1) expected; the longest step is one run of neighbouring slots.
struct ConnectionTable: ~Copyable {
    /// Never less; one page.
    static let minimumCapacity = 512
    /// Slots that an insert or a removal moves while there are old ones. All have moved before the new ones are full:
    /// C old slots take C/4 operations, and from 3C/4 to 3/4 of 2C are 3C/4.
    private static let movedPerOperation = 4

    /// New connections are here.
    private var present: SlotArray
    /// What is left of the slots before; `left` is 0, and nothing is mapped, when there are none.
    private var former = SlotArray()
    /// Where moving goes on in `former`: the slot before it is free, so that whatever was not moved is still reached from
    /// its home.
    private var next = 0
    /// Slots of `former` not yet looked at.
    private var left = 0
    /// Connections in both.
    private(set) var count = 0
    private let secret0: UInt64
    /// Odd.
    private let secret1: UInt64

    init(entropy: inout Entropy) {
        present = SlotArray(capacity: Self.minimumCapacity)
        secret0 = entropy.next()
        secret1 = entropy.next() | 1
    }

    deinit {
        present.unmap()
        former.unmap()
    }

    /// The name of a connection: all three in memory order. Source and destination port are four adjacent bytes of a
    /// received segment.
    @inline(__always) static func key(remoteRaw: UInt32, portsRaw: UInt32) -> UInt64 {
        UInt64(remoteRaw) << 32 | UInt64(portsRaw)
    }

    /// Its upper bits choose the slot, its lower 16 are the tag; the tag is never 0, so that a free slot has none.
    @inline(__always) private func hash(_ key: UInt64) -> UInt64 {
        let product = (key ^ secret0).multipliedFullWidth(by: secret1)
        return (product.high ^ product.low) | 1
    }

    /// A free slot has the tag of no hash.
    @inline(__always) private static func hasTag(_ word: UInt64, of hash: UInt64) -> Bool {
        UInt16(truncatingIfNeeded: word) == UInt16(truncatingIfNeeded: hash)
    }

    /// A closed block for a connection that is not there, and for one that has not moved yet: for the short way of a segment, since
    /// both take the long way.
    @inline(__always) func findPresent(_ key: UInt64) -> Block {
        let hash = hash(key)
        var index = present.home(hash)
        // Nearly always it is in its home: that look is by itself, without what a loop keeps in registers.
        var word = present.slots[index]
        if Self.hasTag(word, of: hash), SlotArray.block(word).pointee.key == key { return SlotArray.block(word) }
        while word != 0 {
            index = (index &+ 1) & present.mask
            word = present.slots[index]
            if Self.hasTag(word, of: hash), SlotArray.block(word).pointee.key == key { return SlotArray.block(word) }
        }
        return present.nobody
    }

    func find(_ key: UInt64) -> Block? {
        let hash = hash(key)
        return present.find(key, hash) ?? (left > 0 ? former.find(key, hash) : nil)
    }

    /// `key` must not be present.
    mutating func insert(_ key: UInt64, _ block: Block) {
        if left > 0 { move(slots: Self.movedPerOperation) }
        if (count &+ 1) &* 4 > present.capacity &* 3 { resize(to: present.capacity &* 2) }
        present.place(hash(key), block)
        count &+= 1
    }

    /// Does nothing when `key` is absent.
    mutating func remove(_ key: UInt64) {
        if left > 0 { move(slots: Self.movedPerOperation) }
        if let index = present.index(key, hash(key)) {
            removeSlot(present, index)
        } else if left > 0, let index = former.index(key, hash(key)) {
            removeSlot(former, index)
        } else {
            return
        }
        count &-= 1
        if isSparse { resize(to: present.capacity / 2) }
    }

    /// Closes the gap: a later slot of the run moves into it unless its home lies cyclically behind the gap.
    private func removeSlot(_ array: SlotArray, _ index: Int) {
        var hole = index
        var index = index
        while true {
            index = (index &+ 1) & array.mask
            let word = array.slots[index]
            guard word != 0 else { break }
            let distance = (index &- array.home(hash(SlotArray.block(word).pointee.key))) & array.mask
            if distance >= (index &- hole) & array.mask {
                array.slots[hole] = word
                hole = index
            }
        }
        array.slots[hole] = 0
    }

    // MARK: growing and shrinking

    /// Whether connections have yet to move.
    var isMoving: Bool { left > 0 }

    /// From an eighth to a quarter; a quarter more may come while connections move.
    private var isSparse: Bool {
        count &* 8 < present.capacity && present.capacity > Self.minimumCapacity && left == 0
    }

    /// Now and then: growing and shrinking come to their end although nobody opens or closes connections.
    mutating func tend(slots: Int) {
        if left > 0 {
            move(slots: slots)
        } else if isSparse {
            resize(to: present.capacity / 2)
        }
    }

    @inline(never) private mutating func resize(to capacity: Int) {
        // Not in a life of inserts and removals; see `movedPerOperation`.
        if left > 0 { move(slots: .max) }
        former = present
        present = SlotArray(capacity: capacity)
        left = former.capacity
        next = 0
        // Behind a free slot, of which there is a quarter.
        while former.slots[(next &- 1) & former.mask] != 0 { next &+= 1 }
    }

    /// Moves the connections of the next `slots` old slots, and of those behind them up to a free one.
    mutating func move(slots: Int) {
        var budget = slots
        while left > 0 {
            let word = former.slots[next]
            next = (next &+ 1) & former.mask
            left &-= 1
            budget &-= 1
            guard word == 0 else {
                former.slots[(next &- 1) & former.mask] = 0
                let block = SlotArray.block(word)
                present.place(hash(block.pointee.key), block)
                continue
            }
            if budget <= 0 { break }
        }
        if left == 0 {
            former.unmap()
            former = SlotArray()
        }
    }

    /// Bytes of all slots.
    var footprint: Int { present.footprint + (left > 0 ? former.footprint : 0) }
    /// Bytes a connection when they are most: growth has just begun, old slots and new ones are there.
    static let worstBytesPerConnection = 8.0 * 3 / 0.75

    /// Every block, in no order, for shutdown and checkers. O(capacity).
    func forEach(_ body: (Block) -> Void) {
        present.forEach(body)
        if left > 0 { former.forEach(body) }
    }
}

/// The slots of a `ConnectionTable`, zeroed memory straight from the kernel: it is there at once however much it is, and
/// costs something only where it is used.
private struct SlotArray: BitwiseCopyable {
    /// A block's address in the upper 48 bits, the tag in the lower 16; 0 is free. Every used slot is reachable from its
    /// home without crossing a free one.
    private(set) var slots: UnsafeMutablePointer<UInt64>
    /// The slots are one more, a power of two.
    private(set) var mask: Int
    /// 64 less the capacity's logarithm.
    private var shift: UInt64

    /// None.
    init() {
        slots = UnsafeMutablePointer(bitPattern: 8)!
        mask = -1
        shift = 0
    }

    init(capacity: Int) {
        precondition(capacity > 1 && capacity & (capacity - 1) == 0)
        let map = mmap(nil, Self.before + capacity * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        precondition(map != MAP_FAILED, "no memory for the connection table")
        slots = (map! + Self.before).bindMemory(to: UInt64.self, capacity: capacity)
        mask = capacity - 1
        shift = UInt64(64 - capacity.trailingZeroBitCount)
    }

    func unmap() {
        if mask >= 0 { munmap(UnsafeMutableRawPointer(slots) - Self.before, Self.before + footprint) }
    }

    /// A page before the slots that is only ever read: zeros are a closed block. Its address needs no load.
    private static let before = 4096
    @inline(__always) var nobody: Block {
        (UnsafeMutableRawPointer(slots) - Self.before).assumingMemoryBound(to: ControlBlock.self)
    }

    var capacity: Int { mask &+ 1 }
    var footprint: Int { capacity &* 8 }

    @inline(__always) static func block(_ word: UInt64) -> Block {
        Block(bitPattern: UInt(truncatingIfNeeded: word &>> 16)).unsafelyUnwrapped
    }

    @inline(__always) func home(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash &>> shift) }

    @inline(__always) func find(_ key: UInt64, _ hash: UInt64) -> Block? {
        let tag = UInt16(truncatingIfNeeded: hash)
        var index = home(hash)
        while true {
            let word = slots[index]
            if UInt16(truncatingIfNeeded: word) == tag {
                let block = Self.block(word)
                if block.pointee.key == key { return block }
            } else if word == 0 {
                return nil
            }
            index = (index &+ 1) & mask
        }
    }

    func index(_ key: UInt64, _ hash: UInt64) -> Int? {
        var index = home(hash)
        while slots[index] != 0 {
            if UInt16(truncatingIfNeeded: slots[index]) == UInt16(truncatingIfNeeded: hash),
                Self.block(slots[index]).pointee.key == key
            {
                return index
            }
            index = (index &+ 1) & mask
        }
        return nil
    }

    func forEach(_ body: (Block) -> Void) {
        for index in 0..<capacity where slots[index] != 0 { body(Self.block(slots[index])) }
    }

    func place(_ hash: UInt64, _ block: Block) {
        var index = home(hash)
        while slots[index] != 0 { index = (index &+ 1) & mask }
        slots[index] = UInt64(UInt(bitPattern: block)) &<< 16 | UInt64(UInt16(truncatingIfNeeded: hash))
    }
}
