import Testing

@testable import App

@Suite struct ConfigValueTests {
    @Test func linesAreSplitAsRedisDoes() {
        let cases: [(String, [String]?)] = [
            ("", []), ("  \t ", []), ("port 6379", ["port", "6379"]), ("  a\t b  ", ["a", "b"]),
            (#"logfile """#, ["logfile", ""]), (#"a "b c" 'd e'"#, ["a", "b c", "d e"]),
            (#""\x41\n\t\r\b\a\q\"\\""#, ["A\n\t\r\u{8}\u{7}q\"\\"]), (#"'it\'s' 'a\nb'"#, ["it's", #"a\nb"#]),
            (#"a"b c""#, ["ab c"]), (#""a"b"#, nil), (#""a"#, nil), ("'a", nil), (#""a\""#, nil),
            (#"\x41 "\xZZ""#, [#"\x41"#, "xZZ"]),
        ]
        for (line, words) in cases { #expect(splitConfigLine(line) == words, "\(line)") }
    }

    @Test(arguments: ["", "plain", "two words", "quote\"s", "back\\slash", "tab\tline\nreturn\r", "'", "schön"])
    func quotingIsTheInverse(word: String) {
        #expect(splitConfigLine("x " + quotedConfigWord(word)) == ["x", word])
    }

    @Test func memorySizesHaveUnits() {
        let cases: [(String, Int?)] = [
            ("0", 0), ("1", 1), ("1b", 1), ("1k", 1000), ("1kb", 1024), ("1KB", 1024), ("2m", 2_000_000),
            ("2Mb", 2 << 20), ("3g", 3_000_000_000), ("3gb", 3 << 30), ("", nil), ("-1", nil), ("1x", nil),
            ("1 kb", nil), ("kb", nil), ("9223372036854775807", .max), ("9223372036854775808", nil),
            ("9223372036854775807k", nil), ("1.5gb", nil), ("１", nil),
        ]
        for (text, bytes) in cases { #expect(memorySize(text) == bytes, "\(text)") }
    }

    @Test func integersAreStrict() {
        #expect(strictInteger("0") == 0)
        #expect(strictInteger("-1") == -1)
        for text in ["", "+1", "01", " 1", "1 ", "1.0", "-0", "99999999999999999999"] {
            #expect(strictInteger(text) == nil, "\(text)")
        }
    }

    @Test func theTableIsComplete() {
        #expect(Directive.table.count == DirectiveID.allCases.count)
        #expect(Set(Directive.table.map(\.id)).count == Directive.table.count)
        for directive in Directive.table {
            #expect(!UnsupportedDirective.contains(directive.name), "\(directive.name)")
        }
    }
}
