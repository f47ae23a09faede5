import Testing

@testable import App

@Suite struct RESPParserTests {
    /// All forms, one after another.
    static let pipeline: [UInt8] =
        encoded("SET", "key", "value") + encoded("GET", "key") + Array("PING\r\n".utf8) + Array("*0\r\n".utf8)
        + Array("\r\n".utf8) + encoded("ECHO", "") + Array("set \"a b\" 'c d' \"\\x41\\n\"\n".utf8)
        + Array("*-1\r\n".utf8) + encoded("APPEND", "k", String(repeating: "x", count: 123)) + Array("get a\n".utf8)

    static let pipelineWords: [[String]] = [
        ["SET", "key", "value"], ["GET", "key"], ["PING"], ["ECHO", ""], ["set", "a b", "c d", "A\n"],
        ["APPEND", "k", String(repeating: "x", count: 123)], ["get", "a"],
    ]

    @Test func whole() {
        let collector = RequestCollector().feed([Self.pipeline])
        #expect(collector.words == Self.pipelineWords)
        #expect(collector.error == nil)
        #expect(collector.reader.bufferedBytes == 0)
    }

    @Test func everySplitInTwo() {
        for cut in 0...Self.pipeline.count {
            let collector = RequestCollector().feed(Self.pipeline.cut(at: [cut]))
            #expect(collector.words == Self.pipelineWords, "cut at \(cut)")
        }
    }

    @Test func everySplitInThree() {
        let bytes = encoded("SET", "k", "0123456789ab") + encoded("GET", "k")
        let words = [["SET", "k", "0123456789ab"], ["GET", "k"]]
        for first in 0...bytes.count {
            for second in first...bytes.count {
                let collector = RequestCollector().feed(bytes.cut(at: [first, second]))
                #expect(collector.words == words, "cut at \(first) and \(second)")
            }
        }
    }

    @Test func byteByByte() {
        let collector = RequestCollector().feed(Self.pipeline.map { [$0] })
        #expect(collector.words == Self.pipelineWords)
    }

    @Test(arguments: 0..<300) func randomSplits(seed: Int) {
        var random = TestRandom(UInt64(seed))
        var commands: [[[UInt8]]] = []
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 1...20, using: &random) {
            let words = (0..<Int.random(in: 1...8, using: &random)).map { _ in
                let length = [0, 1, 9, 10, 64, 99, 100, 999, 5000, 40000][Int.random(in: 0...9, using: &random)]
                return (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
            }
            commands.append(words)
            bytes += encoded(words)
        }
        let cuts = (0..<Int.random(in: 0...60, using: &random)).map { _ in
            Int.random(in: 0...bytes.count, using: &random)
        }
        let collector = RequestCollector().feed(bytes.cut(at: cuts.sorted()))
        #expect(collector.commands == commands)
        #expect(collector.error == nil)
    }

    /// Segments as they come from a network: the parser must not copy what lies whole in one.
    @Test func segments() {
        var bytes: [UInt8] = []
        for number in 0..<2000 { bytes += encoded("SET", "key:\(number)", String(repeating: "v", count: 64)) }
        let collector = RequestCollector().feed(bytes.cut(every: 1460))
        #expect(collector.commands.count == 2000)
        #expect(collector.words.last?[1] == "key:1999")
        // One partial request at a time, always the same memory.
        #expect(collector.scratch.state.pointee.spareCount == 1)
    }

    @Test func argumentsLieInTheChunk() {
        let scratch = RequestScratch()
        var reader = RequestReader()
        let guarded = GuardedBytes(encoded("SET", "key", "value"))
        defer { withExtendedLifetime(guarded) {} }
        var feed = RequestFeed(guarded.view)
        let arguments = reader.next(&feed, scratch)
        #expect(arguments?[0].base == guarded.view.base + 8)
        #expect(arguments?[2].base == guarded.view.base + guarded.view.count - 7)
        #expect(reader.finish(&feed, scratch) == guarded.view.count)
        scratch.deallocate()
    }

    /// A session that waits for another shard takes no more commands; the bytes stay unconsumed.
    @Test func pauseLeavesTheRest() {
        let scratch = RequestScratch()
        var reader = RequestReader()
        let first = encoded("GET", "a")
        let bytes = first + encoded("GET", "b")
        /// Reads one command at most; its key, and how much was consumed.
        func readOne(_ chunk: [UInt8]) -> (key: String?, consumed: Int) {
            GuardedBytes(chunk).use { view in
                var feed = RequestFeed(view)
                let key = reader.next(&feed, scratch)?[1].string
                return (key, reader.finish(&feed, scratch))
            }
        }
        #expect(readOne(bytes) == ("a", first.count))
        // Also when the command was received in two pieces.
        #expect(readOne(Array(bytes[..<5])) == (nil, 5))
        #expect(readOne(Array(bytes[5...])) == ("a", first.count - 5))
        #expect(reader.bufferedBytes == 0)
        scratch.deallocate()
    }

    @Test func manyArguments() {
        let words = (0..<200_000).map { Array("\($0)".utf8) }
        let bytes = encoded(words)
        let whole = RequestCollector().feed([bytes])
        #expect(whole.commands == [words])
        #expect(whole.scratch.argumentCapacity == RequestScratch.minimumArguments)
        let pieces = RequestCollector().feed(bytes.cut(every: 1000))
        #expect(pieces.commands == [words])
        #expect(pieces.scratch.argumentCapacity == RequestScratch.minimumArguments)
    }

    /// As Redis: nobody looks at the two bytes behind a bulk string, nor at the one behind a line's CR.
    @Test func lineEndsAreNotVerified() {
        let collector = RequestCollector().feed([Array("*2\rX$4\rYECHOab$2\r\nhi\n\n".utf8) + encoded("PING")])
        #expect(collector.words == [["ECHO", "hi"], ["PING"]])
    }

    @Test func endingReleasesEverything() {
        for cut in 1..<60 {
            let scratch = RequestScratch()
            var reader = RequestReader()
            let bytes = Array("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$100000\r\n".utf8) + [UInt8](repeating: 7, count: 40)
            GuardedBytes(Array(bytes[..<cut])).use { view in
                var feed = RequestFeed(view)
                #expect(reader.next(&feed, scratch) == nil)
                #expect(reader.finish(&feed, scratch) == cut)
            }
            reader.discard(scratch)
            #expect(scratch.state.pointee.partialCount == 0)
            scratch.deallocate()
        }
    }
}
