import Testing

@testable import App

@Suite struct RESPInlineTests {
    /// Lines and the words Redis makes of them (sdssplitargs).
    static let table: [(String, [String])] = [
        ("PING\r\n", ["PING"]), ("PING\n", ["PING"]), ("  PING  \r\n", ["PING"]), ("get\ta\r\n", ["get", "a"]),
        ("a\u{0b}b\n", ["a\u{0b}b"]), ("\u{0b}a\n", ["a"]), ("a \u{0c} b\n", ["a", "b"]),
        ("\"\"\n", [""]), ("''\n", [""]), ("\"a b\" c\n", ["a b", "c"]), ("'a b' c\n", ["a b", "c"]),
        ("a\"b c\"\n", ["ab c"]), ("a'b c' d\n", ["ab c", "d"]),
        ("\"\\n\\r\\t\\b\\a\"\n", ["\n\r\t\u{08}\u{07}"]), ("\"\\x41\\x4a\"\n", ["AJ"]), ("\"\\x4g\"\n", ["x4g"]),
        ("\"\\x4\"\n", ["x4"]), ("\"\\\"\\\\\\q\"\n", ["\"\\q"]), ("'\\n\\'x'\n", ["\\n'x"]), ("\\n\n", ["\\n"]),
        ("\"'\" '\"'\n", ["'", "\""]), ("a\0b c\n", ["a"]), ("a \0 b\n", ["a"]),
    ]

    @Test(arguments: table) func splits(line: String, words: [String]) {
        let bytes = Array(line.utf8)
        #expect(RequestCollector().feed([bytes]).words == [words], "\(line.debugDescription)")
        #expect(RequestCollector().feed(bytes.map { [$0] }).words == [words], "\(line.debugDescription)")
    }

    @Test(arguments: ["\r\n", "\n", "   \r\n", "\t\n", "\0abc\n"]) func emptyLinesAreSkipped(line: String) {
        let collector = RequestCollector().feed([Array(line.utf8) + encoded("PING")])
        #expect(collector.words == [["PING"]])
    }

    @Test(arguments: ["\"abc\n", "'abc\n", "\"abc\\\"\n", "'abc\\'\n", "\"a\"b\n", "'a'b\n", "\"a\\\n", "\"a\0\"\n"])
    func unbalanced(line: String) {
        let collector = RequestCollector().feed([Array(line.utf8)])
        #expect(collector.error == ProtocolError(kind: .unbalancedQuotes))
    }

    @Test func longestLine() {
        let word = String(repeating: "w", count: 60_000)
        #expect(RequestCollector().feed([Array("echo \(word)\r\n".utf8)]).words == [["echo", word]])
        let quoted = Array("echo \"\(word)\\x41\" b\r\n".utf8)
        #expect(RequestCollector().feed(quoted.cut(at: [10, 30_000])).words == [["echo", word + "A", "b"]])
    }

    @Test func manyWords() {
        let words = (0..<5000).map { "\($0)" }
        let line = Array((words.joined(separator: " ") + "\n").utf8)
        #expect(RequestCollector().feed([line]).words == [words])
        #expect(RequestCollector().feed(line.cut(at: [1, 100, 20_000])).words == [words])
    }
}
