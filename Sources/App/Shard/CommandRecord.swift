import Runtime

/// A command on one key as it lies in a request for another shard, so that several go over together and the owner need not
/// parse them again:
///
///     0   UInt16  bytes of the record, a multiple of 8
///     2   UInt16  words behind the name
///     4   UInt16  the command's place in the table, which all shards share and which has its name
///     8   for each of those words its first byte's offset in the text and its length, UInt16 each
///     ..  the text: from the first of the words to the end of the last, as it was received
enum CommandRecord {
    private static let header = 8
    private static let wordSize = 4
    /// Bytes of all records of a request, and so of one.
    static let room = 1024

    @inline(__always) private static func textCount(_ command: KnownCommand, _ words: UnsafePointer<ByteView>) -> Int {
        // CR LF ends the last word.
        command.end - words[1].base &- 2
    }

    /// - Parameter words: the name and those behind it, of which there is one at least.
    @inline(__always) static func size(_ command: KnownCommand, _ words: UnsafePointer<ByteView>) -> Int {
        (header &+ (command.count &- 1) &* wordSize &+ textCount(command, words) &+ 7) & ~7
    }

    /// Returns the place behind it. `size` bytes are written, which are at most `room`.
    @inline(__always) static func write(
        _ command: KnownCommand, _ words: UnsafePointer<ByteView>, to place: UnsafeMutableRawPointer
    ) -> UnsafeMutableRawPointer {
        let size = size(command, words)
        place.storeBytes(
            of: UInt64(UInt16(truncatingIfNeeded: size)) | UInt64(UInt16(truncatingIfNeeded: command.count &- 1)) &<< 16
                | UInt64(UInt16(bitPattern: command.entry.pointee.number)) &<< 32, as: UInt64.self)
        let first = words[1].base
        var word = place + header
        for index in 1..<command.count {
            let view = words[index]
            word.storeBytes(
                of: UInt32(UInt16(truncatingIfNeeded: view.base - first)) | UInt32(truncatingIfNeeded: view.count)
                    &<< 16,
                as: UInt32.self)
            word += wordSize
        }
        copyBytes(first, to: word, textCount(command, words))
        return place + size
    }

    /// Puts the words of the record at `place` into `words`, the name as the table has it. Returns the place behind it.
    @inline(__always) static func read(
        _ place: UnsafeRawPointer, _ words: UnsafeMutablePointer<ByteView>, _ table: CommandTable
    ) -> (command: UnsafePointer<CommandEntry>, count: Int, end: UnsafeRawPointer) {
        let head = place.load(as: UInt64.self)
        let count = Int(head &>> 16 & 0xFFFF)
        let command = table.entries + Int(head &>> 32 & 0xFFFF)
        words[0] = command.pointee.name
        var word = place + header
        let text = word + count &* wordSize
        var index = 1
        // One at least.
        repeat {
            let value = word.load(as: UInt32.self)
            words[index] = ByteView(text + Int(value & 0xFFFF), Int(value &>> 16))
            word += wordSize
            index &+= 1
        } while index <= count
        return (command, index, place + Int(head & 0xFFFF))
    }

    /// The key of the record at `place`, and the place behind the record.
    @inline(__always) static func key(_ place: UnsafeRawPointer) -> (key: ByteView, end: UnsafeRawPointer) {
        let head = place.load(as: UInt64.self)
        let text = place + (header &+ Int(head &>> 16 & 0xFFFF) &* wordSize)
        let value = place.load(fromByteOffset: header, as: UInt32.self)
        return (ByteView(text + Int(value & 0xFFFF), Int(value &>> 16)), place + Int(head & 0xFFFF))
    }
}
