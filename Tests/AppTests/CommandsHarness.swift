import Net
import Runtime
import Store
import Testing

@testable import App

/// A client of a server without a network: command lines in, reply bytes out, time by hand. Goes the way of a real
/// command: look-up in the table, arity, execution; what is routed to all shards runs its part and is combined.
final class CommandSession {
    let server: CommandServer
    let session: Session
    /// The session's; keys are looked for on no other.
    let shard: ShardState
    /// Spans so small that most replies go over several.
    private let sink = BufferSink(spanSize: 64)

    init(_ server: CommandServer = CommandServer(), shard: Int = 0, remote: Endpoint = .none) {
        self.server = server
        self.shard = server.shards[shard]
        session = server.shards[shard].sessions.add(
            remote: remote, local: Endpoint(address: IPv4Address(10, 77, 0, 2), port: 6379),
            authenticated: server.shard.config.requirePass.isEmpty, now: server.clock.monotonic)
    }

    /// Runs a line, quoted as for redis-cli, and compares the reply's bytes.
    func expect(_ line: String, _ reply: String, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(run(line) == reply, "\(line)", sourceLocation: sourceLocation)
    }

    /// The reply; each byte is one character (ISO 8859-1).
    @discardableResult func run(_ line: String) -> String { run(CommandSession.split(line)) }

    /// The lines of a reply to CLIENT LIST.
    func clientLines(_ line: String) -> [Substring] {
        // CR LF is one character: what stands before the first is the length.
        run(line).drop { $0 != "\r\n" }.dropFirst().split(separator: "\n").filter { $0.hasPrefix("id=") }
    }

    @discardableResult func run(_ words: [[UInt8]]) -> String {
        server.tick()
        var storage: [UnsafeMutableRawPointer] = []
        defer { for memory in storage { memory.deallocate() } }
        var views: [ByteView] = []
        for word in words {
            let memory = UnsafeMutableRawPointer.allocate(byteCount: max(1, word.count), alignment: 1)
            storage.append(memory)
            word.withUnsafeBytes { if $0.count > 0 { memory.copyMemory(from: $0.baseAddress!, byteCount: $0.count) } }
            views.append(ByteView(memory, word.count))
        }
        views.withUnsafeBufferPointer {
            var context = CommandContext(
                arguments: Arguments(base: $0.baseAddress!, count: words.count),
                reply: sink.writer(isRESP3: session.isRESP3),
                database: shard.keyspace.database(Int(session.state.pointee.database)), shard: shard, session: session,
                clientID: session.id)
            execute(&context)
            sink.finish(context.reply)
        }
        let bytes = session.dropsReplies ? [] : sink.bytes
        session.commandEnded()
        return String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
    }

    private func execute(_ c: inout CommandContext) {
        let table = CommandTable.shared
        guard let entry = table.resolve(c.arguments) else { return table.writeUnknown(c.arguments, to: &c.reply) }
        guard table.checkArity(entry, c.arguments.count, &c.reply) else { return }
        session.state.pointee.lastCommand = entry.pointee.number
        guard entry.pointee.routing == .allShards else { return App.execute(entry.pointee.id, &c) }
        var parts: [ByteView] = []
        defer { for part in parts { UnsafeMutableRawPointer(mutating: part.base).deallocate() } }
        for shard in server.shards { parts.append(part(entry.pointee.id, on: shard, c)) }
        parts.withUnsafeBufferPointer { combineParts(entry.pointee.id, parts: $0, &c) }
    }

    /// What one shard's part wrote. As in the server, a part does not see the session, even on its own shard.
    private func part(_ id: CommandID, on shard: ShardState, _ c: CommandContext) -> ByteView {
        let sink = BufferSink()
        let database = shard.keyspace.database(Int(session.state.pointee.database))
        var context = CommandContext(
            arguments: c.arguments, reply: sink.writer(), database: database, shard: shard, session: nil,
            clientID: session.id)
        executePart(id, &context)
        sink.finish(context.reply)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(1, sink.bytes.count), alignment: 16)
        memory.copyMemory(from: sink.bytes, byteCount: sink.bytes.count)
        return ByteView(memory, sink.bytes.count)
    }

    /// Words between blanks; "..." with \n, \r, \t, \xHH, \" and \\; '...' as it is.
    static func split(_ line: String) -> [[UInt8]] {
        var words: [[UInt8]] = []
        var rest = Array(line.utf8)[...]
        while let first = rest.first {
            if first == UInt8(ascii: " ") {
                rest.removeFirst()
            } else if first == UInt8(ascii: "\"") {
                words.append(quoted(&rest))
            } else if first == UInt8(ascii: "'") {
                words.append(Array(rest.dropFirst().prefix { $0 != UInt8(ascii: "'") }))
                rest = rest.dropFirst(words[words.count - 1].count + 2)
            } else {
                words.append(Array(rest.prefix { $0 != UInt8(ascii: " ") }))
                rest = rest.dropFirst(words[words.count - 1].count)
            }
        }
        return words
    }

    private static func quoted(_ rest: inout ArraySlice<UInt8>) -> [UInt8] {
        var word: [UInt8] = []
        rest.removeFirst()
        while let byte = rest.popFirst(), byte != UInt8(ascii: "\"") {
            guard byte == UInt8(ascii: "\\"), let escaped = rest.popFirst() else {
                word.append(byte)
                continue
            }
            switch escaped {
            case UInt8(ascii: "n"): word.append(10)
            case UInt8(ascii: "r"): word.append(13)
            case UInt8(ascii: "t"): word.append(9)
            case UInt8(ascii: "x"):
                word.append(UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)!)
                rest = rest.dropFirst(2)
            default: word.append(escaped)
            }
        }
        return word
    }
}

/// Shards with virtual time, for any number of sessions.
final class CommandServer {
    let clock = ManualClock()
    let control = CommandTestControl()
    let published: RCUPublished<Config>
    let shards: [ShardState]
    var shard: ShardState { shards[0] }
    private let mesh: Mesh

    init(_ config: Config = Config(), shards count: Int = 1) {
        let published = RCUPublished(config)
        let (mesh, control, clock) = (Mesh(shardCount: count), control, clock)
        self.published = published
        self.mesh = mesh
        shards = (0..<count).map { id in
            let keyspace = Keyspace(
                databases: config.databases, hashKey: (1, 2), monotonic: clock.monotonic, unix: clock.unixMilliseconds)
            return ShardState(
                id: id, mesh: mesh, keyspace: keyspace, published: published, control: control,
                streams: Streams(stack: nil, kernel: nil), entropy: Entropy(seed: UInt64(id)))
        }
        control.server = self
        tick()
    }

    deinit { mesh.deallocate() }

    /// What a turn of the loop does before commands.
    func tick() {
        for shard in shards {
            shard.monotonic = clock.monotonic
            shard.unixMilliseconds = clock.unixMilliseconds
            shard.unixMicroseconds = clock.unixMicroseconds
        }
    }

    /// Time passes, and the keyspace's timers with it.
    func advance(milliseconds: Int64) {
        clock.advance(by: .milliseconds(milliseconds))
        tick()
        for shard in shards {
            shard.keyspace.expireDue(
                unixMilliseconds: shard.unixMilliseconds, monotonic: shard.monotonic, budget: 1000)
        }
    }
}

/// Remembers what commands asked for.
final class CommandTestControl: ServerControl, @unchecked Sendable {
    unowned(unsafe) var server: CommandServer!
    var shutdowns = 0
    var rewriteError: String? = "ERR The server is running without a config file"

    init() {
        super.init(
            facts: ServerFacts(
                runID: String(repeating: "a", count: 40), startedAt: 1_700_000_000_000 - 90_061_000,
                executable: "/usr/bin/apus", configFile: "", port: 6379, link: "memory", interface: "test0",
                address: "10.77.0.2/24"))
    }

    override func publish(_ config: Config) {
        server.published.publish(config)
        server.shards.dropFirst().forEach { $0.takeConfig() }
    }
    override func rewriteConfigFile() -> String? { rewriteError }
    override func shutDown() { shutdowns += 1 }
}
