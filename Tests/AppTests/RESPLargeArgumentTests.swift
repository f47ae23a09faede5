import Glibc
import Testing

@testable import App

@Suite struct RESPLargeArgumentTests {
    private func pattern(_ count: Int, _ seed: UInt64) -> [UInt8] {
        var random = TestRandom(seed)
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    @Test(arguments: [32 << 10, (32 << 10) - 1, 100_000, 1 << 20]) func arrivesInPieces(size: Int) {
        let value = pattern(size, UInt64(size))
        let words = [Array("SET".utf8), Array("k".utf8), value]
        let bytes = encoded(words) + encoded("GET", "k")
        for piece in [1, 7, 1460, 65536] where bytes.count / piece < 100_000 {
            let collector = RequestCollector().feed(bytes.cut(every: piece))
            #expect(collector.commands == [words, [Array("GET".utf8), Array("k".utf8)]])
        }
    }

    @Test func everySplitAroundTheEdges() {
        let value = pattern(40_000, 1)
        let bytes = encoded([Array("SET".utf8), value, Array("EX".utf8), Array("10".utf8)]) + encoded("PING")
        let head = Array(0..<40)
        let tail = Array((bytes.count - 60)...bytes.count)
        for cut in head + tail {
            for second in [cut, min(cut + 1, bytes.count), min(cut + 20_000, bytes.count)] {
                let collector = RequestCollector().feed(bytes.cut(at: [cut, second]))
                #expect(collector.commands.count == 2, "cut at \(cut), \(second)")
                #expect(collector.commands.first?[1] == value)
                #expect(collector.commands.first?[3] == Array("10".utf8))
            }
        }
    }

    /// The value's memory is the one it was received into, and the command may keep it.
    @Test func takeBlock() throws {
        let value = pattern(50_000, 2)
        let bytes = encoded([Array("SET".utf8), Array("k".utf8), value])
        let scratch = RequestScratch()
        var reader = RequestReader()
        let first = GuardedBytes(Array(bytes[..<1000]))
        defer { withExtendedLifetime(first) {} }
        var feed = RequestFeed(first.view)
        #expect(reader.next(&feed, scratch) == nil)
        #expect(reader.finish(&feed, scratch) == 1000)
        let second = GuardedBytes(Array(bytes[1000...]))
        defer { withExtendedLifetime(second) {} }
        feed = RequestFeed(second.view)
        let arguments = try #require(reader.next(&feed, scratch))
        #expect(arguments.takeBlock(0) == nil)
        #expect(arguments.takeBlock(1) == nil)
        let view = arguments[2]
        let block = try #require(arguments.takeBlock(2))
        #expect(UnsafeRawPointer(block) == view.base)
        #expect(arguments.takeBlock(2) == nil)
        _ = reader.finish(&feed, scratch)
        #expect(view.array == value)
        free(block)
        scratch.deallocate()
    }

    @Test func wholeInTheChunkHasNoBlock() throws {
        let scratch = RequestScratch()
        var reader = RequestReader()
        let guarded = GuardedBytes(encoded([Array("SET".utf8), Array("k".utf8), pattern(50_000, 3)]))
        defer { withExtendedLifetime(guarded) {} }
        var feed = RequestFeed(guarded.view)
        let arguments = try #require(reader.next(&feed, scratch))
        #expect(arguments.takeBlock(2) == nil)
        _ = reader.finish(&feed, scratch)
        scratch.deallocate()
    }

    @Test func manyLargeArguments() {
        let words = (0..<20).map { pattern($0 % 3 == 0 ? 10 : 33_000 + $0, UInt64($0)) }
        let bytes = encoded(words)
        for piece in [1460, 33_001, 50_000] {
            let collector = RequestCollector().feed(bytes.cut(every: piece))
            #expect(collector.commands == [words])
        }
    }

    @Test func sumOfLargeArgumentsIsLimited() {
        let collector = RequestCollector(maximumBulkLength: 100_000, maximumBuffered: 250_000)
        collector.feed(Array("*10\r\n".utf8))
        let argument = Array("$90000\r\n".utf8) + [UInt8](repeating: 65, count: 90_000) + [13, 10]
        for _ in 0..<10 where collector.error == nil {
            for piece in argument.cut(at: [1000, 50_000]) { collector.feed(piece) }
        }
        #expect(collector.error == ProtocolError(kind: .queryBufferLimit))
    }
}
