import Runtime
import Testing

@testable import App

/// Arguments that live as long as the test.
func leakedArguments(_ words: [String]) -> Arguments {
    let views = UnsafeMutablePointer<ByteView>.allocate(capacity: max(1, words.count))
    for (index, word) in words.enumerated() { (views + index).initialize(to: .leaked(word)) }
    return Arguments(base: UnsafePointer(views), count: words.count)
}

@Suite struct CommandTableTests {
    private let table = CommandTable.shared

    private func find(_ name: [UInt8]) -> UnsafePointer<CommandEntry>? {
        GuardedBytes(name).use { table.find($0) }
    }

    private func reply(isRESP3: Bool = false, _ body: (inout ReplyWriter) -> Void) -> String {
        let sink = BufferSink()
        var writer = sink.writer(isRESP3: isRESP3)
        body(&writer)
        sink.finish(writer)
        return String(decoding: sink.bytes, as: UTF8.self)
    }

    @Test func findsEveryCommandInAnyCase() {
        for id in CommandID.allCases {
            let name = "\(id)"
            #expect(find(Array(name.utf8))?.pointee.id == id)
            #expect(find(Array(name.uppercased().utf8))?.pointee.id == id)
            #expect(find(Array((name.prefix(1).uppercased() + name.dropFirst()).utf8))?.pointee.id == id)
        }
    }

    @Test func findsNothingElse() {
        for id in CommandID.allCases {
            let name = Array("\(id)".utf8)
            for index in name.indices {
                // Neighbours in the ASCII table and the same letter with other bits set.
                for flip in [UInt8(0x80), 0x40, 0x01, 0xa0] {
                    var changed = name
                    changed[index] ^= flip
                    let text = String(decoding: changed, as: UTF8.self)
                    let found = find(changed)
                    #expect(found == nil || CommandID.allCases.contains { "\($0)" == text })
                }
            }
            #expect(find(name + [0]) == nil)
            #expect(find(Array(name.dropLast()) + [UInt8(ascii: "@")]) == nil)
        }
        #expect(table.find(ByteView.leaked("")) == nil)
        #expect(table.find(ByteView.leaked("\0\0\0")) == nil)
        #expect(table.find(ByteView.leaked("incrbyfloaT")) != nil)
        #expect(table.find(ByteView.leaked("incrbyfloax")) == nil)
    }

    @Test func specificationsAreConsistent() {
        for number in 0..<table.entryCount {
            let entry = table.entries + number
            let spec = table.spec(entry)
            #expect(spec.name == entry.pointee.name.string)
            #expect(spec.arity != 0 && !spec.summary.isEmpty && spec.summary.hasSuffix("."))
            #expect(!(spec.flags.contains(.write) && spec.flags.contains(.readonly)))
            if let keys = spec.keys {
                #expect(spec.routing == (keys.last == keys.first ? .key : .multiKey))
                #expect(abs(spec.arity) > keys.first)
                #expect(!spec.keyFlags.isEmpty)
                #expect(spec.syntax.contains { $0.kind == .key })
            } else {
                #expect(spec.routing != .key && spec.routing != .multiKey)
            }
        }
        #expect(table.commandCount == CommandID.allCases.count)
    }

    @Test func resolvesSubcommands() {
        #expect(table.resolve(leakedArguments(["client", "LIST"]))?.pointee.fullName.string == "client|list")
        #expect(table.resolve(leakedArguments(["CLIENT", "list"]))?.pointee.routing == .allShards)
        #expect(table.resolve(leakedArguments(["CONFIG", "SET", "a", "b"]))?.pointee.routing == .control)
        #expect(table.resolve(leakedArguments(["client"]))?.pointee.fullName.string == "client")
        #expect(table.resolve(leakedArguments(["client", "nope"])) == nil)
        #expect(table.resolve(leakedArguments(["nope"])) == nil)
        #expect(table.resolve(leakedArguments(["get", "list"]))?.pointee.id == .get)
    }

    @Test(arguments: [
        (["foo"], "-ERR unknown command 'foo', with args beginning with: \r\n"),
        (["foo", "a", "b"], "-ERR unknown command 'foo', with args beginning with: 'a' 'b' \r\n"),
        (["f\r\no", "a\nb"], "-ERR unknown command 'f  o', with args beginning with: 'a b' \r\n"),
        (["client", "foo"], "-ERR unknown subcommand 'foo'. Try CLIENT HELP.\r\n"),
        (["cOnfig", "f\r\n"], "-ERR unknown subcommand 'f  '. Try CONFIG HELP.\r\n"),
        (["a\0b", "c\0d"], "-ERR unknown command 'a', with args beginning with: 'c' \r\n"),
    ]) func unknown(words: [String], text: String) {
        #expect(reply { table.writeUnknown(leakedArguments(words), to: &$0) } == text)
    }

    /// Redis quotes 128 bytes of the name, and of the other words as long as less than 128 bytes are written.
    @Test func unknownIsCutShort() {
        let long = String(repeating: "x", count: 200)
        let cut = String(repeating: "x", count: 128)
        #expect(
            reply { table.writeUnknown(leakedArguments([long, long, "b"]), to: &$0) }
                == "-ERR unknown command '\(cut)', with args beginning with: '\(cut)' \r\n")
        let half = String(repeating: "y", count: 100)
        #expect(
            reply { table.writeUnknown(leakedArguments(["f", half, half, "z"]), to: &$0) }
                == "-ERR unknown command 'f', with args beginning with: '\(half)' '\(half.prefix(25))' \r\n")
    }

    @Test func arity() {
        let get = table[.get]
        #expect(get.pointee.accepts(argumentCount: 2))
        #expect(!get.pointee.accepts(argumentCount: 1) && !get.pointee.accepts(argumentCount: 3))
        let set = table[.set]
        #expect(set.pointee.accepts(argumentCount: 3) && set.pointee.accepts(argumentCount: 30))
        #expect(!set.pointee.accepts(argumentCount: 2))
        #expect(reply { _ = table.checkArity(get, 1, &$0) } == "-ERR wrong number of arguments for 'get' command\r\n")
        let kill = table.resolve(leakedArguments(["client", "kill"]))!
        #expect(
            reply { _ = table.checkArity(kill, 2, &$0) }
                == "-ERR wrong number of arguments for 'client|kill' command\r\n")
    }

    @Test func keyPositions() {
        #expect(table[.get].pointee.keyPositions(argumentCount: 2) == [1])
        #expect(table[.del].pointee.keyPositions(argumentCount: 4) == [1, 2, 3])
        #expect(table[.ping].pointee.keyPositions(argumentCount: 2) == [])
    }
}
