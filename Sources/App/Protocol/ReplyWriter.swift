import Glibc
import Net
import Runtime

/// Encodes replies into the memory that a `ReplySink` lends, usually transmit frames. RESP3 forms where the client
/// asked for them with HELLO 3, their RESP2 equivalents otherwise.
///
/// Each method first asks whether its reply fits what is left of the span and then stores straight to it; only at the
/// end of a span are bytes written piece by piece (`append`).
///
/// Text comes as `StaticString` where it is known at compile time. Literals prefer that (the `String` twins are
/// disfavoured), so that the common path allocates nothing.
struct ReplyWriter {
    /// Where the next byte goes. `cursor <= limit`.
    private(set) var cursor: UnsafeMutableRawPointer
    private(set) var limit: UnsafeMutableRawPointer
    private unowned(unsafe) let sink: ReplySink
    /// The client's protocol is RESP3.
    var isRESP3: Bool

    init(_ span: OutputSpan, sink: ReplySink, isRESP3: Bool) {
        cursor = span.cursor
        limit = span.limit
        self.sink = sink
        self.isRESP3 = isRESP3
    }

    /// The end of what was written, to be committed.
    func finish() -> UnsafeMutableRawPointer { cursor }

    @inline(__always)
    private var room: Int { limit - cursor }

    @inline(__always)
    private mutating func store<T: BitwiseCopyable>(_ value: T, _ count: Int) {
        cursor.storeBytes(of: value, as: T.self)
        cursor += count
    }

    // MARK: raw bytes

    /// Writes bytes as they are, over as many spans as it takes.
    mutating func append(_ bytes: UnsafeRawPointer, _ count: Int) {
        if room >= count {
            cursor.copyMemory(from: bytes, byteCount: count)
            cursor += count
        } else {
            appendAcross(bytes, count)
        }
    }

    @inline(never)
    private mutating func appendAcross(_ bytes: UnsafeRawPointer, _ count: Int) {
        var bytes = bytes
        var count = count
        while true {
            let piece = min(room, count)
            cursor.copyMemory(from: bytes, byteCount: piece)
            cursor += piece
            bytes += piece
            count &-= piece
            if count == 0 { return }
            let span = sink.next(after: cursor)
            precondition(span.room > 0, "a sink must lend room")
            cursor = span.cursor
            limit = span.limit
        }
    }

    mutating func append(_ text: StaticString) { append(text.utf8Start, text.utf8CodeUnitCount) }

    mutating func append(_ view: ByteView) { append(view.base, view.count) }

    @_disfavoredOverload
    mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { if $0.count > 0 { append($0.baseAddress!, $0.count) } }
    }

    mutating func append(byte: UInt8) {
        if room > 0 { store(byte, 1) } else { withUnsafeBytes(of: byte) { appendAcross($0.baseAddress!, 1) } }
    }

    // MARK: status, errors, numbers

    /// `+OK`
    mutating func ok() {
        if room >= 8 {
            // "+OK\r\n"; the three bytes behind it are overwritten by what follows.
            store(UInt64(0x0a_0d_4b_4f_2b).littleEndian, 5)
        } else {
            append("+OK\r\n")
        }
    }

    /// `+text`. The text has no line end.
    mutating func simpleString(_ text: StaticString) {
        append(byte: UInt8(ascii: "+"))
        append(text)
        append("\r\n")
    }

    @_disfavoredOverload
    mutating func simpleString(_ text: String) {
        append(byte: UInt8(ascii: "+"))
        append(text)
        append("\r\n")
    }

    /// `-text`; the text begins with its code ("ERR ...") and has no line end.
    mutating func error(_ text: StaticString) {
        append(byte: UInt8(ascii: "-"))
        append(text)
        append("\r\n")
    }

    /// As above; line ends become spaces, since texts made at run time may quote the client.
    @_disfavoredOverload
    mutating func error(_ text: String) {
        error(composing: { $0.append(text) })
    }

    /// An error put together from pieces; line ends in it become spaces.
    mutating func error(composing body: (inout ErrorText) -> Void) {
        var text = ErrorText()
        body(&text)
        append(byte: UInt8(ascii: "-"))
        text.bytes.withUnsafeBytes { if $0.count > 0 { append($0.baseAddress!, $0.count) } }
        append("\r\n")
    }

    /// `:value`
    mutating func integer(_ value: Int64) {
        prefixed(UInt8(ascii: ":"), value)
    }

    mutating func integer(_ value: Int) { integer(Int64(value)) }

    /// A type byte, a decimal number, CR LF.
    @inline(__always)
    private mutating func prefixed(_ type: UInt8, _ value: Int64) {
        if room >= Decimal.maximumDigits + 8 {
            if value >= 0 && value < 10 {
                let digit = UInt32(truncatingIfNeeded: value) &+ 48
                store((0x0a0d_0000 | digit << 8 | UInt32(type)).littleEndian, 4)
            } else if value >= 10 && value < 100 {
                store(type, 1)
                Decimal.storePair(Int(value), at: cursor)
                cursor += 2
                store(UInt16(0x0a0d).littleEndian, 2)
            } else {
                store(type, 1)
                cursor = Decimal.write(value, to: cursor)
                store(UInt16(0x0a0d).littleEndian, 2)
            }
        } else {
            prefixedAcross(type, value)
        }
    }

    @inline(never)
    private mutating func prefixedAcross(_ type: UInt8, _ value: Int64) {
        withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { buffer in
            let start = buffer.baseAddress!
            start.storeBytes(of: type, as: UInt8.self)
            let end = Decimal.write(value, to: start + 1)
            end.storeBytes(of: UInt16(0x0a0d).littleEndian, as: UInt16.self)
            append(start, end + 2 - start)
        }
    }

    // MARK: bulk strings

    /// `$count`, the bytes, CR LF.
    mutating func bulk(_ bytes: ByteView) {
        bulk(bytes.base, bytes.count)
    }

    @inline(__always)
    mutating func bulk(_ bytes: UnsafeRawPointer, _ count: Int) {
        guard count >= 10 && count < 100 && room >= count &+ 8 else { return bulkOfAnySize(bytes, count) }
        // `$dd` and its line end in one store; the three bytes behind are overwritten by the value.
        store((0x0a0d_0000_24 | UInt64(Decimal.pair(count)) << 8).littleEndian, 5)
        copyBytes(bytes, to: cursor, count)
        cursor += count
        store(UInt16(0x0a0d).littleEndian, 2)
    }

    @inline(never)
    private mutating func bulkOfAnySize(_ bytes: UnsafeRawPointer, _ count: Int) {
        bulkHeader(count)
        if room >= count &+ 2 {
            copyBytes(bytes, to: cursor, count)
            cursor += count
            store(UInt16(0x0a0d).littleEndian, 2)
        } else {
            append(bytes, count)
            append("\r\n")
        }
    }

    mutating func bulk(_ text: StaticString) { bulk(text.utf8Start, text.utf8CodeUnitCount) }

    @_disfavoredOverload
    mutating func bulk(_ text: String) {
        var text = text
        text.withUTF8 { bulk($0.baseAddress ?? UnsafePointer(bitPattern: 1)!, $0.count) }
    }

    /// The number as a bulk string, as for values that are integers.
    mutating func bulk(_ value: Int64) {
        withUnsafeTemporaryAllocation(byteCount: 24, alignment: 8) { buffer in
            let start = buffer.baseAddress!
            bulk(start, Decimal.write(value, to: start) - start)
        }
    }

    /// `$count`: the caller goes on with `append` for exactly `count` bytes in any number of pieces, then `bulkEnd`.
    mutating func bulkHeader(_ count: Int) { prefixed(UInt8(ascii: "$"), Int64(count)) }

    mutating func bulkEnd() { append("\r\n") }

    // MARK: aggregates: the header alone; the elements follow

    mutating func array(_ count: Int) { prefixed(UInt8(ascii: "*"), Int64(count)) }

    /// `count` pairs; the caller writes key, value, key, value. RESP2: an array of both.
    mutating func map(_ count: Int) {
        if isRESP3 { prefixed(UInt8(ascii: "%"), Int64(count)) } else { array(count &* 2) }
    }

    mutating func set(_ count: Int) { prefixed(isRESP3 ? UInt8(ascii: "~") : UInt8(ascii: "*"), Int64(count)) }

    mutating func push(_ count: Int) { prefixed(isRESP3 ? UInt8(ascii: ">") : UInt8(ascii: "*"), Int64(count)) }

    // MARK: values with a form of their own in RESP3

    /// No value: `_` in RESP3, the null bulk string before.
    mutating func null() {
        if room >= 8 {
            if isRESP3 {
                store(UInt32(0x0a0d5f).littleEndian, 3)
            } else {
                store(UInt64(0x0a_0d_31_2d_24).littleEndian, 5)
            }
        } else {
            append(isRESP3 ? "_\r\n" : "$-1\r\n")
        }
    }

    /// The same where an array is expected.
    mutating func nullArray() { append(isRESP3 ? "_\r\n" : "*-1\r\n") }

    /// RESP2: integer 1 or 0.
    mutating func boolean(_ value: Bool) {
        if isRESP3 { append(value ? "#t\r\n" : "#f\r\n") } else { integer(Int64(value ? 1 : 0)) }
    }

    /// With 17 significant digits, as Redis 7.0. RESP2: a bulk string.
    mutating func double(_ value: Double) {
        let text = formatDouble(value)
        if isRESP3 {
            append(byte: UInt8(ascii: ","))
            append(text)
            append("\r\n")
        } else {
            bulk(text)
        }
    }

    /// Text of a format (`txt`, `mkd`), which clients show as it is. RESP2: a bulk string.
    mutating func verbatim(_ text: String, format: StaticString = "txt") {
        guard isRESP3 else { return bulk(text) }
        precondition(format.utf8CodeUnitCount == 3, "formats have three letters")
        var text = text
        text.withUTF8 { bytes in
            prefixed(UInt8(ascii: "="), Int64(bytes.count + 4))
            append(format)
            append(":")
            if let base = bytes.baseAddress { append(base, bytes.count) }
            append("\r\n")
        }
    }
}

/// The text of an error while it is put together. Allocates.
struct ErrorText {
    fileprivate var bytes: [UInt8] = []

    @_disfavoredOverload
    mutating func append(_ text: String) { for byte in text.utf8 { append(byte: byte) } }
    mutating func append(_ view: ByteView) { for index in 0..<view.count { append(byte: view[index]) } }
    mutating func append(byte: UInt8) { bytes.append(byte == 13 || byte == 10 ? 32 : byte) }
}
