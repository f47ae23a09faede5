import Runtime
import Testing

@testable import App

@Suite struct GlobTests {
    @Test(arguments: [
        ("*", "abc", true), ("*", "", false), ("", "", true), ("", "a", false), ("a*", "a", true), ("a**", "a", true),
        ("h?llo", "hello", true), ("h?llo", "hllo", false), ("h*llo", "heeeello", true), ("h*llo", "hllo", true),
        ("h[ae]llo", "hello", true), ("h[ae]llo", "hillo", false), ("h[^e]llo", "hallo", true),
        ("h[^e]llo", "hello", false), ("h[a-b]llo", "hbllo", true), ("h[a-b]llo", "hcllo", false),
        ("h[b-a]llo", "hallo", true), ("\\*", "*", true), ("\\*", "a", false), ("a\\", "a\\", true), ("\\a", "a", true),
        ("[\\]]", "]", true), ("[\\-x]", "-", true), ("[]a]", "a", false), ("[abc", "b", true), ("[abc", "d", false),
        ("[^]a", "xa", true), ("[a-]", "a", true), ("*a*b*c*", "xxaxxbxxcxx", true), ("*a*b*c*", "xxaxxcxxbxx", false),
        ("*aab", "aaab", true), ("?*", "a", true), ("??*", "a", false), ("a?", "a", false),
        ("key:*:x", "key:1:2:x", true),
        ("[", "a", false), ("[^", "a", true),
    ]) func table(pattern: String, string: String, matches: Bool) {
        let found = GuardedBytes(Array(pattern.utf8)).use { pattern in
            GuardedBytes(Array(string.utf8)).use { stringMatch(pattern, $0) }
        }
        #expect(found == matches)
    }

    @Test func ignoringCase() {
        #expect(stringMatch(.leaked("MAX*"), .leaked("maxmemory"), ignoringCase: true))
        #expect(!stringMatch(.leaked("MAX*"), .leaked("maxmemory")))
        #expect(stringMatch(.leaked("[A-C]x"), .leaked("bX"), ignoringCase: true))
    }

    /// A pattern that makes a backtracking matcher explode.
    @Test func costIsBounded() {
        let pattern = String(repeating: "a*", count: 200) + "b"
        #expect(!stringMatch(.leaked(pattern), .leaked(String(repeating: "a", count: 5000))))
    }

    /// A naive matcher, written as Redis's recursion, agrees on random small cases.
    @Test func agreesWithRecursion() {
        func matches(_ p: ArraySlice<UInt8>, _ s: ArraySlice<UInt8>) -> Bool {
            guard let first = p.first else { return s.isEmpty }
            switch first {
            case UInt8(ascii: "*"):
                return matches(p.dropFirst(), s) || (!s.isEmpty && matches(p, s.dropFirst()))
            case UInt8(ascii: "?"):
                return !s.isEmpty && matches(p.dropFirst(), s.dropFirst())
            default:
                return s.first == first && matches(p.dropFirst(), s.dropFirst())
            }
        }
        func randomText(_ alphabet: String, _ length: ClosedRange<Int>, _ random: inout TestRandom) -> [UInt8] {
            let letters = Array(alphabet.utf8)
            return (0..<Int.random(in: length, using: &random)).map { _ in letters.randomElement(using: &random)! }
        }
        var random = TestRandom(5)
        for _ in 0..<20_000 {
            let pattern = randomText("ab*?", 0...7, &random)
            let string = randomText("ab", 1...8, &random)
            let expected = matches(pattern[...], string[...])
            #expect(stringMatch(.leaked(pattern), .leaked(string)) == expected)
        }
    }
}
