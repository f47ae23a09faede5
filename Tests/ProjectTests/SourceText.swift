import Foundation

/// One file of the project, as the tidiness tests see it.
struct SourceFile {
    /// Relative to the project's folder, with `/`.
    let path: String
    let text: String
    /// The text with comments and string literals blanked out; lines stay where they are.
    let code: String

    var lineCount: Int { text.split(separator: "\n", omittingEmptySubsequences: false).count - 1 }
    var codeLines: [Substring] { code.split(separator: "\n", omittingEmptySubsequences: false) }
}

enum Project {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Every Swift file below a folder of the project, in order of path.
    static func swiftFiles(in folder: String) -> [SourceFile] {
        files(in: folder, suffix: ".swift").map { path in
            let text = read(path)
            return SourceFile(path: path, text: text, code: SwiftText.blanked(text))
        }
    }

    /// Paths below a folder, relative to the root. Build products and hidden folders are left out.
    static func files(in folder: String, suffix: String = "") -> [String] {
        let base = folder.isEmpty ? root : root.appendingPathComponent(folder)
        guard let found = FileManager.default.enumerator(atPath: base.path) else { return [] }
        var paths: [String] = []
        while let path = found.nextObject() as? String {
            let name = path.split(separator: "/").last.map(String.init) ?? path
            if [".git", ".build", ".swiftpm", "__pycache__", "out"].contains(name) || name.hasPrefix(".build") {
                found.skipDescendants()
                continue
            }
            var isFolder: ObjCBool = false
            let exists = FileManager.default.fileExists(
                atPath: base.appendingPathComponent(path).path, isDirectory: &isFolder)
            if exists && !isFolder.boolValue && path.hasSuffix(suffix) {
                paths.append(folder.isEmpty ? path : folder + "/" + path)
            }
        }
        return paths.sorted()
    }

    static func read(_ path: String) -> String {
        (try? String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)) ?? ""
    }

    static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: root.appendingPathComponent(path).path)
    }
}

/// As much of Swift's lexical grammar as it takes to tell code from comments and strings.
enum SwiftText {
    /// Replaces comments and the contents of string literals by spaces. Code inside `\( )` counts as string.
    static func blanked(_ text: String) -> String {
        var scanner = Scanner(Array(text.utf8))
        return String(decoding: scanner.run(), as: UTF8.self)
    }

    private struct Scanner {
        let input: [UInt8]
        var output: [UInt8]
        var index = 0

        init(_ input: [UInt8]) {
            self.input = input
            output = input
        }

        mutating func run() -> [UInt8] {
            while index < input.count {
                if at("//") {
                    while index < input.count && input[index] != 10 { blank() }
                } else if at("/*") {
                    blockComment()
                } else if input[index] == UInt8(ascii: "\"") {
                    string(pounds: 0)
                } else if input[index] == UInt8(ascii: "#"), let pounds = poundsBeforeQuote() {
                    index += pounds
                    string(pounds: pounds)
                } else {
                    index += 1
                }
            }
            return output
        }

        func at(_ token: String, offset: Int = 0) -> Bool {
            input[min(index + offset, input.count)...].starts(with: token.utf8)
        }

        mutating func blank(_ count: Int = 1) {
            for _ in 0..<count where index < input.count {
                if input[index] != 10 { output[index] = UInt8(ascii: " ") }
                index += 1
            }
        }

        func poundsBeforeQuote() -> Int? {
            var count = 0
            while index + count < input.count && input[index + count] == UInt8(ascii: "#") { count += 1 }
            return at("\"", offset: count) ? count : nil
        }

        mutating func blockComment() {
            var depth = 0
            repeat {
                if at("/*") {
                    depth += 1
                    blank(2)
                } else if at("*/") {
                    depth -= 1
                    blank(2)
                } else {
                    blank()
                }
            } while depth > 0 && index < input.count
        }

        /// `index` is at the opening quote.
        mutating func string(pounds: Int) {
            let quote = at("\"\"\"") ? "\"\"\"" : "\""
            let close = quote + String(repeating: "#", count: pounds)
            let escape = "\\" + String(repeating: "#", count: pounds)
            blank(quote.utf8.count)
            while index < input.count && !at(close) {
                if at(escape + "(") {
                    blank(escape.utf8.count)
                    interpolation()
                } else if at(escape) {
                    blank(escape.utf8.count + 1)
                } else {
                    blank()
                }
            }
            blank(close.utf8.count)
        }

        /// `index` is at the opening parenthesis.
        mutating func interpolation() {
            var depth = 0
            repeat {
                if input[index] == UInt8(ascii: "\"") {
                    string(pounds: 0)
                    continue
                }
                if input[index] == UInt8(ascii: "(") { depth += 1 }
                if input[index] == UInt8(ascii: ")") { depth -= 1 }
                blank()
            } while depth > 0 && index < input.count
        }
    }
}
