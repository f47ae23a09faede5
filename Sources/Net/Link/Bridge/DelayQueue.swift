import Runtime

/// Frames on their way, by the instant at which they are due: a binary heap, earliest (then first inserted) at index 0.
/// `insert` and `popDue` are O(log n).
struct DelayQueue {
    private struct Item {
        let due: Nanoseconds
        /// Order among equals.
        let serial: UInt64
        let frame: FrameDescriptor
        func isBefore(_ other: Item) -> Bool { (due, serial) < (other.due, other.serial) }
    }
    private var items: [Item] = []
    private var nextSerial: UInt64 = 0

    var count: Int { items.count }
    /// When the first frame is due; `.max` when there is none.
    var nextDue: Nanoseconds { items.first?.due ?? .max }

    /// The frame's reference passes to the queue.
    mutating func insert(_ frame: FrameDescriptor, due: Nanoseconds) {
        var index = items.count
        let item = Item(due: due, serial: nextSerial, frame: frame)
        nextSerial &+= 1
        items.append(item)
        while index > 0, item.isBefore(items[(index - 1) / 2]) {
            items[index] = items[(index - 1) / 2]
            index = (index - 1) / 2
        }
        items[index] = item
    }

    /// The first frame if it is due at `instant`, and when it was; its reference passes to the caller.
    mutating func popDue(_ instant: Nanoseconds) -> (frame: FrameDescriptor, due: Nanoseconds)? {
        guard let top = items.first, top.due <= instant else { return nil }
        let last = items.removeLast()
        if !items.isEmpty { sink(last) }
        return (top.frame, top.due)
    }

    /// Puts `item` where the top was.
    private mutating func sink(_ item: Item) {
        var index = 0
        while true {
            var child = 2 * index + 1
            guard child < items.count else { break }
            if child + 1 < items.count, items[child + 1].isBefore(items[child]) { child += 1 }
            guard items[child].isBefore(item) else { break }
            items[index] = items[child]
            index = child
        }
        items[index] = item
    }
}
