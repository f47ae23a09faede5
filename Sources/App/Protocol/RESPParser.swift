import Glibc
import Runtime

/// Progress in one request: a state machine over bytes that start at the request's first byte.
///
/// It records arguments as views of the input and copies nothing. When the input ends in the middle, `parse` returns
/// `.incomplete` and can be called again with the same bytes at another place and more behind them: it goes on where
/// it stopped and looks at no byte twice (the views recorded before are then stale; `PartialRequest` keeps offsets).
///
/// Two forms (https://redis.io/docs/reference/protocol-spec): `*N` followed by N bulk strings, and inline: one line.
/// As in Redis, a `*` line and a `$` line end at CR, whatever the byte behind it, and so do bulk strings after two bytes.
struct RESPParser: BitwiseCopyable {
    enum Status {
        /// The request ends at `position`. `count` arguments were recorded; 0 means that there is nothing to execute.
        case command
        case incomplete
        /// See `error`.
        case error
    }

    /// Longest line of any kind (PROTO_INLINE_MAX_SIZE).
    static let maximumLine = 64 << 10
    /// A declared count above this is refused, as in Redis 7. Memory is taken only as arguments arrive.
    static let maximumCount = Int64(Int32.max)

    /// The next byte to look at. Never beyond the input, except in `.error`.
    private(set) var position = 0
    /// No line end between `position` and here. Only meaningful while a line is incomplete.
    private(set) var scanned = 0
    /// Arguments whose last byte has not been seen. 0: the `*` line has not been read.
    private(set) var remaining = 0
    /// Length of the bulk string at `position`; -1: its `$` line has not been read.
    private(set) var bulkLength = -1
    /// Arguments recorded.
    private(set) var count = 0
    private(set) var error = ProtocolError(kind: .invalidMultibulkLength)

    /// True while the bytes of a bulk string are awaited, false while a line is.
    var isInBulk: Bool { bulkLength >= 0 }

    /// The bulk string at `position` was taken by other means: counts it, moves `skipping` bytes on.
    mutating func finishBulk() {
        bulkLength = -1
        remaining &-= 1
        count &+= 1
    }

    /// Reads on. `input` starts at the request's first byte and is at least as long as at the call before.
    /// Arguments go to `scratch.arguments[count...]`.
    mutating func parse(_ input: ByteView, into scratch: RequestScratch) -> Status {
        if remaining == 0 {
            guard input.count > 0 else { return .incomplete }
            guard input[0] == UInt8(ascii: "*") else { return parseInline(input, into: scratch) }
            let status = parseCount(input, isRestricted: scratch.state.pointee.isRestricted)
            if status != .command || remaining == 0 { return status }
        }
        return parseArguments(input, into: scratch)
    }

    init() {}

    /// Goes on where `readWhole` stopped.
    init(position: Int, remaining: Int, count: Int) {
        self.position = position
        self.remaining = remaining
        self.count = count
    }

    /// The fast way for what clients send nearly always: at most 9 arguments with lengths of at most 6 digits, all of
    /// them at hand. Everything is in registers. It reads as far as it can; unless `remaining` is 0 and `position` is
    /// not, a parser made from the result goes on. There is room for 9 arguments; proto-max-bulk-len is never less than
    /// a million.
    @inline(__always)
    static func readWhole(
        _ base: UnsafeRawPointer, _ limit: Int, _ arguments: UnsafeMutablePointer<ByteView>
    ) -> (position: Int, remaining: Int, count: Int) {
        guard limit >= 4 else { return (0, 0, 0) }
        let start = base.loadUnaligned(as: UInt32.self).littleEndian
        let total = Int((start >> 8) & 0xff &- 48)
        // "*", one digit, CR, any byte.
        guard start & 0x00ff_00ff == 0x000d_002a && total >= 1 && total <= 9 else { return (0, 0, 0) }
        var argument = arguments
        let end = arguments + total
        var place = 4
        repeat {
            // The shortest argument has 6 bytes.
            guard place &+ 6 <= limit else { break }
            let word = (base + place).loadUnaligned(as: UInt32.self).littleEndian
            var value = place &+ 4
            // Below "0" wraps to a large number.
            let first = (word >> 8) & 0xff &- 48
            var length = Int(first)
            if word & 0x00ff_00ff == 0x000d_0024 {
                guard first <= 9 else { break }
            } else {
                let second = (word >> 16) & 0xff &- 48
                guard word & 0xff == 0x24 && first &- 1 <= 8 && second <= 9 else { break }
                length = Int(first &* 10 &+ second)
                value = place &+ 5
                if word >> 24 != 13 {
                    value = longLength(base, place &+ 3, limit, &length)
                    guard value > 0 else { break }
                }
            }
            let next = value &+ length &+ 2
            guard next <= limit else { break }
            argument.initialize(to: ByteView(base + value, length))
            argument += 1
            place = next
        } while argument < end
        return (place, end - argument, argument - arguments)
    }

    /// `readWhole` for `count` words (> 0) at `start`. Returns where they end, or nil when they are not all there or are not
    /// written as usual: then another way must read them.
    @inline(__always)
    static func readWords(
        _ start: UnsafeRawPointer, _ limit: UnsafeRawPointer, _ arguments: UnsafeMutablePointer<ByteView>, _ count: Int
    ) -> UnsafeRawPointer? {
        var place = start
        var argument = arguments
        let end = arguments + count
        repeat {
            guard limit - place >= shortestWord else { return nil }
            let word = place.loadUnaligned(as: UInt32.self).littleEndian
            var value = place + 5
            var length = twoDigits(word)
            if length < 0 {
                let digit = Int(truncatingIfNeeded: word &>> 8 & 0xFF) &- 48
                if word & 0x00FF_00FF == 0x000D_0024, UInt(bitPattern: digit) <= 9 {
                    (value, length) = (place + 4, digit)
                } else {
                    let long = moreDigits(place, limit)
                    guard let start = long.value else { return nil }
                    (value, length) = (start, long.length)
                }
            }
            let next = value + (length &+ 2)
            guard next <= limit else { return nil }
            argument.initialize(to: ByteView(value, length))
            argument += 1
            place = next
        } while argument < end
        return place
    }

    /// `$0\r\n\r\n`
    private static let shortestWord = 6

    /// The number in "$", two digits, CR; negative for anything else, and below 10.
    @inline(__always)
    private static func twoDigits(_ word: UInt32) -> Int {
        // Both upper halves of the digits are 3, and still are when 6 is added: neither is above 9. The first is no 0.
        guard word & 0xFFF0_F0FF == 0x0D30_3024, (word &+ 0x0006_0600) & 0x00F0_F000 == 0x0030_3000,
            word & 0x0F00 != 0
        else { return -1 }
        // The tens are in the lower byte.
        let digits = (word &>> 8) & 0x0F0F
        return Int(truncatingIfNeeded: (digits &* (10 << 8 | 1)) &>> 8 & 0xFF)
    }

    /// The number in "$", three to six digits, CR, and where the value begins; nil for anything else.
    @inline(never)
    private static func moreDigits(
        _ place: UnsafeRawPointer, _ limit: UnsafeRawPointer
    ) -> (value: UnsafeRawPointer?, length: Int) {
        let word = place.loadUnaligned(as: UInt32.self).littleEndian
        let (first, second) = (word &>> 8 & 0xFF &- 48, word &>> 16 & 0xFF &- 48)
        guard word & 0xFF == 0x24, first &- 1 <= 8, second <= 9 else { return (nil, 0) }
        var length = Int(first &* 10 &+ second)
        let start = longLength(place, 3, limit - place, &length)
        return (start > 3 ? place + start : nil, length)
    }

    /// The third to sixth digit of a length, and CR. Returns where the value begins, or 0.
    @inline(__always)
    private static func longLength(_ base: UnsafeRawPointer, _ start: Int, _ limit: Int, _ length: inout Int) -> Int {
        var place = start
        let last = min(start &+ 4, limit)
        while place < last {
            let digit = Int((base + place).load(as: UInt8.self)) &- 48
            if digit == 13 - 48 { return place &+ 2 }
            guard digit >= 0 && digit <= 9 else { return 0 }
            length = length &* 10 &+ digit
            place &+= 1
        }
        return place < limit && (base + place).load(as: UInt8.self) == 13 ? place &+ 2 : 0
    }

    /// `*N`. Returns `.command` when it was read.
    @inline(never)
    private mutating func parseCount(_ input: ByteView, isRestricted: Bool) -> Status {
        let end = lineEnd(input)
        if end < 0 { return end == Self.noLineEnd ? .incomplete : fail(.tooBigCountString) }
        guard let number = parseInteger(ByteView(input.base + 1, end &- 1)), number <= Self.maximumCount else {
            return fail(.invalidMultibulkLength)
        }
        if isRestricted && number > RequestScratch.restrictedCount { return fail(.unauthenticatedMultibulkLength) }
        remaining = max(0, Int(number))
        position = end &+ 2
        scanned = position
        return .command
    }

    private mutating func parseArguments(_ input: ByteView, into scratch: RequestScratch) -> Status {
        var arguments = scratch.arguments
        var capacity = scratch.argumentCapacity
        let base = input.base
        let limit = input.count
        while true {
            if bulkLength < 0 {
                let status = parseBulkLength(
                    input, scratch.state.pointee.maximumBulkLength, isRestricted: scratch.state.pointee.isRestricted)
                if status != .command { return status }
            }
            let length = bulkLength
            // Both are below 2^41: no overflow.
            let end = position &+ length &+ 2
            if end > limit { return .incomplete }
            if count >= capacity {
                arguments = scratch.growArguments(count)
                capacity = scratch.argumentCapacity
            }
            arguments[count] = ByteView(base + position, length)
            position = end
            bulkLength = -1
            count &+= 1
            remaining &-= 1
            if remaining == 0 { return .command }
        }
    }

    /// `$N`. Returns `.command` when it was read.
    @inline(never)
    private mutating func parseBulkLength(_ input: ByteView, _ maximum: Int, isRestricted: Bool) -> Status {
        let end = lineEnd(input)
        if end < 0 { return end == Self.noLineEnd ? .incomplete : fail(.tooBigBulkCountString) }
        guard input[position] == UInt8(ascii: "$") else { return fail(.expectedDollar, found: input[position]) }
        let digits = ByteView(input.base + (position &+ 1), end &- position &- 1)
        guard let number = parseInteger(digits), number >= 0, number <= Int64(maximum) else {
            return fail(.invalidBulkLength)
        }
        if isRestricted && number > RequestScratch.restrictedBulkLength { return fail(.unauthenticatedBulkLength) }
        bulkLength = Int(number)
        position = end &+ 2
        scanned = position
        return .command
    }

    private static let noLineEnd = -1
    private static let lineTooLong = -2

    /// Where the line at `position` has its CR, if the byte behind it has arrived too.
    private mutating func lineEnd(_ input: ByteView) -> Int {
        let start = max(position, scanned)
        if let found = memchr(input.base + start, 13, input.count &- start) {
            let end = UnsafeRawPointer(found) - input.base
            scanned = end
            return end &+ 2 <= input.count ? end : Self.noLineEnd
        }
        scanned = input.count
        return input.count &- position > Self.maximumLine ? Self.lineTooLong : Self.noLineEnd
    }

    @inline(never)
    private mutating func fail(_ kind: ProtocolError.Kind, found: UInt8 = 0) -> Status {
        error = ProtocolError(kind: kind, found: found)
        return .error
    }

    // MARK: inline requests

    @inline(never)
    private mutating func parseInline(_ input: ByteView, into scratch: RequestScratch) -> Status {
        guard let newline = memchr(input.base + scanned, 10, input.count &- scanned) else {
            scanned = input.count
            return input.count > Self.maximumLine ? fail(.tooBigInlineRequest) : .incomplete
        }
        let end = UnsafeRawPointer(newline) - input.base
        let length = end > 0 && input[end &- 1] == 13 ? end &- 1 : end
        let split = splitInline(ByteView(input.base, length), into: scratch)
        guard split >= 0 else { return fail(.unbalancedQuotes) }
        count = split
        position = end &+ 1
        return .command
    }
}
