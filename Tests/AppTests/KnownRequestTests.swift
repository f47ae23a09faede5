import Net
import Runtime
import Testing

@testable import App

/// The short way of requests whose beginnings are known: whatever it takes, the parser reads in the same way.
@Suite struct KnownRequestTests {
    static let requests = [
        encoded("GET", "key:000000000042"), encoded("SET", "k", "v"), encoded("set", "key", "0123456789ab"),
        encoded("SETRANGE", "key", "5", String(repeating: "x", count: 300)), encoded("Incr", "n"),
        encoded("SET", "key", "v", "EX", "100", "NX"),
    ]

    /// Heads that know `request`.
    private func heads(_ request: [UInt8], _ scratch: RequestScratch) -> RequestHeads {
        let heads = RequestHeads()
        GuardedBytes(request).use { view in
            var reader = RequestReader()
            var feed = RequestFeed(view)
            let arguments = reader.next(&feed, scratch)!
            heads.learn(view.base, arguments, .shared)
        }
        return heads
    }

    /// Its words and its length, by the short way; nil when that does not take it.
    private func short(_ bytes: [UInt8], _ heads: RequestHeads, _ scratch: RequestScratch) -> ([[UInt8]], Int)? {
        GuardedBytes(bytes).use { view in
            guard let known = KnownCommand(view.base, view.base + view.count, heads, scratch.arguments) else {
                return nil
            }
            return ((0..<known.count).map { scratch.arguments[$0].array }, known.end - view.base)
        }
    }

    /// The same by the parser. The short way must name the same command, too.
    private func long(_ bytes: [UInt8], _ scratch: RequestScratch) -> ([[UInt8]], Int)? {
        GuardedBytes(bytes).use { view in
            var parser = RESPParser()
            guard parser.parse(view, into: scratch) == .command else { return nil }
            return ((0..<parser.count).map { scratch.arguments[$0].array }, parser.position)
        }
    }

    private func expectSame(
        _ bytes: [UInt8], _ heads: RequestHeads, _ scratch: RequestScratch, _ what: String
    ) -> Bool {
        guard let taken = short(bytes, heads, scratch) else { return false }
        let read = long(bytes, scratch)
        #expect(read != nil && taken.0 == read!.0 && taken.1 == read!.1, "\(what)")
        return true
    }

    @Test(arguments: requests) func known(request: [UInt8]) {
        let scratch = RequestScratch()
        let heads = heads(request, scratch)
        defer {
            heads.deallocate()
            scratch.deallocate()
        }
        #expect(expectSame(request, heads, scratch, "as it is"))
        #expect(expectSame(request + Array("*1".utf8), heads, scratch, "more behind it"))
        #expect(short(Array(request.dropLast()), heads, scratch) == nil)
    }

    /// Every byte replaced by every other, and every beginning: taken in the same way or not at all, and nothing is read
    /// behind the end.
    @Test(arguments: requests) func nearlyKnown(request: [UInt8]) {
        let scratch = RequestScratch()
        let heads = heads(request, scratch)
        defer {
            heads.deallocate()
            scratch.deallocate()
        }
        for count in 0..<request.count { #expect(short(Array(request.prefix(count)), heads, scratch) == nil) }
        for index in 0..<min(request.count, 80) {
            var bytes = request
            for value in UInt8.min...UInt8.max where value != request[index] {
                bytes[index] = value
                let isTaken = expectSame(bytes, heads, scratch, "byte \(index) is \(value)")
                // The number of words, and the length and name of the command.
                if index < 8 { #expect(!isTaken) }
            }
        }
    }

    /// Lengths that are written in other ways, impossible ones, and more words or fewer than there are.
    @Test(arguments: [
        "$016\r\n0123456789abcdef\r\n", "$+1\r\na\r\n", "$-1\r\n", "$1a\r\n0123456789\r\n", "$:0\r\n\r\n", "$0/\r\n",
        "$00\r\n\r\n", "$ 1\r\na\r\n", "$1000000\r\n", "$99999999999\r\n", "*1\r\n", "$1\ra", "$\r\n\r\n",
    ]) func unusualLengths(word: String) {
        let scratch = RequestScratch()
        let heads = heads(encoded("GET", "key"), scratch)
        defer {
            heads.deallocate()
            scratch.deallocate()
        }
        let bytes = Array("*2\r\n$3\r\nGET\r\n\(word)".utf8)
        _ = expectSame(bytes, heads, scratch, word)
        _ = expectSame(bytes + [UInt8](repeating: 65, count: 32), heads, scratch, word)
    }

    /// What is not one command on one key is never known.
    @Test(arguments: [
        encoded("PING", "hello world 1234"), encoded("MGET", "k1", "k2"), encoded("DEL", "key1", "key2"),
        encoded("GET", "k", "too many words"), encoded("GETT", "0123456789"), encoded("CLIENT", "ID"),
        encoded("INCRBYFLOAT", "key", "1.5"), Array("GET some-key\r\n".utf8), encoded("CONFIG", "GET", "save"),
    ]) func neverKnown(request: [UInt8]) {
        let scratch = RequestScratch()
        let heads = heads(request, scratch)
        defer {
            heads.deallocate()
            scratch.deallocate()
        }
        #expect(short(request + [UInt8](repeating: 13, count: 16), heads, scratch) == nil)
    }

    @Test func freshHeadsKnowNothing() {
        let scratch = RequestScratch()
        let heads = RequestHeads()
        defer {
            heads.deallocate()
            scratch.deallocate()
        }
        for name in 0..<UInt8.max {
            var bytes = [UInt8](repeating: 0, count: 32)
            bytes[8] = name
            #expect(short(bytes, heads, scratch) == nil)
        }
    }
}

/// The same on a server, to the byte: clients that are served on the spot and clients that are not get the same replies.
@Suite struct KnownRequestSessionTests {
    /// What follows GET and SET that were seen before, against what a server says that sees it first.
    @Test(arguments: [1, 3]) func sameRepliesAsBefore(shards: Int) {
        let pieces = [
            encoded("GET", "k"), encoded("SET", "k", "0123456789"), encoded("get", "k"), encoded("GET", "other"),
            encoded("SET", "k"), encoded("SET", "k", "v", "XX", "NX"), encoded("INCR", "k"), encoded("INCR", "n"),
            Array("*2\r\n$3\r\nGET\r\n$-1\r\n".utf8), Array("*2\r\n$3\r\nGET\r\n$x\r\n".utf8),
            Array("*2\r\n$3\r\nGET\r\n+1\r\n".utf8), Array("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$99999999999\r\n".utf8),
            Array("*x\r\n".utf8), Array("GET k\r\n".utf8),
        ]
        for piece in pieces {
            let warm = encoded("SET", "k", "v") + encoded("GET", "k")
            #expect(
                replies([warm, warm, piece], shards) == replies([warm, warm], shards)
                    + replies([warm + piece], shards).suffix(from: firstReplies(shards)),
                "\(String(decoding: piece, as: UTF8.self))")
        }
    }

    private func firstReplies(_ shards: Int) -> Int {
        replies([encoded("SET", "k", "v") + encoded("GET", "k")], shards).count
    }

    private func replies(_ requests: [[UInt8]], _ shards: Int) -> [UInt8] {
        let scenario = Scenario(shards: shards)
        let client = scenario.connect()
        for request in requests {
            client.send(request)
            scenario.run()
        }
        return client.takeReplies()
    }

    /// A client's settings are seen by the very next request.
    @Test(arguments: [1, 3]) func settingsAreSeen(shards: Int) {
        let scenario = Scenario(shards: shards)
        let client = scenario.connect()
        func say(_ words: String...) -> String {
            client.send(encoded(words.map { Array($0.utf8) }))
            scenario.run()
            return String(decoding: client.takeReplies(), as: UTF8.self)
        }
        for _ in 0..<3 { #expect(say("SET", "k", "v") == "+OK\r\n") }
        #expect(say("GET", "none") == "$-1\r\n")
        #expect(say("SELECT", "3") == "+OK\r\n")
        #expect(say("GET", "k") == "$-1\r\n")
        #expect(say("SET", "k", "third") == "+OK\r\n")
        #expect(say("SELECT", "0") == "+OK\r\n")
        #expect(say("GET", "k") == "$1\r\nv\r\n")
        #expect(say("HELLO", "3").hasPrefix("%"))
        #expect(say("GET", "none") == "_\r\n")
        #expect(say("CLIENT", "REPLY", "SKIP") == "")
        #expect(say("GET", "k") == "")
        #expect(say("GET", "k") == "$1\r\nv\r\n")
        #expect(say("CLIENT", "REPLY", "OFF") == "")
        #expect(say("SET", "k", "w") == "")
        #expect(say("CLIENT", "REPLY", "ON") == "+OK\r\n")
        #expect(say("GET", "k") == "$1\r\nw\r\n")
        #expect(say("CLIENT", "INFO").contains(" cmd=client|info "))
    }

    /// Pipelines that mix what is known and what is not, cut anywhere: replies in order.
    @Test(arguments: 0..<40) func mixedPipelines(seed: Int) {
        var random = TestRandom(UInt64(seed))
        let scenario = Scenario(shards: seed % 2 == 0 ? 1 : 3)
        let client = scenario.connect()
        var bytes: [UInt8] = []
        var expected = ""
        for number in 0..<60 {
            let key = "key:\(Int.random(in: 0..<5, using: &random))"
            switch Int.random(in: 0..<5, using: &random) {
            case 0:
                bytes += encoded("PING", "\(number)")
                expected += "$\("\(number)".count)\r\n\(number)\r\n"
            case 1:
                bytes += encoded("SET", "big", String(repeating: "b", count: 2_000 + number))
                expected += "+OK\r\n"
            default:
                bytes += encoded("SET", key, "\(number)") + encoded("GET", key)
                expected += "+OK\r\n$\("\(number)".count)\r\n\(number)\r\n"
            }
        }
        let size = Int.random(in: 30..<900, using: &random)
        for piece in bytes.cut(every: size) {
            client.send(piece)
            if Bool.random(using: &random) { scenario.run(.milliseconds(1)) }
        }
        scenario.run(.milliseconds(500))
        #expect(String(decoding: client.takeReplies(), as: UTF8.self) == expected)
    }
}
