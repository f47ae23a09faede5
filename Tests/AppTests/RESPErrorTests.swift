import Glibc
import Testing

@testable import App

@Suite struct RESPErrorTests {
    private func reply(_ error: ProtocolError?) -> String {
        guard let error else { return "none" }
        let sink = BufferSink()
        var writer = sink.writer()
        error.write(to: &writer)
        sink.finish(writer)
        return String(decoding: sink.bytes, as: UTF8.self)
    }

    @Test(arguments: [
        ("*x\r\n", "invalid multibulk length"), ("*\r\n", "invalid multibulk length"),
        ("*+1\r\n", "invalid multibulk length"), ("*01\r\n", "invalid multibulk length"),
        ("* 1\r\n", "invalid multibulk length"), ("*1 \r\n", "invalid multibulk length"),
        ("*2147483648\r\n", "invalid multibulk length"), ("*99999999999999999999\r\n", "invalid multibulk length"),
        ("*9223372036854775808\r\n", "invalid multibulk length"),
        ("*1\r\n$-1\r\n", "invalid bulk length"), ("*1\r\n$-2\r\n", "invalid bulk length"),
        ("*1\r\n$x\r\n", "invalid bulk length"), ("*1\r\n$\r\n", "invalid bulk length"),
        ("*1\r\n$00\r\n", "invalid bulk length"), ("*1\r\n$1x\r\n", "invalid bulk length"),
        ("*1\r\n$9223372036854775808\r\n", "invalid bulk length"), ("*1\r\n$1073741824\r\n", "invalid bulk length"),
        ("*1\r\n$536870913\r\n", "invalid bulk length"),
        ("*1\r\n:1\r\n", "expected '$', got ':'"), ("*1\r\nPING\r\n", "expected '$', got 'P'"),
        ("*2\r\n$3\r\nGET\r\n*1\r\n", "expected '$', got '*'"), ("*1\r\n\r\n", "expected '$', got ' '"),
        ("set \"a\r\n", "unbalanced quotes in request"), ("set 'a' 'b\r\n", "unbalanced quotes in request"),
        ("set \"a\"b\r\n", "unbalanced quotes in request"), ("set 'a'b\r\n", "unbalanced quotes in request"),
    ]) func texts(input: String, text: String) {
        let bytes = Array(input.utf8)
        for pieces in [[bytes], bytes.map { [$0] }] {
            let collector = RequestCollector().feed(pieces)
            #expect(reply(collector.error) == "-ERR Protocol error: \(text)\r\n", "\(input.debugDescription)")
            #expect(collector.commands.isEmpty)
        }
    }

    @Test func errorComesAfterTheCommandsBeforeIt() {
        let collector = RequestCollector().feed([encoded("PING") + Array("*1\r\n$-5\r\n".utf8) + encoded("PING")])
        #expect(collector.words == [["PING"]])
        #expect(collector.error == ProtocolError(kind: .invalidBulkLength))
    }

    @Test func largestAllowedLengthIsNoError() {
        let collector = RequestCollector().feed([Array("*1\r\n$536870912\r\n".utf8)])
        #expect(collector.error == nil)
        #expect(RequestCollector().feed([Array("*2147483647\r\n$1\r\n".utf8)]).error == nil)
    }

    @Test(arguments: [
        (Array("*".utf8), "too big mbulk count string"),
        (Array("*1\r\n$".utf8), "too big bulk count string"),
        (Array("a".utf8), "too big inline request"),
    ]) func endlessLines(start: [UInt8], text: String) {
        for piece in [1 << 20, 1460, 100] {
            let collector = RequestCollector()
            collector.feed(start)
            var sent = 0
            while collector.error == nil && sent < 1 << 20 {
                collector.feed([UInt8](repeating: 49, count: piece))
                sent += piece
                #expect(collector.reader.bufferedBytes <= (64 << 10) + piece + 8)
            }
            #expect(reply(collector.error) == "-ERR Protocol error: \(text)\r\n")
            #expect(collector.scratch.state.pointee.partialCount == 0)
        }
    }

    @Test func queryBufferLimitClosesSilently() {
        let collector = RequestCollector(maximumBuffered: 100_000)
        collector.feed(Array("*1000000\r\n".utf8))
        while collector.error == nil { collector.feed(Array("$4\r\nabcd\r\n".utf8)) }
        #expect(collector.error == ProtocolError(kind: .queryBufferLimit))
        #expect(reply(collector.error) == "")
    }

    /// Whatever arrives: no crash, no read past the end, everything given back.
    @Test(arguments: 0..<400) func randomBytes(seed: Int) {
        var random = TestRandom(UInt64(seed) &+ 7_000)
        let alphabet = Array("*$\r\n0123456789-+ab\"'\\x \0".utf8)
        let collector = RequestCollector(maximumBulkLength: 1 << 20, maximumBuffered: 1 << 20)
        for _ in 0..<200 where collector.error == nil {
            let piece = (0..<Int.random(in: 1...40, using: &random)).map { _ -> UInt8 in
                seed % 2 == 0 ? alphabet.randomElement(using: &random)! : UInt8.random(in: 0...255, using: &random)
            }
            collector.feed(piece)
        }
    }

    /// Valid requests with a few bytes changed: the same, deeper inside.
    @Test(arguments: 0..<400) func damagedRequests(seed: Int) {
        var random = TestRandom(UInt64(seed) &+ 9_000)
        var bytes: [UInt8] = []
        for number in 0..<10 { bytes += encoded("SET", "key\(number)", String(repeating: "v", count: number * 11)) }
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
        }
        let whole = RequestCollector(maximumBulkLength: 1 << 20).feed([bytes])
        let cuts = (0..<5).map { _ in Int.random(in: 0...bytes.count, using: &random) }.sorted()
        let pieces = RequestCollector(maximumBulkLength: 1 << 20).feed(bytes.cut(at: cuts))
        #expect(whole.commands == pieces.commands)
        #expect(whole.error == pieces.error)
    }
}
