import Net
import Runtime
import Store

/// What commands and sessions see of the shard they run on; the poll loop around it is `Shard`. Used by one thread.
final class ShardState {
    /// 0..<shardCount.
    let id: Int
    let shardCount: Int
    /// The keys that this shard owns.
    let keyspace: Keyspace
    /// Number 0, where nearly every client is: without a call.
    private let firstDatabase: Database
    /// Which shard owns which key.
    let slots: SlotTable
    let sessions: SessionTable
    let mesh: Mesh
    let outbound: Outbound
    let requests: RemoteRequestPool
    /// Of `keyspace`; commands that write note their keys where there are several shards.
    let writes: RecentWrites
    /// For reading requests; its limits are those of `limits`.
    let scratch: RequestScratch
    /// What the server is configured to be, for all shards.
    let published: RCUPublished<Config>
    /// This turn's `published.current`.
    private(set) var config: Config
    /// `config.limits`, as plain memory for the data path.
    private(set) var limits: Config.Limits
    /// The server around the shards.
    let control: ServerControl
    let table: CommandTable
    /// The shard's sources of byte streams, and of INFO's network counters.
    let streams: Streams
    /// Clock readings of this turn.
    var monotonic: Nanoseconds = 0
    var unixMilliseconds: Int64 = 0
    /// Unix time less monotonic time in nanoseconds, as of at most a millisecond ago.
    var unixOffset: Nanoseconds = 0
    /// For the few commands that ask.
    var unixMicroseconds: Int64 {
        get { (monotonic &+ unixOffset) / 1000 }
        set { unixOffset = newValue &* 1000 &- monotonic }
    }
    var entropy: Entropy
    /// There is no core without a shard: clients on this machine need the idle time of ours.
    var sharesCore = false
    var statistics = ShardStatistics()
    var loop = LoopStatistics()
    /// Where this shard's time goes; begun by its loop.
    var cycles: CycleAccount
    /// What this shard does, step by step, while DEBUG TRACE is on; and what its ticks mean, kept up by the loop.
    var trace = TraceRing()
    var tickScale = TickScale(ManualClock())
    /// Sessions that are to be closed at the next opportunity (CLIENT KILL, output limit); each has the flag `closeNow`,
    /// which keeps its memory.
    var pendingClose: [Session] = []
    /// A millisecond has begun since the timers were looked at, they had more to do than one turn's budget, or a session is
    /// to be closed.
    var choresAreDue = true
    /// Sessions in `sessions` that are no clients any more: left, or refused.
    var departed = 0

    init(
        id: Int, mesh: Mesh, keyspace: Keyspace, published: RCUPublished<Config>, control: ServerControl,
        streams: Streams, entropy: Entropy
    ) {
        self.id = id
        shardCount = mesh.shardCount
        self.mesh = mesh
        self.keyspace = keyspace
        firstDatabase = keyspace.database(0)
        writes = keyspace.recentWrites
        self.published = published
        self.control = control
        self.streams = streams
        table = CommandTable.shared
        self.entropy = entropy
        cycles = CycleAccount(now: 0, ticksPerReading: 0, seed: self.entropy.next())
        slots = SlotTable(shardCount: mesh.shardCount)
        sessions = SessionTable(shard: id, shardCount: mesh.shardCount)
        outbound = Outbound(mesh: mesh, id: id)
        requests = RemoteRequestPool()
        config = published.current
        limits = config.limits
        scratch = RequestScratch(maximumBulkLength: limits.protoMaxBulkLength, maximumBuffered: limits.queryBuffer)
        streams.kernel?.keepalive = config.tcpKeepalive
        streams.stack?.setConnectionBound(clients: limits.maxClients)
    }

    /// A shard without streams and peers' threads, for tests of commands.
    convenience init(
        id: Int, shardCount: Int, keyspace: Keyspace, config: Config, entropy: Entropy, control: ServerControl
    ) {
        self.init(
            id: id, mesh: Mesh(shardCount: shardCount), keyspace: keyspace, published: RCUPublished(config),
            control: control, streams: Streams(stack: nil, kernel: nil), entropy: entropy)
    }

    deinit {
        sessions.deallocate()
        requests.deallocate()
        trace.deallocate()
        outbound.deallocate()
        keyspace.deallocate()
    }

    /// Once a turn: one load; work only after CONFIG SET.
    @inline(__always)
    func refreshConfig() {
        if published.identity != UnsafeRawPointer(Unmanaged.passUnretained(config).toOpaque()) { takeConfig() }
    }

    @inline(never)
    func takeConfig() {
        config = published.current
        limits = config.limits
        scratch.state.pointee.maximumBulkLength = limits.protoMaxBulkLength
        scratch.state.pointee.maximumBuffered = limits.queryBuffer
        streams.kernel?.keepalive = config.tcpKeepalive
        streams.stack?.setKeepalive(limits.tcpKeepalive)
        streams.stack?.setConnectionBound(clients: limits.maxClients)
    }

    /// Keys whose deadline has passed, tables that grow or shrink, and what FLUSHALL left to be freed, in small budgets.
    /// True while there is more: the shard must not sleep over it.
    func tendKeys() -> Bool {
        let budget = 64
        let expired = keyspace.expireDue(unixMilliseconds: unixMilliseconds, monotonic: monotonic, budget: budget)
        let more = keyspace.incrementalWork(budget: 256)
        return more || expired == budget || keyspace.isExpiryDue(monotonic: monotonic)
    }

    @inline(__always)
    func database(_ index: UInt16) -> Database { index == 0 ? firstDatabase : keyspace.database(Int(index)) }

    /// Records what this shard does from the next turn on: of all clients, or of one.
    func startTrace(client: UInt64) {
        let remote = client == 0 ? nil : sessions.find(id: client)?.state.pointee.remote
        trace.turnOn(
            client: client, remote: remote.map { TraceRing.remote(address: $0.address.bits, port: $0.port) } ?? 0,
            now: monotonic)
        // Turns are run by the copy of the loop that looks on, until somebody counts this up again.
        cycles.untilSample = 0
    }

    func closeSoon(_ session: Session) {
        session.state.pointee.flags.insert(.closeNow)
        pendingClose.append(session)
        choresAreDue = true
    }

    // MARK: executing

    /// What a command of `session` sees on this shard, before its arguments are set.
    @inline(__always)
    func context(_ session: Session, sink: ReplySink, span: OutputSpan) -> CommandContext {
        CommandContext(
            arguments: .none, reply: ReplyWriter(span, sink: sink, isRESP3: session.isRESP3),
            database: database(session.state.pointee.database), shard: self, session: session,
            clientID: session.id)
    }

    /// Executes a command, or its part, for a client of another shard (or this shard's part of a fan-out of ours).
    func execute(_ request: UnsafeMutablePointer<RemoteRequest>, sink: RequestSink) {
        var context = CommandContext(
            arguments: request.arguments,
            reply: ReplyWriter(
                sink.begin(request.replyHead, ends: 0, of: request), sink: sink, isRESP3: request.pointee.isRESP3),
            database: database(request.pointee.database), shard: self, session: nil,
            clientID: request.pointee.clientID)
        // A fan-out counts once, where it begins.
        if request.pointee.fanOut == nil { statistics.commandsProcessed &+= 1 }
        let command = request.pointee.command
        switch request.pointee.kind {
        case .part:
            if command.pointee.flags.contains(.write) { writes.noteAll() }
            executePart(command.pointee.id, &context)
        default: execute(command, &context)
        }
        sink.finish(at: context.reply.finish())
    }

    /// Runs the commands of a run without a look at the origin's line.
    /// - Parameters:
    ///   - replyOffset: of the message.
    ///   - words: room for those of a command.
    @inline(__always)
    func executeRun(
        _ request: UnsafeMutablePointer<RemoteRequest>, replyOffset: Int, sink: RequestSink,
        words: UnsafeMutablePointer<ByteView>
    ) {
        let span = sink.begin(request.replyHead(at: replyOffset), ends: 0, of: request)
        var context = runContext(request, span, sink)
        var record = UnsafeRawPointer(request.records)
        for _ in 0..<Int(request.pointee.argumentCount) { record = execute(record, words, &context) }
        sink.finish(at: context.reply.finish())
    }

    /// The same for a volley, with the ends of its replies. Whether its commands count is known where they came from.
    @inline(__always)
    func executeVolley(
        _ request: UnsafeMutablePointer<RemoteRequest>, replyOffset: Int, sink: RequestSink,
        words: UnsafeMutablePointer<ByteView>
    ) {
        let count = Int(request.pointee.argumentCount)
        let head = request.replyHead(at: replyOffset)
        var context = runContext(request, sink.begin(head, ends: count, of: request), sink)
        var record = UnsafeRawPointer(request.records)
        for index in 0..<count {
            record = execute(record, words, &context)
            head.ends[index] = UInt32(truncatingIfNeeded: sink.count(at: context.reply.finish()))
        }
        statistics.commandsProcessed &-= UInt64(truncatingIfNeeded: count)
        sink.finish(at: context.reply.finish())
    }

    @inline(__always)
    private func runContext(
        _ request: UnsafeMutablePointer<RemoteRequest>, _ span: OutputSpan, _ sink: RequestSink
    ) -> CommandContext {
        CommandContext(
            arguments: .none, reply: ReplyWriter(span, sink: sink, isRESP3: request.pointee.isRESP3),
            database: database(request.pointee.database), shard: self, session: nil, clientID: 0)
    }

    /// Runs the command of a record. Returns the place behind it.
    @inline(__always)
    func execute(
        _ record: UnsafeRawPointer, _ words: UnsafeMutablePointer<ByteView>, _ context: inout CommandContext
    ) -> UnsafeRawPointer {
        let (command, count, end) = CommandRecord.read(record, words, table)
        context.arguments = Arguments(base: words, count: count)
        statistics.commandsProcessed &+= 1
        execute(command, &context)
        return end
    }

    /// Runs a command where there are other shards: what it may change is noted (`RecentWrites`).
    @inline(__always)
    func execute(_ command: UnsafePointer<CommandEntry>, _ context: inout CommandContext) {
        if command.pointee.flags.contains(.write) { noteKeys(command, context.arguments) }
        switch command.pointee.id {
        case .get: getCommand(&context)
        case .set: setCommand(&context)
        default: App.execute(command.pointee.id, &context)
        }
    }

    @inline(__always)
    private func noteKeys(_ command: UnsafePointer<CommandEntry>, _ arguments: Arguments) {
        let first = Int(command.pointee.firstKey)
        guard first > 0 else { return writes.noteAll() }
        if command.pointee.lastKey == command.pointee.firstKey { return writes.note(arguments[first]) }
        for position in command.pointee.keyPositions(argumentCount: arguments.count) {
            writes.note(arguments[position])
        }
    }
}

extension ShardState {
    /// Link, stack and pools for INFO.
    func networkReport() -> NetworkReport {
        var report = NetworkReport()
        if let stack = streams.stack {
            report.stack = CounterBlock(stack.statistics)
            report.frames = UInt64(stack.pool.count)
            report.framesFree = UInt64(stack.pool.freeCount)
            report.framesLowestFree = UInt64(stack.pool.lowestFree)
            report.waitingBytes = UInt64(stack.chunks.footprint)
            report.tableBytes = UInt64(stack.tableBytes)
            report.connections = UInt64(stack.liveConnections)
            report.connectionsInTimeWait = UInt64(stack.controlBlocks - stack.liveConnections)
            report.bytesReceived = stack.statistics.tcpBytesReceived
            report.bytesSent = stack.statistics.tcpBytesSent
        }
        if let kernel = streams.kernel {
            report.kernel = CounterBlock(kernel.statistics)
            report.waitingBytes &+= UInt64(kernel.chunks.footprint)
            report.kernelConnections = UInt64(kernel.liveConnections)
            report.bytesReceived &+= kernel.statistics.receivedBytes
            report.bytesSent &+= kernel.statistics.sentBytes
        }
        if let linkStatistics = streams.linkStatistics { report.link = CounterBlock(linkStatistics) }
        report.remoteRequests = UInt64(requests.liveCount)
        report.handover = CounterBlock(outbound.statistics)
        var loop = loop
        loop.wakesSent = outbound.wakesSent
        report.loop = CounterBlock(loop)
        report.systemCalls =
            loop.systemCalls &+ (streams.linkStatistics?.systemCalls ?? 0)
            &+ (streams.kernel?.statistics.systemCalls ?? 0)
        return report
    }

    /// The second step of a command on all shards, or the sum of the parts of a command on several keys.
    func combine(_ command: UnsafePointer<CommandEntry>, _ parts: [ByteView], _ context: inout CommandContext) {
        if command.pointee.routing == .multiKey {
            sumIntegers(parts, &context)
        } else {
            parts.withUnsafeBufferPointer { combineParts(command.pointee.id, parts: $0, &context) }
        }
    }

    /// Each part is an integer reply (`:n`), or an error, which then is the whole command's reply.
    private func sumIntegers(_ parts: [ByteView], _ context: inout CommandContext) {
        var sum: Int64 = 0
        for part in parts {
            guard part.count >= 4, part[0] == UInt8(ascii: ":"),
                let number = parseInteger(ByteView(part.base + 1, part.count - 3))
            else { return context.reply.append(part) }
            sum &+= number
        }
        context.reply.integer(sum)
    }
}
