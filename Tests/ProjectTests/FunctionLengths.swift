/// A function's body in a file, measured from the line of `func` or `init` to the closing brace.
struct FunctionLength {
    let name: String
    let line: Int
    let lines: Int
}

extension SourceFile {
    /// All functions, initialisers, deinitialisers and subscripts that have a body.
    var functions: [FunctionLength] {
        let bytes = Array(code.utf8)
        var found: [FunctionLength] = []
        var line = 1
        var index = 0
        while index < bytes.count {
            if bytes[index] == 10 { line += 1 }
            if let keyword = Self.declaration(in: bytes, at: index),
                let end = Self.endOfBody(in: bytes, from: index + keyword.count)
            {
                let lines = bytes[index..<end].count(where: { $0 == 10 }) + 1
                let name = Self.name(in: bytes, keyword: keyword, at: index)
                found.append(FunctionLength(name: name, line: line, lines: lines))
            }
            index += 1
        }
        return found
    }

    private static let keywords = ["func ", "init(", "init?(", "init<", "deinit ", "subscript("]

    private static func declaration(in bytes: [UInt8], at index: Int) -> String? {
        if index > 0 && (isWord(bytes[index - 1]) || bytes[index - 1] == UInt8(ascii: ".")) { return nil }
        return keywords.first { bytes[index...].starts(with: $0.utf8) }
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), 0x80...:
            true
        default:
            false
        }
    }

    private static func name(in bytes: [UInt8], keyword: String, at index: Int) -> String {
        guard keyword == "func " else { return String(keyword.prefix(while: \.isLetter)) }
        let rest = bytes[(index + keyword.utf8.count)...]
        return String(decoding: rest.prefix { $0 != UInt8(ascii: "(") && $0 != UInt8(ascii: "<") }, as: UTF8.self)
    }

    /// Finds the body's end, or nil for a requirement without a body: there, a declaration, a closing brace or a blank
    /// line comes before any opening brace.
    private static func endOfBody(in bytes: [UInt8], from start: Int) -> Int? {
        var parentheses = bytes[start - 1] == UInt8(ascii: "(") ? 1 : 0
        var braces = 0
        var index = start
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "("): parentheses += 1
            case UInt8(ascii: ")"): parentheses -= 1
            case UInt8(ascii: "{"): braces += 1
            case UInt8(ascii: "}"):
                braces -= 1
                if braces < 0 { return nil }
                if braces == 0 && parentheses == 0 { return index }
            case 10 where braces == 0 && parentheses == 0:
                if startsDeclaration(bytes[(index + 1)...]) { return nil }
            default: break
            }
            index += 1
        }
        return nil
    }

    private static let openers = [
        "func", "var", "let", "init", "case", "static", "associatedtype", "@", "mutating", "public",
    ]

    private static func startsDeclaration(_ rest: ArraySlice<UInt8>) -> Bool {
        let line = rest.prefix { $0 != 10 }.drop { $0 == UInt8(ascii: " ") }
        return line.isEmpty || openers.contains { line.starts(with: $0.utf8) }
    }
}
