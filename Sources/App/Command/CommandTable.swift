import Glibc
import Runtime

/// What routing and checks need of one command or subcommand, as plain memory.
struct CommandEntry: BitwiseCopyable {
    let id: CommandID
    let routing: Routing
    let flags: CommandFlags
    /// How many words, the name included, the command takes: a range, so that the check is two comparisons.
    let fewestWords: Int32
    let mostWords: Int32
    /// 0: no keys. `lastKey` negative: counted from the end. `keyStep` >= 1.
    let firstKey: Int16
    let lastKey: Int16
    let keyStep: Int16
    /// Subcommands are `subcommandCount` entries from entry number `firstSubcommand`; 0: none.
    let firstSubcommand: Int16
    let subcommandCount: Int16
    /// This entry's place in `CommandTable.specs`.
    let number: Int16
    /// "get", "client|list": what Redis calls the full name. Never freed.
    let fullName: ByteView
    /// The same without the container.
    let name: ByteView

    /// As Redis gives it; negative: at least that many words.
    var arity: Int32 { mostWords == .max ? 0 &- fewestWords : fewestWords }

    @inline(__always)
    func accepts(argumentCount count: Int) -> Bool {
        count >= Int(fewestWords) && count <= Int(mostWords)
    }

    /// Where the keys are among `count` words. Not for the hot path, which uses `firstKey`.
    func keyPositions(argumentCount count: Int) -> [Int] {
        guard firstKey > 0 else { return [] }
        let last = lastKey < 0 ? count + Int(lastKey) : Int(lastKey)
        return Array(stride(from: Int(firstKey), through: min(last, count - 1), by: Int(keyStep)))
    }
}

/// All commands, compiled from their specifications for lookup. Immutable; any thread may read it. Lives for ever.
struct CommandTable: BitwiseCopyable, @unchecked Sendable {
    /// Built at first use. Shards keep a copy of this handle, since each access of a global asks if it is built.
    static let shared = CommandTable()

    /// Commands, in `CommandID`'s order, then their subcommands.
    let entries: UnsafePointer<CommandEntry>
    let commandCount: Int
    let entryCount: Int
    /// Open addressing with linear probing, at most a quarter full: most lookups end at the first slot.
    private let slots: UnsafePointer<Slot>
    private static let slotCount = 512

    private struct Slot {
        /// The folded name's first 8 bytes, zero filled. 0: free (then `length` is that of no name).
        var head: UInt64
        /// Of the whole name.
        var length: UInt8
        /// `head` and `length` do not say all: the name is longer than 8 bytes or has other bytes than letters.
        var needsCompare: Bool
        var entry: Int16
    }

    /// The entry of a top-level command. O(1).
    func find(_ name: ByteView) -> UnsafePointer<CommandEntry>? {
        let head = Self.head(name)
        let index = Self.hash(head, name.count)
        let slot = slots + index
        if slot.pointee.head == head && Int(slot.pointee.length) == name.count && !slot.pointee.needsCompare {
            return entries + Int(slot.pointee.entry)
        }
        return slot.pointee.head == 0 ? nil : probe(name, head, index)
    }

    /// The whole search, from slot `start` on.
    @inline(never)
    private func probe(_ name: ByteView, _ head: UInt64, _ start: Int) -> UnsafePointer<CommandEntry>? {
        var index = start
        while true {
            let slot = slots + index
            if slot.pointee.head == head && Int(slot.pointee.length) == name.count {
                let entry = entries + Int(slot.pointee.entry)
                if !slot.pointee.needsCompare || Self.equal(name, entry.pointee.name) { return entry }
            }
            if slot.pointee.head == 0 { return nil }
            index = (index &+ 1) & (Self.slotCount &- 1)
        }
    }

    /// The entry for a command as received: of its subcommand, where the command has those and a second word is there.
    /// nil: unknown; `writeUnknown` tells the client.
    func resolve(_ arguments: Arguments) -> UnsafePointer<CommandEntry>? {
        guard let entry = find(arguments[0]) else { return nil }
        if entry.pointee.subcommandCount == 0 || arguments.count < 2 { return entry }
        return subcommand(of: entry, arguments[1])
    }

    /// O(number of subcommands).
    @inline(never)
    func subcommand(of entry: UnsafePointer<CommandEntry>, _ name: ByteView) -> UnsafePointer<CommandEntry>? {
        let first = entries + Int(entry.pointee.firstSubcommand)
        for index in 0..<Int(entry.pointee.subcommandCount) {
            let candidate = first + index
            if candidate.pointee.name.count == name.count && Self.equal(name, candidate.pointee.name) {
                return candidate
            }
        }
        return nil
    }

    /// By full name, "get" or "client|list".
    func named(_ fullName: ByteView) -> UnsafePointer<CommandEntry>? {
        var bar = 0
        while bar < fullName.count && fullName[bar] != UInt8(ascii: "|") { bar += 1 }
        guard let entry = find(ByteView(fullName.base, bar)) else { return nil }
        if bar == fullName.count { return entry }
        return subcommand(of: entry, ByteView(fullName.base + bar + 1, fullName.count - bar - 1))
    }

    /// The numbers of its subcommands' entries.
    func subcommands(of entry: UnsafePointer<CommandEntry>) -> Range<Int> {
        let first = Int(entry.pointee.firstSubcommand)
        return first..<(first + Int(entry.pointee.subcommandCount))
    }

    /// The specification that an entry was made from.
    func spec(_ entry: UnsafePointer<CommandEntry>) -> CommandSpec { Self.flatSpecs[Int(entry.pointee.number)] }

    /// In the order of the entries.
    private static let flatSpecs: [CommandSpec] = allSpecs + allSpecs.flatMap(\.subcommands)

    subscript(_ id: CommandID) -> UnsafePointer<CommandEntry> { entries + Int(id.rawValue) }

    // MARK: hashing

    /// The first eight bytes, zero filled, with bit 5 of each cleared. Two names with equal folds and lengths that differ
    /// in more than the case of letters differ where neither has a letter: only a letter folds to a letter.
    @inline(__always)
    private static func head(_ name: ByteView) -> UInt64 {
        let fold: UInt64 = 0xdfdf_dfdf_dfdf_dfdf
        let count = name.count
        if count >= 8 { return name.base.loadUnaligned(as: UInt64.self).littleEndian & fold }
        return shortHead(name.base, count) & fold
    }

    /// Fewer than eight bytes, zero filled, without reading beyond them.
    @inline(__always)
    private static func shortHead(_ base: UnsafeRawPointer, _ count: Int) -> UInt64 {
        if count >= 4 {
            let low = UInt64(base.loadUnaligned(as: UInt32.self).littleEndian)
            let high = UInt64((base + (count &- 4)).loadUnaligned(as: UInt32.self).littleEndian)
            return low | high &<< UInt64(truncatingIfNeeded: (count &- 4) &* 8)
        }
        if count >= 2 {
            let low = UInt64(base.loadUnaligned(as: UInt16.self).littleEndian)
            let high = UInt64((base + (count &- 2)).loadUnaligned(as: UInt16.self).littleEndian)
            return low | high &<< UInt64(truncatingIfNeeded: (count &- 2) &* 8)
        }
        return count == 0 ? 0 : UInt64(base.load(as: UInt8.self))
    }

    @inline(__always)
    private static func hash(_ head: UInt64, _ count: Int) -> Int {
        let product = (head ^ UInt64(truncatingIfNeeded: count)) &* 0x9e37_79b9_7f4a_7c15
        return Int(truncatingIfNeeded: product >> 55)
    }

    /// `name` equals `lowercase` but for the case of ASCII letters; the counts are equal.
    private static func equal(_ name: ByteView, _ lowercase: ByteView) -> Bool {
        for index in 0..<name.count {
            var byte = name[index]
            if byte >= 65 && byte <= 90 { byte |= 0x20 }
            if byte != lowercase[index] { return false }
        }
        return true
    }

    // MARK: building

    init() {
        let specs = Self.allSpecs
        precondition(specs.map(\.id) == CommandID.allCases, "one specification for each command, in CommandID's order")
        var flat = specs.map { ($0, $0.name) }
        var firstSubcommand: [Int] = []
        for spec in specs {
            firstSubcommand.append(flat.count)
            for sub in spec.subcommands { flat.append((sub, "\(spec.name)|\(sub.name)")) }
        }
        let entries = UnsafeMutablePointer<CommandEntry>.allocate(capacity: flat.count)
        for (number, (spec, fullName)) in flat.enumerated() {
            let full = Self.keep(fullName)
            let prefix = fullName.utf8.count - spec.name.utf8.count
            (entries + number).initialize(
                to: CommandEntry(
                    id: spec.id, routing: spec.routing, flags: spec.allFlags, fewestWords: Int32(abs(spec.arity)),
                    mostWords: spec.arity < 0 ? .max : Int32(spec.arity),
                    firstKey: Int16(spec.keys?.first ?? 0), lastKey: Int16(spec.keys?.last ?? 0),
                    keyStep: Int16(spec.keys?.step ?? 0),
                    firstSubcommand: Int16(number < specs.count ? firstSubcommand[number] : 0),
                    subcommandCount: Int16(spec.subcommands.count), number: Int16(number), fullName: full,
                    name: ByteView(full.base + prefix, full.count - prefix)))
        }
        let slots = UnsafeMutablePointer<Slot>.allocate(capacity: Self.slotCount)
        slots.initialize(repeating: Slot(head: 0, length: .max, needsCompare: false, entry: 0), count: Self.slotCount)
        precondition(specs.count * 4 <= Self.slotCount, "table too small")
        for number in 0..<specs.count {
            let name = entries[number].name
            var index = Self.hash(Self.head(name), name.count)
            while slots[index].head != 0 { index = (index + 1) & (Self.slotCount - 1) }
            let isPlain = name.count <= 8 && name.array.allSatisfy { $0 >= 97 && $0 <= 122 }
            slots[index] = Slot(
                head: Self.head(name), length: UInt8(name.count), needsCompare: !isPlain, entry: Int16(number))
        }
        self.entries = UnsafePointer(entries)
        self.slots = UnsafePointer(slots)
        commandCount = specs.count
        entryCount = flat.count
    }

    /// A copy of the text that stays.
    private static func keep(_ text: String) -> ByteView {
        let bytes = Array(text.utf8)
        let copy = UnsafeMutableRawPointer.allocate(byteCount: max(1, bytes.count), alignment: 8)
        bytes.withUnsafeBytes { copy.copyMemory(from: $0.baseAddress!, byteCount: bytes.count) }
        return ByteView(copy, bytes.count)
    }
}
