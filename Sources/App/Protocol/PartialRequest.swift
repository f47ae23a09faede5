import Glibc
import Runtime

/// A growable run of bytes from malloc: the beginning of a request whose end has not arrived.
struct QueryBuffer: BitwiseCopyable {
    /// nil exactly when `capacity` is 0.
    private(set) var base: UnsafeMutableRawPointer?
    /// Bytes in use; at most `capacity`.
    private(set) var count = 0
    private(set) var capacity = 0

    var view: ByteView { ByteView(base!, count) }

    /// Room for `total` bytes: exactly that when it is more than double the present room.
    mutating func reserve(_ total: Int) {
        if total <= capacity { return }
        let larger = max(total, capacity &* 2, 512)
        base = realloc(base, larger)
        precondition(base != nil, "out of memory")
        capacity = larger
    }

    mutating func append(_ bytes: UnsafeRawPointer, _ n: Int) {
        reserve(count &+ n)
        (base! + count).copyMemory(from: bytes, byteCount: n)
        count &+= n
    }

    /// Drops the bytes from `n` on.
    mutating func truncate(to n: Int) { count = n }

    /// Empties it and gives back memory beyond `limit`.
    mutating func reset(keepingAtMost limit: Int) {
        count = 0
        if capacity > limit { deallocate() }
    }

    mutating func deallocate() {
        free(base)
        self = QueryBuffer()
    }
}

/// An argument of a partial request.
struct RecordedArgument: BitwiseCopyable {
    /// Offset in the query buffer; if `isBlock`, an address.
    var location: UInt
    var count: Int
    /// The bytes are a malloc block of their own, `count` long (1 for an empty string).
    var isBlock: Bool
}

/// One request of which only a part has arrived, and only that one: bytes of the next request never get in here.
/// Only a session in the middle of a request has one.
struct PartialRequest {
    var parser = RESPParser()
    /// The request's bytes up to what has arrived, without those of large arguments.
    var buffer = QueryBuffer()
    /// The first `recordedCount` arguments; room for `recordedCapacity`. nil exactly when that is 0.
    private(set) var recorded: UnsafeMutablePointer<RecordedArgument>?
    /// `parser.count` while the request is incomplete; those that came last are not recorded.
    private(set) var recordedCount = 0
    private var recordedCapacity = 0
    /// The large argument that is being received, `parser.bulkLength` bytes: it gets its final place at once.
    private(set) var block: UnsafeMutableRawPointer?
    /// Bytes of it (and of the two bytes behind it, which are dropped) that have arrived.
    private(set) var blockFilled = 0
    /// Sum of the lengths of all blocks.
    private(set) var blockBytes = 0
    /// The request was handed out; it is discarded when the next one is asked for.
    var isDone = false
    /// The chain of `RequestScratch`.
    var nextSpare: UnsafeMutablePointer<PartialRequest>?

    /// Bytes of memory that grow with what a client sends, without the blocks: many short arguments cost more than
    /// their bytes.
    var heldBytes: Int { buffer.count &+ recordedCount &* MemoryLayout<RecordedArgument>.stride }

    /// Takes over arguments `first..<parser.count`, which are views into `base...`.
    mutating func record(_ views: UnsafeMutablePointer<ByteView>, from first: Int, base: UnsafeRawPointer) {
        reserveRecorded(parser.count)
        for index in first..<parser.count {
            let offset = UInt(bitPattern: views[index].base - base)
            recorded![index] = RecordedArgument(location: offset, count: views[index].count, isBlock: false)
        }
        recordedCount = parser.count
    }

    private mutating func reserveRecorded(_ total: Int) {
        if total <= recordedCapacity { return }
        let capacity = max(16, total, recordedCapacity &* 2)
        let larger = realloc(recorded, capacity &* MemoryLayout<RecordedArgument>.stride)
        precondition(larger != nil, "out of memory")
        recorded = larger!.assumingMemoryBound(to: RecordedArgument.self)
        recordedCapacity = capacity
    }

    /// Memory for the large argument at `parser.position`; its bytes that are in the buffer move there.
    /// False: no memory.
    mutating func beginBlock() -> Bool {
        let length = parser.bulkLength
        guard let fresh = malloc(max(1, length)) else { return false }
        block = fresh
        blockBytes &+= length
        let arrived = buffer.count &- parser.position
        if arrived > 0 { fresh.copyMemory(from: buffer.base! + parser.position, byteCount: min(arrived, length)) }
        blockFilled = arrived
        buffer.truncate(to: parser.position)
        return true
    }

    /// Moves bytes of the large argument to its place. Returns how many were used; when the argument is whole, it is
    /// recorded and `block` is nil.
    mutating func fillBlock(_ bytes: ByteView) -> Int {
        let length = parser.bulkLength
        let used = min(bytes.count, length &+ 2 &- blockFilled)
        let copied = min(used, length &- blockFilled)
        if copied > 0 { (block! + blockFilled).copyMemory(from: bytes.base, byteCount: copied) }
        blockFilled &+= used
        if blockFilled == length &+ 2 {
            reserveRecorded(recordedCount &+ 1)
            recorded![recordedCount] = RecordedArgument(
                location: UInt(bitPattern: block!), count: length, isBlock: true)
            recordedCount &+= 1
            block = nil
            blockFilled = 0
            parser.finishBulk()
        }
        return used
    }

    /// Gives away the block of argument `index`, if it has one.
    mutating func takeBlock(_ index: Int) -> UnsafeMutableRawPointer? {
        guard index < recordedCount, recorded![index].isBlock else { return nil }
        recorded![index].isBlock = false
        return UnsafeMutableRawPointer(bitPattern: recorded![index].location)
    }

    /// Writes the recorded arguments as views to `views`.
    func restore(to views: UnsafeMutablePointer<ByteView>) {
        let base = UInt(bitPattern: buffer.base)
        for index in 0..<recordedCount {
            let argument = recorded![index]
            let address = argument.isBlock ? argument.location : base &+ argument.location
            views[index] = ByteView(UnsafeRawPointer(bitPattern: address)!, argument.count)
        }
    }

    /// Frees all blocks and keeps small buffers.
    mutating func reset(keepingAtMost limit: Int) {
        free(block)
        block = nil
        blockFilled = 0
        blockBytes = 0
        for index in 0..<recordedCount where recorded![index].isBlock {
            free(UnsafeMutableRawPointer(bitPattern: recorded![index].location))
        }
        if recordedCapacity &* MemoryLayout<RecordedArgument>.stride > limit { deallocateRecorded() }
        buffer.reset(keepingAtMost: limit)
        recordedCount = 0
        parser = RESPParser()
        isDone = false
    }

    private mutating func deallocateRecorded() {
        free(recorded)
        recorded = nil
        recordedCapacity = 0
    }

    /// After `reset`.
    mutating func deallocateBuffers() {
        deallocateRecorded()
        buffer.deallocate()
    }
}
