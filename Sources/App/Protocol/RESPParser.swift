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
            let status = parseCount(input)
            if status != .command || remaining == 0 { return status }
        }
        return parseArguments(input, into: scratch)
    }

    /// `*N`. Returns `.command` when it was read.
    @inline(__always)
    private mutating func parseCount(_ input: ByteView) -> Status {
        if input.count >= 4 && input[2] == 13 {
            let digit = input[1] &- 48
            if digit <= 9 {
                remaining = Int(digit)
                position = 4
                return .command
            }
        }
        return parseLongCount(input)
    }

    @inline(never)
    private mutating func parseLongCount(_ input: ByteView) -> Status {
        let end = lineEnd(input)
        if end < 0 { return end == Self.noLineEnd ? .incomplete : fail(.tooBigCountString) }
        guard let number = parseInteger(ByteView(input.base + 1, end &- 1)), number <= Self.maximumCount else {
            return fail(.invalidMultibulkLength)
        }
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
                let status = parseBulkLength(input, scratch)
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

    /// `$N` with one or two digits; others go the long way. Returns `.command` when it was read.
    @inline(__always)
    private mutating func parseBulkLength(_ input: ByteView, _ scratch: RequestScratch) -> Status {
        if position &+ 5 <= input.count {
            let word = (input.base + position).loadUnaligned(as: UInt32.self).littleEndian
            let first = (word >> 8) & 0xff &- 48
            if word & 0xff == UInt32(UInt8(ascii: "$")) && first <= 9 {
                if (word >> 16) & 0xff == 13 {
                    bulkLength = Int(first)
                    position &+= 4
                    return .command
                }
                let second = (word >> 16) & 0xff &- 48
                if second <= 9 && first != 0 && word >> 24 == 13 {
                    bulkLength = Int(first &* 10 &+ second)
                    position &+= 5
                    return .command
                }
            }
        }
        return parseLongBulkLength(input, scratch.state.pointee.maximumBulkLength)
    }

    @inline(never)
    private mutating func parseLongBulkLength(_ input: ByteView, _ maximum: Int) -> Status {
        let end = lineEnd(input)
        if end < 0 { return end == Self.noLineEnd ? .incomplete : fail(.tooBigBulkCountString) }
        guard input[position] == UInt8(ascii: "$") else { return fail(.expectedDollar, found: input[position]) }
        let digits = ByteView(input.base + (position &+ 1), end &- position &- 1)
        guard let number = parseInteger(digits), number >= 0, number <= Int64(maximum) else {
            return fail(.invalidBulkLength)
        }
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
