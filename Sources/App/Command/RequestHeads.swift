import Runtime

/// The beginnings of requests that were seen lately, `*3\r\n$3\r\nSET\r\n`, byte for byte, with what they say: how many words
/// follow and which command it is. For whoever sends the same commands over and over this replaces reading the number of
/// words and the name's length, the look-up of the name and the check of the number of words.
///
/// Only what was accepted once the long way is in it: commands on one key (`Routing.key`) with the key behind the name,
/// which is of at most 8 bytes, and at most 9 words. Each shard has its own; a handle.
struct RequestHeads: BitwiseCopyable {
    /// A cache line.
    struct Head {
        /// `*N\r\n$L\r\n` as it lies.
        var sizes: UInt64
        /// The name, zero filled, and ones where its bytes are.
        var name: UInt64
        var mask: UInt64
        var command: UnsafePointer<CommandEntry>
        var nameCount: Int
        /// Bytes before the first word behind the name.
        var count: Int
        /// Words behind the name, 1...8.
        var words: Int
        /// The same with the name.
        var total: Int
    }

    /// The number of words and the name's first letter choose the slot; a newcomer takes it.
    private static let slotCount = 16
    /// Bytes that `find` reads.
    static let span = 16
    /// Where the name begins.
    static let nameOffset = 8
    private let slots: UnsafeMutablePointer<Head>

    init() {
        slots = .allocate(capacity: Self.slotCount)
        for index in 0..<Self.slotCount {
            // Nothing is found in it: what would equal it belongs to the slot beside it.
            slots[index] = Head(
                sizes: 0, name: UInt64(index ^ 1), mask: ~0, command: CommandTable.shared.entries, nameCount: 0,
                count: 0, words: 0, total: 0)
        }
    }

    func deallocate() { slots.deallocate() }

    @inline(__always)
    private func slot(_ sizes: UInt64, _ name: UInt64) -> UnsafeMutablePointer<Head> {
        slots + Int(truncatingIfNeeded: (sizes &>> 8 ^ name) & UInt64(Self.slotCount &- 1))
    }

    /// The head that a request at `place` begins with; `span` bytes can be read there.
    @inline(__always)
    func find(_ place: UnsafeRawPointer) -> UnsafePointer<Head>? {
        let sizes = place.loadUnaligned(as: UInt64.self)
        let name = place.loadUnaligned(fromByteOffset: Self.nameOffset, as: UInt64.self)
        let head = slot(sizes, name)
        guard head.pointee.sizes == sizes, (head.pointee.name ^ name) & head.pointee.mask == 0 else { return nil }
        return UnsafePointer(head)
    }

    /// Puts the key of the request at `place` into `key`, if that begins in a known way; else returns false.
    @inline(__always)
    func readKey(_ place: UnsafeRawPointer, _ limit: UnsafeRawPointer, _ key: UnsafeMutablePointer<ByteView>) -> Bool {
        guard limit - place >= Self.span, let head = find(place) else { return false }
        return RESPParser.readWords(place + head.pointee.count, limit, key, 1) != nil
    }

    /// Remembers how the request at `start` begins, which was just read as `arguments`.
    @inline(never)
    func learn(_ start: UnsafeRawPointer, _ arguments: Arguments, _ table: CommandTable) {
        let nameCount = arguments[0].count
        // Not in one piece, or written in another way: with more digits, say.
        guard arguments[0].base == start + Self.nameOffset, arguments.count >= 2, arguments.count <= 9,
            nameCount >= 1, nameCount <= 8, start.load(as: UInt8.self) == UInt8(ascii: "*"),
            let command = table.find(arguments[0]), command.pointee.routing == .key, command.pointee.firstKey == 1,
            command.pointee.subcommandCount == 0, command.pointee.accepts(argumentCount: arguments.count)
        else { return }
        let count = Self.nameOffset &+ nameCount &+ 2
        let mask: UInt64 = ~0 &>> UInt64(64 &- nameCount &* 8)
        // The shortest word has 6 bytes: 16 can be read.
        let sizes = start.loadUnaligned(as: UInt64.self)
        let name = start.loadUnaligned(fromByteOffset: Self.nameOffset, as: UInt64.self)
        slot(sizes, name).pointee = Head(
            sizes: sizes, name: name & mask, mask: mask, command: command, nameCount: nameCount, count: count,
            words: arguments.count &- 1, total: arguments.count)
    }
}
