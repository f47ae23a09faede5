import Runtime
import Testing

@testable import App

/// What `body` writes, with spans of every size up to `largest`: all must give the same bytes.
private func written(isRESP3: Bool = false, largest: Int = 40, _ body: (inout ReplyWriter) -> Void) -> String {
    var results = Set<[UInt8]>()
    for spanSize in Array(1...largest) + [4096] {
        let sink = BufferSink(spanSize: spanSize)
        var writer = sink.writer(isRESP3: isRESP3)
        body(&writer)
        sink.finish(writer)
        results.insert(sink.bytes)
    }
    #expect(results.count == 1, "spans changed the reply")
    return String(decoding: results.first!, as: UTF8.self)
}

@Suite struct ReplyWriterTests {
    @Test func statusAndErrors() {
        #expect(written { $0.ok() } == "+OK\r\n")
        #expect(written { $0.simpleString("PONG") } == "+PONG\r\n")
        #expect(written { $0.error("ERR syntax error") } == "-ERR syntax error\r\n")
        let quoted = "a\r\nb"
        let number = 4
        #expect(written { $0.error("ERR \(quoted)" as String) } == "-ERR a  b\r\n")
        #expect(written { $0.simpleString("\(number)" as String) } == "+4\r\n")
    }

    @Test(arguments: [
        0, 1, 9, 10, 42, 99, 100, 999, 1000, 9999, 10_000, 123_456_789, Int64.max, -1, -10, Int64.min,
    ]) func integers(value: Int64) {
        #expect(written { $0.integer(value) } == ":\(value)\r\n")
        #expect(written { $0.bulk(value) } == "$\("\(value)".utf8.count)\r\n\(value)\r\n")
    }

    @Test(arguments: Array(0...140) + [255, 256, 1459, 1460, 5000]) func bulks(count: Int) {
        let text = String((0..<count).map { Character(UnicodeScalar(UInt8(97 + $0 % 26))) })
        GuardedBytes(Array(text.utf8)).use { view in
            #expect(written { $0.bulk(view) } == "$\(count)\r\n\(text)\r\n")
        }
        #expect(written { $0.bulk(text) } == "$\(count)\r\n\(text)\r\n")
    }

    @Test func bulkInPieces() {
        let text = written {
            $0.bulkHeader(6)
            $0.append("abc")
            $0.append("def" as String)
            $0.bulkEnd()
        }
        #expect(text == "$6\r\nabcdef\r\n")
    }

    @Test func aggregates() {
        #expect(written { $0.array(0) } == "*0\r\n")
        #expect(written { $0.array(1234) } == "*1234\r\n")
        #expect(written { $0.map(2) } == "*4\r\n")
        #expect(written(isRESP3: true) { $0.map(2) } == "%2\r\n")
        #expect(written { $0.set(2) } == "*2\r\n")
        #expect(written(isRESP3: true) { $0.set(2) } == "~2\r\n")
        #expect(written { $0.push(3) } == "*3\r\n")
        #expect(written(isRESP3: true) { $0.push(3) } == ">3\r\n")
    }

    @Test func valuesWithTwoForms() {
        #expect(written { $0.null() } == "$-1\r\n")
        #expect(written(isRESP3: true) { $0.null() } == "_\r\n")
        #expect(written { $0.nullArray() } == "*-1\r\n")
        #expect(written(isRESP3: true) { $0.nullArray() } == "_\r\n")
        #expect(written { $0.boolean(true) } == ":1\r\n")
        #expect(written(isRESP3: true) { $0.boolean(true) } == "#t\r\n")
        #expect(written(isRESP3: true) { $0.boolean(false) } == "#f\r\n")
        #expect(written { $0.double(1.5) } == "$3\r\n1.5\r\n")
        #expect(written(isRESP3: true) { $0.double(1.5) } == ",1.5\r\n")
        #expect(written(isRESP3: true) { $0.double(-.infinity) } == ",-inf\r\n")
        #expect(written { $0.verbatim("hello") } == "$5\r\nhello\r\n")
        #expect(written(isRESP3: true) { $0.verbatim("hello") } == "=9\r\ntxt:hello\r\n")
        #expect(written(isRESP3: true) { $0.verbatim("") } == "=4\r\ntxt:\r\n")
    }

    /// Stores may be wider than what they write, but never reach the limit.
    @Test func neverWritesBeyondTheLimit() {
        for room in 1...64 {
            let memory = UnsafeMutableRawPointer.allocate(byteCount: 128, alignment: 16)
            defer { memory.deallocate() }
            memory.initializeMemory(as: UInt8.self, repeating: 0xee, count: 128)
            let sink = DiscardSink()
            for kind in 0..<5 {
                var writer = ReplyWriter(
                    .init(cursor: memory, limit: memory + room), sink: sink, isRESP3: kind % 2 == 1)
                switch kind {
                case 0: writer.ok()
                case 1, 2: writer.null()
                case 3: writer.integer(Int64.min)
                default: writer.bulk("0123456789abcdefghijklmnop")
                }
                #expect((room..<128).allSatisfy { memory.load(fromByteOffset: $0, as: UInt8.self) == 0xee })
            }
        }
    }
}
