import Glibc
import Runtime

/// What a scan met, added up over scans.
struct ScanResult {
    /// Replies that became complete.
    var replies = 0
    /// Of these, error replies.
    var errors = 0
    /// The first bytes of what cannot be a reply; the stream is useless from there on.
    var isBroken = false
    /// The text of the last error reply that lay whole in a piece, without its type.
    var errorText: ByteView?
}

/// Finds the ends of replies (RESP2 and RESP3) in a byte stream that comes in pieces, without looking at what they say. The
/// state of one connection; plain memory.
struct ReplyScanner: BitwiseCopyable {
    /// Bytes of a bulk string and its CRLF that are still to be skipped.
    private var skip = 0
    /// Magnitude of the number in the header that is being read.
    private var number = 0
    /// Elements until the reply is complete; 0 between replies.
    private var elements = 0
    /// The type of the element whose line is being read; 0: none.
    private var type: UInt8 = 0
    private var isNegative = false
    /// The element under way is the reply's first.
    private var isFirst = false
    /// The reply under way is an error.
    private var isError = false

    /// Between two replies.
    var isIdle: Bool { elements == 0 }

    /// Reads a piece, whole or to the end of its first error reply, so that its caller can tell which reply that was.
    /// Returns how many bytes were read. O(bytes of lines), bulk strings are jumped over.
    mutating func scan(_ view: ByteView, shape: inout ReplyShape, into result: inout ScanResult) -> Int {
        let errors = result.errors
        var position = 0
        while position < view.count {
            if elements == 0 {
                if let length = shape.match(view, position) {
                    position &+= length
                    result.replies &+= 1
                    continue
                }
                let start = position
                elements = 1
                isFirst = true
                isError = false
                position = element(view, position, &result)
                if elements == 0 { shape.learn(view, start, position) }
            } else if skip > 0 {
                position = skipBytes(view, position, &result)
            } else {
                position = element(view, position, &result)
            }
            if result.isBroken || result.errors != errors { return position }
        }
        return position
    }

    /// The end of the first reply, for a scanner between replies; nil: it is not whole.
    mutating func first(_ view: ByteView, _ result: inout ScanResult) -> Int? {
        var position = 0
        elements = 1
        isFirst = true
        while position < view.count {
            position = skip > 0 ? skipBytes(view, position, &result) : element(view, position, &result)
            if elements == 0 || result.isBroken { return position }
        }
        return nil
    }

    private mutating func skipBytes(_ view: ByteView, _ position: Int, _ result: inout ScanResult) -> Int {
        let count = min(skip, view.count &- position)
        skip &-= count
        if skip == 0 { finish(&result) }
        return position &+ count
    }

    /// One element from its type on, or the rest of its line.
    private mutating func element(_ view: ByteView, _ start: Int, _ result: inout ScanResult) -> Int {
        var position = start
        if type == 0 {
            type = view[position]
            number = 0
            isNegative = false
            position &+= 1
        }
        switch type {
        case UInt8(ascii: "$"), UInt8(ascii: "*"), UInt8(ascii: "%"), UInt8(ascii: "~"), UInt8(ascii: ">"),
            UInt8(ascii: "="), UInt8(ascii: "!"), UInt8(ascii: "|"):
            return counted(view, position, &result)
        case UInt8(ascii: "+"), UInt8(ascii: ":"), UInt8(ascii: "_"), UInt8(ascii: ","), UInt8(ascii: "#"),
            UInt8(ascii: "("), UInt8(ascii: "-"):
            return line(view, position, &result)
        default:
            result.isBroken = true
            return start
        }
    }

    /// A simple element: to the end of its line.
    private mutating func line(_ view: ByteView, _ start: Int, _ result: inout ScanResult) -> Int {
        guard let end = memchr(view.base + start, 10, view.count &- start) else {
            if type == UInt8(ascii: "-"), isFirst { isError = true }
            return view.count
        }
        let next = UnsafeRawPointer(end) - view.base &+ 1
        if type == UInt8(ascii: "-"), isFirst {
            isError = true
            result.errorText = ByteView(view.base + start, max(0, next &- start &- 2))
        }
        finish(&result)
        return next
    }

    /// A header with a number: a length in bytes or elements.
    private mutating func counted(_ view: ByteView, _ start: Int, _ result: inout ScanResult) -> Int {
        var position = start
        while position < view.count {
            let byte = view[position]
            position &+= 1
            if byte &- 48 < 10 {
                number = number &* 10 &+ Int(byte &- 48)
                // 512 MiB is the longest string of all, and there is no array with as many elements.
                if number > 1 << 31 { result.isBroken = true }
            } else if byte == 10 {
                header(&result)
                if skip > 0, position < view.count { return skipBytes(view, position, &result) }
                return position
            } else if byte == UInt8(ascii: "-") {
                isNegative = true
            } else if byte != 13 {
                result.isBroken = true
            }
            if result.isBroken { return position }
        }
        return position
    }

    private mutating func header(_ result: inout ScanResult) {
        if isNegative { return finish(&result) }
        switch type {
        case UInt8(ascii: "$"), UInt8(ascii: "="), UInt8(ascii: "!"):
            if type == UInt8(ascii: "!"), isFirst { isError = true }
            skip = number &+ 2
            return
        case UInt8(ascii: "%"): elements &+= 2 &* number
        // Attributes come before the element that they are about.
        case UInt8(ascii: "|"): elements &+= 2 &* number &+ 1
        default: elements &+= number
        }
        finish(&result)
    }

    /// An element is complete.
    @inline(__always) private mutating func finish(_ result: inout ScanResult) {
        type = 0
        isFirst = false
        elements &-= 1
        guard elements == 0 else { return }
        result.replies &+= 1
        if isError { result.errors &+= 1 }
    }
}

/// What replies look like at present: the first bytes and the length of the last one that lay whole in a piece. Replies of a
/// load are alike, and one like the last is recognised by a comparison. One for all connections.
struct ReplyShape: BitwiseCopyable {
    /// First bytes of a reply; `mask` says which count.
    private var word: UInt64 = 0
    private var mask: UInt64 = 0
    /// Bytes of the whole reply.
    private var length = 0
    /// Bytes that must be there for the comparison; none are enough while nothing is known.
    private var need = Int.max

    /// The length of the reply at `position`, if it is of this shape and whole.
    @inline(__always) func match(_ view: ByteView, _ position: Int) -> Int? {
        guard view.count &- position >= need else { return nil }
        return (view.base + position).loadUnaligned(as: UInt64.self) & mask == word ? length : nil
    }

    /// `start..<end` is a whole reply. Its first bytes must say how long it is: a status, or a bulk string's header.
    mutating func learn(_ view: ByteView, _ start: Int, _ end: Int) {
        let header: Int
        switch view[start] {
        case UInt8(ascii: "+"): header = end &- start
        case UInt8(ascii: "$") where end &- start > 5: header = Self.lineLength(view, start)
        default: return
        }
        guard header <= 8, view.count &- start >= 8 else { return }
        mask = header == 8 ? .max : (1 << UInt64(header &* 8)) &- 1
        word = (view.base + start).loadUnaligned(as: UInt64.self) & mask
        length = end &- start
        need = max(8, length)
    }

    private static func lineLength(_ view: ByteView, _ start: Int) -> Int {
        var end = start
        while view[end] != 10 { end &+= 1 }
        return end &+ 1 &- start
    }
}
