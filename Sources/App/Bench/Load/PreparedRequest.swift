import Runtime

/// A template as the bytes that are sent, with the places that change: filled in where they lie and copied into the stream.
/// Plain memory of its own; `deallocate` ends it.
struct PreparedRequest: BitwiseCopyable {
    /// A run of bytes and what follows it.
    struct Piece: BitwiseCopyable {
        /// Its bytes in `storage`, with the header of a value of fixed size and that value.
        var start: Int
        var count: Int
        /// How many numbers of keys are in it.
        var keys: Int
        /// A value follows that is made anew each time, with its header.
        var endsWithValue: Bool
    }

    private let storage: UnsafeMutableRawPointer
    private let pieces: UnsafeMutablePointer<Piece>
    private let pieceCount: Int
    /// Where numbers of keys are, ascending.
    private let keys: UnsafeMutablePointer<Int>
    let kind: RequestKind

    /// - Parameter makesValues: each value is made anew; otherwise one of a fixed size is part of the bytes.
    init(_ template: RequestTemplate, sizes: ClosedRange<Int>, makesValues: Bool) {
        kind = RequestKind(template)
        var builder = Builder(size: sizes.lowerBound, makesValues: makesValues || sizes.count > 1)
        if template.isInline {
            for (index, word) in template.words.enumerated() {
                if index > 0 { builder.bytes.append(UInt8(ascii: " ")) }
                for part in word { builder.append(part) }
            }
            builder.append("\r\n")
        } else {
            builder.append("*\(template.words.count)\r\n")
            for word in template.words { builder.append(word: word) }
        }
        builder.endPiece(withValue: false)
        let storage = UnsafeMutableRawPointer.allocate(byteCount: max(16, builder.bytes.count), alignment: 64)
        builder.bytes.withUnsafeBytes { storage.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        self.storage = storage
        (pieces, pieceCount) = Self.copy(builder.pieces)
        keys = Self.copy(builder.keys).0
    }

    private static func copy<Element: BitwiseCopyable>(
        _ array: [Element]
    ) -> (UnsafeMutablePointer<Element>, Int) {
        let memory = UnsafeMutablePointer<Element>.allocate(capacity: max(1, array.count))
        for (index, element) in array.enumerated() { (memory + index).initialize(to: element) }
        return (memory, array.count)
    }

    func deallocate() {
        storage.deallocate()
        pieces.deallocate()
        keys.deallocate()
    }

    /// Appends one request.
    @inline(__always)
    func write<T: BenchTransport>(to writer: inout RequestWriter<T>, from load: inout LoadSource) {
        var key = keys
        for index in 0..<pieceCount {
            let piece = pieces[index]
            for _ in 0..<piece.keys {
                KeyDigits.write(load.nextKey(), at: storage + key.pointee)
                key += 1
            }
            writer.append(storage + piece.start, piece.count)
            if piece.endsWithValue { load.writeValue(to: &writer) }
        }
    }
}

/// Requests whose replies can be foretold.
enum RequestKind: UInt8 {
    case other, ping, set, get, incr, mset

    init(_ template: RequestTemplate) {
        let isKey = template.words.count > 1 && template.words[1] == [.bytes(Array("key:".utf8)), .key]
        switch (template.name, template.words.count) {
        case ("PING_INLINE", _), ("PING_MBULK", _): self = .ping
        case ("SET", 3) where isKey: self = .set
        case ("GET", 2) where isKey: self = .get
        case ("INCR", 2): self = .incr
        case ("MSET", _) where isKey: self = .mset
        default: self = .other
        }
    }
}

/// The bytes of a prepared request while they are put together.
private struct Builder {
    var bytes: [UInt8] = []
    var pieces: [PreparedRequest.Piece] = []
    var keys: [Int] = []
    /// Of a value that is part of the bytes.
    let size: Int
    let makesValues: Bool
    private var pieceStart = 0
    private var pieceKeys = 0

    init(size: Int, makesValues: Bool) {
        self.size = size
        self.makesValues = makesValues
    }

    mutating func append(_ text: String) { bytes += Array(text.utf8) }

    mutating func append(_ part: RequestTemplate.Part) {
        switch part {
        case .bytes(let more): bytes += more
        case .key:
            keys.append(bytes.count)
            bytes += [UInt8](repeating: UInt8(ascii: "0"), count: RequestTemplate.keyDigits)
        case .data:
            bytes += [UInt8](repeating: UInt8(ascii: "x"), count: size)
        }
    }

    /// An argument with its header. A value is made anew only where it is an argument of its own.
    mutating func append(word: [RequestTemplate.Part]) {
        if makesValues, word == [.data] { return endPiece(withValue: true) }
        let length = word.reduce(0) { sum, part in
            switch part {
            case .bytes(let bytes): sum + bytes.count
            case .key: sum + RequestTemplate.keyDigits
            case .data: sum + size
            }
        }
        append("$\(length)\r\n")
        for part in word { append(part) }
        append("\r\n")
    }

    mutating func endPiece(withValue: Bool) {
        pieces.append(
            .init(
                start: pieceStart, count: bytes.count - pieceStart, keys: keys.count - pieceKeys,
                endsWithValue: withValue))
        pieceStart = bytes.count
        pieceKeys = keys.count
    }
}

/// A key's number as 12 digits.
enum KeyDigits {
    /// `number` is below 10^12.
    @inline(__always) static func write(_ number: Int, at place: UnsafeMutableRawPointer) {
        let high = UInt32(truncatingIfNeeded: UInt64(truncatingIfNeeded: number) / 1_000_000)
        let low = UInt32(truncatingIfNeeded: UInt64(truncatingIfNeeded: number) % 1_000_000)
        write6(high, at: place)
        write6(low, at: place + 6)
    }

    @inline(__always) private static func write6(_ number: UInt32, at place: UnsafeMutableRawPointer) {
        Decimal.storePair(Int(number / 10_000), at: place)
        Decimal.storePair(Int(number / 100 % 100), at: place + 2)
        Decimal.storePair(Int(number % 100), at: place + 4)
    }

    /// The number in 12 digits; nil: there is something else.
    @inline(__always) static func read(_ place: UnsafeRawPointer) -> Int? {
        var number = 0
        for index in 0..<RequestTemplate.keyDigits {
            let digit = place.load(fromByteOffset: index, as: UInt8.self) &- 48
            guard digit < 10 else { return nil }
            number = number &* 10 &+ Int(digit)
        }
        return number
    }
}
