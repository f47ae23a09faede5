/// A timer as the wheel links it. It is embedded in (or allocated beside) what it times and belongs to one wheel.
@frozen
public struct TimerNode {
    /// Neighbours in a circular list whose head is a slot's sentinel. nil in both exactly while unscheduled.
    @usableFromInline var next: UnsafeMutablePointer<TimerNode>?
    @usableFromInline var previous: UnsafeMutablePointer<TimerNode>?
    /// The instant asked for; the wheel fires at the first tick not before it. Meaningful while scheduled.
    public internal(set) var deadline: Nanoseconds
    /// The owner's to use: what fired (a pointer, an index). The wheel never reads it.
    public var context: UInt64

    public init(context: UInt64 = 0) {
        next = nil
        previous = nil
        deadline = 0
        self.context = context
    }

    @inlinable public var isScheduled: Bool { next != nil }
}

/// A hierarchical timing wheel (Varghese and Lauck, 1987): `levels` wheels of 64 slots, each slot of a level as long
/// as the whole level below. Insert and cancel are O(1); a timer is moved down at most `levels - 1` times before it
/// fires; advancing over empty time is O(1) through one occupancy word per level.
///
/// A timer fires at the first tick boundary that is not before its deadline: never early, at most one tick late. When more
/// than `movesPerCall` timers have to be moved down at once (a million of one second), that takes several calls, and
/// timers are late by them.
public struct TimingWheel: ~Copyable {
    @usableFromInline static let slotBits: UInt64 = 6
    @usableFromInline static let slots = 64
    @usableFromInline static let levels = 7
    /// 2^20 ns = 1.05 ms a tick; seven levels span 2^42 ticks, some 146 years.
    public static let tick: Nanoseconds = 1 << 20

    /// Timers that one call moves down at most.
    public static let movesPerCall = 256

    /// Slot sentinels, `levels * slots` of them, then those of the list of due timers and of the list of timers to be moved
    /// down. Owned; freed at deinit.
    private let heads: UnsafeMutablePointer<TimerNode>
    /// Bit s of word l is set exactly while slot s of level l is not empty.
    private let occupied: UnsafeMutablePointer<UInt64>
    /// The tick up to which slots have been emptied. Every scheduled, not yet due timer's tick is greater.
    private var elapsed: UInt64
    /// Timers scheduled, due ones included.
    public private(set) var count: Int
    /// No timer is due before this instant: it is asked every turn of a loop, and this answers without a look at slots.
    @usableFromInline var quietUntil: Nanoseconds

    public init(now: Nanoseconds) {
        let total = Self.levels * Self.slots + 2
        heads = .allocate(capacity: total)
        heads.initialize(repeating: TimerNode(), count: total)
        for index in 0..<total {
            heads[index].next = heads + index
            heads[index].previous = heads + index
        }
        occupied = .allocate(capacity: Self.levels)
        occupied.initialize(repeating: 0, count: Self.levels)
        elapsed = UInt64(now / Self.tick)
        count = 0
        quietUntil = .max
    }

    deinit {
        heads.deallocate()
        occupied.deallocate()
    }

    private var due: UnsafeMutablePointer<TimerNode> { heads + Self.levels * Self.slots }
    /// What was in the slot that time has reached last. While there is any, `elapsed` is where that slot begins, and time
    /// does not go on.
    private var moving: UnsafeMutablePointer<TimerNode> { heads + (Self.levels * Self.slots + 1) }

    /// Schedules `node` to fire at `deadline`, moving it if it is scheduled already. O(1).
    public mutating func schedule(_ node: UnsafeMutablePointer<TimerNode>, at deadline: Nanoseconds) {
        if node.pointee.isScheduled { cancel(node) }
        node.pointee.deadline = deadline
        count &+= 1
        place(node)
    }

    /// Takes `node` out of the wheel; does nothing when it is not scheduled. O(1).
    public mutating func cancel(_ node: UnsafeMutablePointer<TimerNode>) {
        guard let next = node.pointee.next, let previous = node.pointee.previous else { return }
        previous.pointee.next = next
        next.pointee.previous = previous
        node.pointee.next = nil
        node.pointee.previous = nil
        count &-= 1
        // The list is empty exactly when both neighbours were the sentinel.
        if next == previous, next.pointee.next == next { clearOccupancy(of: next) }
    }

    /// Nothing is due, for certain; most turns of a loop need not ask more.
    @inlinable @inline(__always) public func isQuiet(now: Nanoseconds) -> Bool { now < quietUntil }

    /// The next timer whose deadline is not after `now`, taken out of the wheel, or nil when none is due.
    /// A caller with a budget stops early and comes back later; order within a tick is first scheduled, first out.
    @inlinable @inline(__always)
    public mutating func popExpired(now: Nanoseconds) -> UnsafeMutablePointer<TimerNode>? {
        isQuiet(now: now) ? nil : popDue(now: now)
    }

    @usableFromInline mutating func popDue(now: Nanoseconds) -> UnsafeMutablePointer<TimerNode>? {
        let nowTick = UInt64(max(0, now) / Self.tick)
        var moves = Self.movesPerCall
        while true {
            if let first = due.pointee.next, first != due {
                cancel(first)
                return first
            }
            if let node = moving.pointee.next, node != moving {
                // Not quiet yet: whoever asks again goes on here.
                guard moves > 0 else { return nil }
                moves &-= 1
                moving.pointee.next = node.pointee.next
                node.pointee.next.unsafelyUnwrapped.pointee.previous = moving
                place(node)
                continue
            }
            guard let (level, slot, start) = nextOccupiedSlot() else {
                elapsed = max(elapsed, nowTick)
                quietUntil = .max
                return nil
            }
            guard start <= nowTick else {
                elapsed = max(elapsed, nowTick)
                quietUntil = Nanoseconds(start) &* Self.tick
                return nil
            }
            elapsed = max(elapsed, start)
            emptySlot(level: level, slot: slot)
        }
    }

    /// No timer fires before this instant; nil when nothing is scheduled. May be earlier than the first deadline
    /// (a slot of a higher level counts from its start), never later than its firing tick.
    public var nextDeadline: Nanoseconds? {
        if due.pointee.next != due || moving.pointee.next != moving { return Nanoseconds(elapsed) * Self.tick }
        guard let (_, _, start) = nextOccupiedSlot() else { return nil }
        // A slot of a higher level may have begun: nothing was moved down from it while all was quiet.
        return max(Nanoseconds(start) &* Self.tick, quietUntil)
    }

    // MARK: slots

    /// The first tick boundary at or after the deadline.
    private static func fireTick(_ deadline: Nanoseconds) -> UInt64 {
        deadline <= 0 ? 0 : UInt64((deadline &- 1) / tick) &+ 1
    }

    private mutating func place(_ node: UnsafeMutablePointer<TimerNode>) {
        // Beyond the top level's span a timer waits in its farthest slot and is placed anew from there.
        let span: UInt64 = 1 << (Self.slotBits * UInt64(Self.levels))
        let tick = min(Self.fireTick(node.pointee.deadline), elapsed &+ (span &- 1))
        quietUntil = min(quietUntil, Nanoseconds(tick) &* Self.tick)
        guard tick > elapsed else {
            append(node, to: due)
            return
        }
        // The highest differing bit tells the level at which both ticks still share a slot one level up.
        let level = (63 &- ((elapsed ^ tick) | 63).leadingZeroBitCount) / Int(Self.slotBits)
        // A wrap of the top level differs in a bit above it: it stays in the top level.
        let row = min(level, Self.levels &- 1)
        let slot = Int((tick >> (Self.slotBits &* UInt64(row))) & 63)
        append(node, to: heads + (row &* Self.slots &+ slot))
        occupied[row] |= 1 << UInt64(slot)
    }

    private func append(_ node: UnsafeMutablePointer<TimerNode>, to head: UnsafeMutablePointer<TimerNode>) {
        let last = head.pointee.previous!
        node.pointee.next = head
        node.pointee.previous = last
        last.pointee.next = node
        head.pointee.previous = node
    }

    private func clearOccupancy(of head: UnsafeMutablePointer<TimerNode>) {
        let index = head - heads
        if index >= 0 && index < Self.levels &* Self.slots {
            occupied[index / Self.slots] &= ~(1 << UInt64(index % Self.slots))
        }
    }

    /// The occupied slot that starts first: (level, slot, first tick). O(levels).
    private func nextOccupiedSlot() -> (level: Int, slot: Int, start: UInt64)? {
        var best: (level: Int, slot: Int, start: UInt64)?
        for level in 0..<Self.levels where occupied[level] != 0 {
            let shift = Self.slotBits &* UInt64(level)
            let here = (elapsed >> shift) & 63
            let word = occupied[level]
            let rotated = here == 0 ? word : (word >> here) | (word << (64 &- here))
            var distance = UInt64(rotated.trailingZeroBitCount)
            // A slot of an upper level that holds the present tick has been moved down: it can only mean a full lap.
            if distance == 0 {
                let others = rotated & ~1
                distance = others == 0 ? 64 : UInt64(others.trailingZeroBitCount)
            }
            let start = ((elapsed >> shift) &+ distance) << shift
            let slot = Int((here &+ distance) & 63)
            if best == nil || start < best!.start { best = (level, slot, start) }
        }
        return best
    }

    private mutating func emptySlot(level: Int, slot: Int) {
        let head = heads + (level &* Self.slots &+ slot)
        occupied[level] &= ~(1 << UInt64(slot))
        guard let first = head.pointee.next, first != head else { return }
        // As a whole to `moving`, which is empty.
        let last = head.pointee.previous!
        moving.pointee.next = first
        moving.pointee.previous = last
        first.pointee.previous = moving
        last.pointee.next = moving
        head.pointee.next = head
        head.pointee.previous = head
    }
}
