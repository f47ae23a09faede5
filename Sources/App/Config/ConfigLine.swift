/// Splits a line into words by the rules of Redis's sdssplitargs: words are separated by white space; a word in
/// double quotes may contain \n \r \t \b \a \xHH and \ before any other character; in single quotes only \' is
/// special; a closing quote must be followed by white space or the end.
///
/// - Returns: nil when quotes are not closed.
func splitConfigLine(_ line: some StringProtocol) -> [String]? {
    var splitter = LineSplitter(bytes: Array(line.utf8))
    return splitter.words()
}

/// The inverse for one word: quoted when it must be.
func quotedConfigWord(_ word: String) -> String {
    let plain = !word.isEmpty && word.utf8.allSatisfy { $0 > 32 && $0 != 34 && $0 != 39 && $0 != 92 && $0 != 127 }
    if plain { return word }
    var quoted: [UInt8] = [34]
    for byte in word.utf8 {
        switch byte {
        case 10: quoted += Array("\\n".utf8)
        case 13: quoted += Array("\\r".utf8)
        case 9: quoted += Array("\\t".utf8)
        case 34, 92: quoted += [92, byte]
        default: quoted.append(byte)
        }
    }
    return String(decoding: quoted + [34], as: UTF8.self)
}

private struct LineSplitter {
    let bytes: [UInt8]
    /// 0...bytes.count: the next byte to look at.
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func words() -> [String]? {
        var words: [String] = []
        while true {
            while let byte = peek(), Self.isSpace(byte) { position += 1 }
            guard peek() != nil else { return words }
            guard let word = word() else { return nil }
            words.append(String(decoding: word, as: UTF8.self))
        }
    }

    private func peek(_ distance: Int = 0) -> UInt8? {
        position + distance < bytes.count ? bytes[position + distance] : nil
    }

    /// The bytes up to white space or the end; quotes may start anywhere in it and end it.
    private mutating func word() -> [UInt8]? {
        var word: [UInt8] = []
        while let byte = peek(), !Self.isSpace(byte) {
            position += 1
            guard byte == 34 || byte == 39 else {
                word.append(byte)
                continue
            }
            guard quoted(until: byte, into: &word) else { return nil }
            if let after = peek(), !Self.isSpace(after) { return nil }
        }
        return word
    }

    /// After the opening quote, up to and with the closing one. false: there is none.
    private mutating func quoted(until quote: UInt8, into word: inout [UInt8]) -> Bool {
        while let byte = peek() {
            position += 1
            if byte == quote { return true }
            guard byte == 92, let next = peek() else {
                word.append(byte)
                continue
            }
            if quote == 39 {
                if next == 39 { position += 1 }
                word.append(next == 39 ? 39 : 92)
                continue
            }
            position += 1
            if next == 120, let high = Self.hexDigit(peek()), let low = Self.hexDigit(peek(1)) {
                word.append(high << 4 | low)
                position += 2
            } else {
                word.append(Self.unescaped(next))
            }
        }
        return false
    }

    private static func unescaped(_ byte: UInt8) -> UInt8 {
        switch byte {
        case 110: 10  // \n
        case 114: 13  // \r
        case 116: 9  // \t
        case 98: 8  // \b
        case 97: 7  // \a
        default: byte
        }
    }

    private static func hexDigit(_ byte: UInt8?) -> UInt8? {
        guard let byte else { return nil }
        switch byte {
        case 48...57: return byte - 48
        case 65...70: return byte - 55
        case 97...102: return byte - 87
        default: return nil
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) || byte == 0 }
}
