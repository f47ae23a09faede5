import Runtime
import Testing

@testable import App

@Suite struct NumberTests {
    private func decimal(_ value: Int64) -> String {
        withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { buffer in
            let start = buffer.baseAddress!
            return ByteView(start, Decimal.write(value, to: start) - start).string
        }
    }

    @Test func formatsAsSwiftDoes() {
        var values: [Int64] = [0, 1, -1, .max, .min, .max - 1, .min + 1]
        var power: Int64 = 1
        for _ in 0..<18 {
            power *= 10
            values += [power - 1, power, power + 1, -power + 1, -power, -power - 1]
        }
        var random = TestRandom(11)
        for _ in 0..<20_000 {
            values.append(Int64(bitPattern: random.next()) >> Int64.random(in: 0...63, using: &random))
        }
        for value in values { #expect(decimal(value) == "\(value)") }
    }

    @Test func parsesBack() {
        var random = TestRandom(12)
        for _ in 0..<5000 {
            let value = Int64(bitPattern: random.next()) >> Int64.random(in: 0...63, using: &random)
            #expect(GuardedBytes(Array("\(value)".utf8)).use { parseInteger($0) } == value)
        }
    }

    @Test(
        arguments: [
            ("9223372036854775807", Int64.max), ("9223372036854775808", nil), ("-9223372036854775808", Int64.min),
            ("-9223372036854775809", nil), ("18446744073709551616", nil), ("99999999999999999999", nil), ("", nil),
            ("-", nil), ("-0", nil), ("0", 0), ("00", nil), ("01", nil), ("+1", nil), (" 1", nil), ("1 ", nil),
            ("1.0", nil), ("1e3", nil), ("--1", nil), ("a", nil), ("\0", nil), ("123456789012345678901", nil),
        ] as [(String, Int64?)]) func strictIntegers(text: String, value: Int64?)
    {
        #expect(GuardedBytes(Array(text.utf8)).use { parseInteger($0) } == value)
    }

    @Test(arguments: [
        ("3.0", "3"), ("0.1", "0.1"), ("5.0e3", "5000"), ("-0", "0"), ("10.50", "10.5"), ("1e-5", "0.00001"),
        ("-1.25", "-1.25"), ("inf", "inf"), ("-Infinity", "-inf"), ("0x10", "16"), ("1e17", "100000000000000000"),
        ("3.1415926535897932", "3.1415926535897932"), ("1e-30", "0"), (".5", "0.5"), ("+1", "1"),
    ]) func floats(text: String, printed: String) {
        let value = parseFloat(.leaked(text))
        #expect(value.map(formatHumanFloat) == printed)
    }

    @Test(arguments: ["", " 1", "1 ", "1x", "nan", "-nan", "abc", "1e5000", "--1", "1\0", "\t1", "1,5"])
    func badFloats(text: String) {
        #expect(parseFloat(.leaked(text)) == nil)
        #expect(parseDouble(.leaked(text)) == nil)
    }

    @Test func noFloatIsTooLong() {
        #expect(parseFloat(.leaked(String(repeating: "1", count: 5 * 1024))) == nil)
        #expect(parseFloat(.leaked(String(repeating: "0", count: 5000) + "7")) == 7)
    }

    #if arch(x86_64)
        /// What redis-server 7.0.15 answers to SET k 10.50, INCRBYFLOAT k 0.1 and so on.
        @Test func sumsAsRedis() {
            #expect(formatHumanFloat(parseFloat(.leaked("10.50"))! + parseFloat(.leaked("0.1"))!) == "10.6")
            #expect(formatHumanFloat(parseFloat(.leaked("0.1"))! + parseFloat(.leaked("0.2"))!) == "0.3")
            #expect(formatHumanFloat(parseFloat(.leaked("5.0e3"))! + parseFloat(.leaked("2.0e2"))!) == "5200")
            #expect(formatHumanFloat(parseFloat(.leaked("1"))! / 3) == "0.33333333333333333")
        }
    #endif

    @Test(arguments: [
        (0.0, "0"), (-0.0, "-0"), (1.0, "1"), (1.5, "1.5"), (0.1, "0.10000000000000001"), (1e15, "1000000000000000"),
        (1e17, "1e+17"), (-2.5e-10, "-2.5000000000000002e-10"), (3.0e5, "300000"), (.infinity, "inf"),
    ]) func doubles(value: Double, text: String) {
        #expect(formatDouble(value) == text)
    }
}
