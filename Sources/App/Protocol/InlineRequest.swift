import Glibc
import Runtime

/// Splits an inline request's line into arguments with the quoting rules of redis-cli and redis.conf (sdssplitargs):
/// "double quotes" with the escapes \n \r \t \b \a \xHH and \anything, 'single quotes' with \' alone; a closing quote
/// must be followed by a blank or the end. A NUL byte ends the line.
///
/// Returns how many arguments were written to `scratch.arguments`, or -1 for unbalanced quotes. Arguments are views of
/// the line itself, or of `scratch`'s text when the line holds a quote.
func splitInline(_ line: ByteView, into scratch: RequestScratch) -> Int {
    let nul = memchr(line.base, 0, line.count)
    let count = nul.map { UnsafeRawPointer($0) - line.base } ?? line.count
    let line = ByteView(line.base, count)
    let quoted = memchr(line.base, 34, count) != nil || memchr(line.base, 39, count) != nil
    var splitter = InlineSplitter(line: line, scratch: scratch)
    return quoted ? splitter.splitQuoted(into: scratch.text(count + 1)) : splitter.splitPlain()
}

private struct InlineSplitter {
    let line: ByteView
    let scratch: RequestScratch
    var position = 0
    var count = 0

    init(line: ByteView, scratch: RequestScratch) {
        self.line = line
        self.scratch = scratch
    }

    /// isspace(3) in the C locale.
    private func isBlank(_ byte: UInt8) -> Bool { byte == 32 || (byte >= 9 && byte <= 13) }

    /// What ends a word outside quotes: unlike `isBlank`, neither VT nor FF.
    private func endsWord(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 || byte == 10 || byte == 13 }

    private mutating func skipBlanks() {
        while position < line.count && isBlank(line[position]) { position += 1 }
    }

    private mutating func record(_ view: ByteView) {
        if count >= scratch.argumentCapacity { _ = scratch.growArguments(count) }
        scratch.arguments[count] = view
        count += 1
    }

    mutating func splitPlain() -> Int {
        while true {
            skipBlanks()
            if position >= line.count { return count }
            let start = position
            while position < line.count && !endsWord(line[position]) { position += 1 }
            record(ByteView(line.base + start, position - start))
        }
    }

    /// `text` has room for the whole line; no argument is longer unescaped than escaped.
    mutating func splitQuoted(into text: UnsafeMutableRawPointer) -> Int {
        var out = text
        while true {
            skipBlanks()
            if position >= line.count { return count }
            let start = out
            var isDone = false
            while !isDone {
                guard position < line.count else { break }
                let byte = line[position]
                position += 1
                switch byte {
                case 34:
                    guard takeDoubleQuoted(&out) else { return -1 }
                    isDone = true
                case 39:
                    guard takeSingleQuoted(&out) else { return -1 }
                    isDone = true
                case _ where endsWord(byte):
                    isDone = true
                default:
                    append(byte, &out)
                }
            }
            record(ByteView(start, out - start))
        }
    }

    private func append(_ byte: UInt8, _ out: inout UnsafeMutableRawPointer) {
        out.storeBytes(of: byte, as: UInt8.self)
        out += 1
    }

    /// Behind an opening quote, up to and with the closing one. False if that is missing or not followed by a blank.
    private mutating func takeDoubleQuoted(_ out: inout UnsafeMutableRawPointer) -> Bool {
        while position < line.count {
            let byte = line[position]
            position += 1
            if byte == 34 { return atWordBoundary }
            guard byte == 92 && position < line.count else {
                append(byte, &out)
                continue
            }
            let escaped = line[position]
            position += 1
            if escaped == UInt8(ascii: "x"), position + 2 <= line.count,
                let high = hexValue(line[position]), let low = hexValue(line[position + 1])
            {
                append(high << 4 | low, &out)
                position += 2
                continue
            }
            switch escaped {
            case UInt8(ascii: "n"): append(10, &out)
            case UInt8(ascii: "r"): append(13, &out)
            case UInt8(ascii: "t"): append(9, &out)
            case UInt8(ascii: "b"): append(8, &out)
            case UInt8(ascii: "a"): append(7, &out)
            default: append(escaped, &out)
            }
        }
        return false
    }

    private mutating func takeSingleQuoted(_ out: inout UnsafeMutableRawPointer) -> Bool {
        while position < line.count {
            let byte = line[position]
            position += 1
            if byte == 39 { return atWordBoundary }
            if byte == 92 && position < line.count && line[position] == 39 {
                append(39, &out)
                position += 1
            } else {
                append(byte, &out)
            }
        }
        return false
    }

    private var atWordBoundary: Bool { position >= line.count || isBlank(line[position]) }

    private func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - 48
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - 87
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - 55
        default: nil
        }
    }
}
