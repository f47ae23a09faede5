import Foundation
import Runtime
import Testing

@testable import App

@Suite("Bench: its parts")
struct BenchPartsTests {
    // MARK: replies

    static let replies: [String] = [
        "+OK\r\n", "+OK\r\n", ":1\r\n", ":-12345\r\n", "$-1\r\n", "$0\r\n\r\n", "$3\r\na\nb\r\n", "$3\r\nxyz\r\n",
        "$3\r\n\r\n$\r\n",
        "*0\r\n", "*-1\r\n", "*2\r\n$1\r\na\r\n*2\r\n:1\r\n+x\r\n", "%1\r\n+a\r\n~2\r\n:1\r\n_\r\n",
        "|1\r\n+ttl\r\n:3\r\n$1\r\nz\r\n", "=7\r\ntxt:abc\r\n", "#t\r\n", ",1.5\r\n", "(12345678901234567890\r\n",
        "-ERR no\r\n", "!5\r\nERR a\r\n", "*1\r\n-ERR inside\r\n",
        "$40\r\n" + String(repeating: "v", count: 40) + "\r\n", "$40\r\n" + String(repeating: "w", count: 40) + "\r\n",
    ]

    /// However a stream is cut into pieces, the same replies are in it.
    @Test(arguments: 1...60) func repliesAreCounted(piece: Int) {
        let bytes = Self.replies.flatMap { Array($0.utf8) }
        var scanner = ReplyScanner()
        var shape = ReplyShape()
        var result = ScanResult()
        // Which of the replies, from 1 on, were errors.
        var places: [Int] = []
        bytes.withUnsafeBytes { memory in
            for start in stride(from: 0, to: memory.count, by: piece) {
                var view = ByteView(memory.baseAddress! + start, min(piece, memory.count - start))
                while view.count > 0 {
                    let errors = result.errors
                    let count = scanner.scan(view, shape: &shape, into: &result)
                    // It stops behind an error reply, and nowhere else.
                    #expect(count == view.count || result.errors == errors + 1)
                    if result.errors > errors { places.append(result.replies) }
                    view = ByteView(view.base + count, view.count - count)
                }
            }
        }
        #expect(result.replies == Self.replies.count)
        #expect(result.errors == 2 && places == [19, 20])
        #expect(!result.isBroken && scanner.isIdle)
    }

    @Test(arguments: replies) func aReplyIsFoundOnlyWhole(text: String) {
        let bytes = Array((text + "+next\r\n").utf8)
        bytes.withUnsafeBytes { memory in
            let length = text.utf8.count
            for count in 1..<length { #expect(ReplyText.length(ByteView(memory.baseAddress!, count)) == nil) }
            #expect(ReplyText.length(ByteView(memory.baseAddress!, memory.count)) == length)
        }
    }

    @Test(arguments: ["HTTP/1.1 200\r\n", "\r\n", "$1x\r\n", "*99999999999999999\r\n"])
    func whatIsNoReplyIsSeen(text: String) {
        var scanner = ReplyScanner()
        var shape = ReplyShape()
        var result = ScanResult()
        Array(text.utf8).withUnsafeBytes {
            _ = scanner.scan(ByteView($0.baseAddress!, $0.count), shape: &shape, into: &result)
        }
        #expect(result.isBroken)
    }

    // MARK: keys

    /// Each rank's share of a million samples, against theory.
    @Test(arguments: [0.5, 0.99, 1.0, 1.5]) func zipfIsAsInTheory(exponent: Double) {
        let count = 1_000
        let zipf = Zipf(count: count, exponent: exponent)
        var entropy = Entropy(seed: 1)
        var seen = [Int](repeating: 0, count: count + 1)
        let samples = 1_000_000
        for _ in 0..<samples { seen[zipf.next(&entropy)] += 1 }
        #expect(seen[0] == 0)
        let weights = (1...count).map { pow(Double($0), -exponent) }
        let whole = weights.reduce(0, +)
        // Chi-square with 999 degrees of freedom: below 1143 in 999 of 1000 cases.
        var square = 0.0
        for rank in 1...count {
            let expected = Double(samples) * weights[rank - 1] / whole
            square += pow(Double(seen[rank]) - expected, 2) / expected
        }
        #expect(square < 1_143, "\(square)")
    }

    @Test func distributionsOfKeys() {
        var sequential = KeySource(keyspace: 3, distribution: .sequential, seed: 1)
        #expect((0..<7).map { _ in sequential.next() } == [0, 1, 2, 0, 1, 2, 0])
        var uniform = KeySource(keyspace: 10, distribution: .uniform, seed: 1)
        var seen = [Int](repeating: 0, count: 10)
        for _ in 0..<100_000 { seen[uniform.next()] += 1 }
        #expect(seen.allSatisfy { abs($0 - 10_000) < 400 })
        var one = KeySource(keyspace: 0, distribution: .uniform, seed: 1)
        #expect(one.next() == 0)
        #expect(KeyDistribution("zipf:1.2") == .zipf(1.2))
        #expect(KeyDistribution("normal") == nil)
    }

    // MARK: templates

    @Test func templatesAreExpanded() {
        typealias Part = RequestTemplate.Part
        let template = RequestTemplate("x", ["HSET", "h__rand_int__y", "__key__", "a__data____data__", "__rand_int__"])
        #expect(template.words[0] == [.bytes(Array("HSET".utf8))])
        #expect(template.words[1] == [.bytes(Array("h".utf8)), .key, .bytes(Array("y".utf8))])
        #expect(template.words[2] == [.bytes(Array("key:".utf8)), .key])
        #expect(template.words[3] == [.bytes(Array("a".utf8)), .data, .data])
        #expect(template.words[4] == [.key])
    }

    @Test func numbersOfKeysHaveTwelveDigits() {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 16, alignment: 16)
        defer { memory.deallocate() }
        for number in [0, 1, 42, 999_999, 1_000_000, 123_456_789_012, 999_999_999_999] {
            KeyDigits.write(number, at: memory)
            let text = ByteView(memory, 12).string
            #expect(text == String(repeating: "0", count: 12 - "\(number)".count) + "\(number)")
            #expect(KeyDigits.read(memory) == number)
        }
    }

    @Test func testsAreFoundByName() throws {
        var settings = BenchSettings()
        settings.tests = ["ping", "SET", "lrange_100", "mixed"]
        let names = ["PING_INLINE", "PING_MBULK", "SET", "LRANGE_100", "MIXED 1:10"]
        #expect(try BenchPlan.all(settings).map(\.name) == names)
        settings.tests = ["sett"]
        #expect(throws: BenchError.self) { try BenchPlan.all(settings) }
    }

    // MARK: values that can be recognised

    @Test(arguments: [1, 3, 37, 38, 64, 1_000]) func valuesAreRecognised(size: Int) {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        defer { memory.deallocate() }
        VerifiedValue.write(memory, size: size, key: 42, stamp: 0x1234_5678_9ABC_DEF0)
        let view = ByteView(memory, size)
        let stamp: UInt64 = size >= VerifiedValue.stampedSize ? 0x1234_5678_9ABC_DEF0 : 0
        #expect(VerifiedValue.check(view, key: 42) == .valid(stamp: stamp))
        if size >= 3 { #expect(VerifiedValue.check(view, key: 43) != .valid(stamp: stamp)) }
        // Any byte that is changed is found. (Digits of the key name another key.)
        for index in 0..<size {
            memory.storeBytes(of: view[index] ^ 1, toByteOffset: index, as: UInt8.self)
            if case .valid = VerifiedValue.check(view, key: 42) { Issue.record("byte \(index) of \(size)") }
            memory.storeBytes(of: view[index] ^ 1, toByteOffset: index, as: UInt8.self)
        }
        // So is a value that was cut.
        if size > 38 { #expect(VerifiedValue.check(ByteView(memory, size - 1), key: 42) == .damaged(at: 30)) }
    }

    // MARK: settings

    @Test func wrongSettingsAreSentences() throws {
        func sentence(_ change: (inout BenchSettings) -> Void) -> String {
            var settings = BenchSettings()
            change(&settings)
            do throws(BenchError) { try settings.check() } catch { return error.description }
            return "nothing is wrong"
        }
        #expect(sentence { _ in } == "nothing is wrong")
        #expect(sentence { $0.clients = 0 } == "Clients are 1 to 1000000, not 0 (-c).")
        #expect(sentence { $0.port = 0 } == "The port is 1 to 65535, not 0 (-p).")
        #expect(sentence { $0.requests = 0 } == "At least one request must be sent, not 0 (-n).")
        #expect(sentence { $0.rate = 0 } == "A rate is more than 0 and at most 100000000 a second (--rate).")
        #expect(sentence { $0.ratio = (0, 0) } == "The ratio is two counts, such as 1:10, not both 0 (--ratio).")
        #expect(sentence { $0.sizes = 0...3 } == "A value has 1 byte to 512 MiB (-d).")
        #expect(sentence { $0.distribution = .zipf(1) }.hasPrefix("A distribution of keys needs a keyspace"))
        #expect(sentence { $0.user = "a" }.hasPrefix("A user needs a password"))
        #expect(sentence { $0.link = .xdp }.hasPrefix("--link xdp needs an --interface"))
        #expect(sentence { ($0.link, $0.interface) = (.xdp, "a") }.hasPrefix("--link xdp needs an --address"))
        let address = try #require(SubnetAddress("10.9.0.1/24"))
        #expect(
            sentence {
                ($0.link, $0.interface, $0.address, $0.host) = (.packet, "a", address, "localhost")
            } == "Our own stack looks up no names: 'localhost' must be an IPv4 address (-h).")
        #expect(sentence { $0.addresses = 2 }.hasPrefix("With --link kernel the kernel chooses"))
    }

    @Test func numbersAsText() {
        #expect(Text.fixed(1.005, 2) == "1.00" || Text.fixed(1.005, 2) == "1.01")
        #expect(Text.fixed(0.05, 3) == "0.050")
        #expect(Text.fixed(-2.5, 1) == "-2.5")
        #expect(Text.fixed(99.9, 3, trims: true) == "99.9")
        #expect(Text.fixed(1e30, 2) == "1e+30")
        #expect(Text.grouped(1_234_567) == "1,234,567")
        #expect(Text.grouped(-12) == "-12")
        #expect(Text.utc(unixMilliseconds: 0) == "1970-01-01T00:00:00Z")
    }
}
