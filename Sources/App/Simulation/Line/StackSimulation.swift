import Net
import Runtime

/// Two stacks of ours, some connections between them, and a line that does everything wrong: whatever the seed, each stream
/// arrives whole and in order, both sides close, and in the end no frame, block or timer is left. The stacks' structure is
/// checked on the way.
public final class StackSimulation {
    public struct Result {
        /// What is wrong; nil: nothing.
        public var failure: String?
        /// What the seed chose.
        public var setting: String
        /// Virtual time that passed, bytes that were read, and turns.
        public var time: Nanoseconds
        public var bytes: Int
        public var turns: Int
    }

    /// A stack and its users.
    private final class End {
        let pool: FramePool
        /// Goes before its pool.
        private(set) var stack: Stack!
        let burst = FrameQueue(capacity: 256)
        var users: [LineUser] = []

        init(_ configuration: Stack.Configuration, frames: Int, entropy: Entropy, now: Nanoseconds) {
            pool = FramePool(count: frames)
            stack = Stack(configuration: configuration, pool: pool, entropy: entropy, now: now)
        }

        deinit {
            while let d = burst.pop() { pool.release(d.frame) }
            burst.deallocate()
            stack = nil
            pool.deallocate()
        }
    }

    private static let port: UInt16 = 7
    /// The stacks' patience with silence ends earlier.
    private static let patience: Nanoseconds = .seconds(2_000)
    private static let mostTurns = 400_000

    private let start: Nanoseconds = .seconds(10)
    private var now: Nanoseconds
    private var line: RoughLine
    private let ends: [End]
    private let setting: String
    /// Users of the accepting end that nobody has yet, by the connecting end's port.
    private var expected: [(port: UInt16, user: LineUser)] = []
    private var turns = 0
    private var ghost: String?
    /// What the users have done together, and when that changed last.
    private var progress = -1
    private var lastProgress: Nanoseconds = 0
    private let checkEvery: Int
    /// Told of every segment that leaves, for who wants to read what happened.
    private let trace: ((String) -> Void)?

    /// - Parameter checkEvery: turns between two checks of the structure.
    private init(seed: UInt64, checkEvery: Int, trace: ((String) -> Void)?) {
        var entropy = Entropy(seed: seed)
        now = start
        self.checkEvery = checkEvery
        self.trace = trace
        line = RoughLine(entropy: Entropy(seed: entropy.next()))
        let frames = [64, 128, 256, 512, 1_024][entropy.next(below: 5)]
        var common = Stack.Configuration(hardwareAddress: MACAddress(bits: 0), address: IPv4Address(bits: 0))
        common.congestionControl = entropy.chance(0.6) ? .cubic : .newReno
        var ends: [End] = []
        for number in 1...2 {
            var c = common
            c.hardwareAddress = MACAddress(bits: 0x0200_0000_0000 | UInt64(number))
            c.address = IPv4Address(10, 0, 0, UInt8(number))
            c.timestamps = entropy.chance(0.8)
            c.ecn = [.off, .answer, .offer][entropy.next(below: 3)]
            c.receiveWindow = 2_048 << entropy.next(below: 8)
            c.sendFrames = 1 + entropy.next(below: 64)
            c.mtu = [576, 1_280, 1_500, 1_500][entropy.next(below: 4)]
            // Three lost probes end a connection: not too often on such a line.
            c.keepalive = entropy.chance(0.3) ? .seconds(600) : 0
            c.maxHalfOpen = entropy.chance(0.2) ? 0 : 64
            c.transmitCapacity = entropy.chance(0.1) ? 8 : 256
            let own = Entropy(seed: entropy.next())
            ends.append(End(c, frames: frames, entropy: own, now: now))
        }
        self.ends = ends
        let connections = 1 + entropy.next(below: 3)
        setting =
            "\(frames) frames, \(connections) connections, \(line.description), \(ends.map(\.stack.configuration))"
        ends[1].stack.listen(port: Self.port)
        for number in 0..<connections { connect(number, &entropy) }
    }

    private func connect(_ number: Int, _ entropy: inout Entropy) {
        let (here, there) = (Self.manner(&entropy), Self.manner(&entropy))
        let client = LineUser(here, salt: number * 7, peerSalt: number * 7 + 3, entropy: Entropy(seed: entropy.next()))
        let server = LineUser(
            // One of the two must begin.
            there.closesLast && here.closesLast
                ? LineUser.Manner(length: there.length, writes: 900, reads: 900) : there,
            salt: number * 7 + 3, peerSalt: number * 7, entropy: Entropy(seed: entropy.next()))
        guard let c = ends[0].stack.connect(to: IPv4Address(10, 0, 0, 2), port: Self.port, now: now) else { return }
        client.opened(c)
        ends[0].users.append(client)
        expected.append((ends[0].stack.localPort(c), server))
    }

    private static func manner(_ entropy: inout Entropy) -> LineUser.Manner {
        var m = LineUser.Manner()
        m.length = entropy.chance(0.1) ? 0 : entropy.next(below: [100, 3_000, 30_000, 60_000][entropy.next(below: 4)])
        m.writes = [1, 60, 900, 9_000, 90_000][entropy.next(below: 5)]
        if m.length > 3_000 { m.writes = max(m.writes, 900) }
        m.reads = [900, 4_000, 1 << 20, 1 << 20][entropy.next(below: 4)]
        if entropy.chance(0.25) { m.pause = .milliseconds(Int64(1 + entropy.next(below: 400))) }
        m.closesLast = entropy.chance(0.3)
        if entropy.chance(0.08) { m.abortsAt = entropy.next(below: 20_000) }
        m.leaves = entropy.chance(0.1)
        return m
    }

    /// The whole run for one seed.
    public static func run(seed: UInt64, checkEvery: Int = 1, trace: ((String) -> Void)? = nil) -> Result {
        let simulation = StackSimulation(seed: seed, checkEvery: checkEvery, trace: trace)
        let failure = simulation.run()
        let bytes = simulation.ends.flatMap(\.users).reduce(0) { $0 + $1.read }
        return Result(
            failure: failure, setting: simulation.setting, time: simulation.now - simulation.start, bytes: bytes,
            turns: simulation.turns)
    }

    private func run() -> String? {
        while !ends.allSatisfy({ $0.users.allSatisfy(\.isClosed) }) || !expected.isEmpty {
            if let failure = turn() { return failure }
            if turns > Self.mostTurns { return "stuck: \(state)" }
            noteProgress()
            if now - lastProgress > Self.patience {
                if let failure = giveUpWaiting() { return failure }
                break
            }
            advance(wishes: true)
        }
        if let failure = wholeness() { return failure }
        // Only time remains: TIME-WAIT, neighbours, paths.
        line.becomePerfect()
        var rounds = 0
        while ends.contains(where: { $0.stack.controlBlocks > 0 || $0.stack.scheduledTimers > 0 })
            || line.nextDeadline != nil
        {
            rounds += 1
            if rounds > 5_000 { return "left over: \(state)" }
            advance(wishes: false)
            if let failure = turn() { return failure }
        }
        for (number, end) in ends.enumerated() where end.pool.freeCount != end.pool.count {
            return "end \(number) lost \(end.pool.count - end.pool.freeCount) frames"
        }
        return nil
    }

    private func noteProgress() {
        let sum = ends.flatMap(\.users).reduce(0) {
            $0 + $1.written + $1.read + ($1.hasEnded ? 1 : 0) + ($1.isClosed ? 1 : 0)
        }
        if sum != progress { (progress, lastProgress) = (sum, now) }
    }

    /// Nothing has happened for longer than anybody is patient. That is right where one end knows nothing of the other's
    /// end: it aborted, left or gave up, and its RST, which nobody repeats, got lost; or the listener had only sent a cookie.
    private func giveUpWaiting() -> String? {
        expected = []
        for (number, end) in ends.enumerated() {
            for user in end.users where !user.isClosed {
                let peer = ends[1 - number].users.first { $0.isPeer(of: user) }
                guard let peer else {
                    user.giveUp(end.stack)
                    continue
                }
                let isCut = peer.isClosed && (peer.hasAborted || peer.manner.leaves || !peer.hasEnded)
                guard isCut else { return "stuck: \(state)" }
                user.giveUp(end.stack)
            }
        }
        return nil
    }

    // MARK: turns

    private func turn() -> String? {
        turns += 1
        while let (target, bytes) = line.next(now: now) { arrive(bytes, at: ends[target]) }
        for (number, end) in ends.enumerated() {
            end.stack.input(end.burst, now: now)
            serve(number, end)
            end.stack.advanceTimers(now: now)
            end.stack.output(now: now)
            while let d = end.stack.transmitQueue.pop() {
                let p = UnsafeRawBufferPointer(start: end.pool.address(d.frame) + Int(d.offset), count: Int(d.length))
                if let trace { trace("\((now - start) / 1_000) us, end \(number): \(Datagrams.describe([UInt8](p)))") }
                line.carry([UInt8](p), from: number, now: now)
                end.pool.release(d.frame)
            }
            if turns % checkEvery == 0, let wrong = end.stack.findViolation() { return "end \(number): \(wrong)" }
            if let ghost { return ghost }
            for user in end.users { if let failure = user.failure { return "end \(number): \(failure)" } }
        }
        return nil
    }

    private func arrive(_ bytes: [UInt8], at end: End) {
        guard bytes.count <= end.stack.configuration.mtu + 14, let frame = end.pool.allocateReserved() else { return }
        bytes.withUnsafeBytes { (end.pool.address(frame) + 64).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        let d = FrameDescriptor(frame: frame, offset: 64, length: bytes.count)
        if !end.burst.push(d) { end.pool.release(frame) }
    }

    private func serve(_ number: Int, _ end: End) {
        var served: [TCPConnection: StreamEvents] = [:]
        while let c = end.stack.nextEvent() {
            let events = end.stack.takeEvents(c)
            if number == 1, events.contains(.opened), !accept(c, end) { continue }
            served[c, default: []].formUnion(events)
        }
        for user in end.users where !user.isClosed {
            user.serve(end.stack, user.connection.flatMap { served[$0] } ?? [], now: now)
        }
    }

    /// False when nobody expects the connection: it is gone then.
    private func accept(_ c: TCPConnection, _ end: End) -> Bool {
        let port = end.stack.remote(c).port
        guard let index = expected.firstIndex(where: { $0.port == port }) else {
            // An old duplicate of the ACK of a cookie opens the connection once more, after its end (RFC 4987 3.6: a listener
            // that keeps nothing cannot know). Everybody else opens once.
            if end.stack.statistics.tcpSynCookiesAccepted == 0 { ghost = "a connection opened twice" }
            end.stack.abort(c)
            end.stack.free(c)
            return false
        }
        expected[index].user.opened(c)
        end.users.append(expected.remove(at: index).user)
        return true
    }

    /// To the next instant at which anything happens.
    private func advance(wishes: Bool) {
        var next = [line.nextDeadline, ends[0].stack.nextDeadline, ends[1].stack.nextDeadline].compactMap { $0 }.min()
        if wishes {
            for end in ends {
                for user in end.users { if let wish = user.nextWish { next = min(next ?? wish, wish) } }
            }
        }
        now = max(now + 20_000, min(next ?? .max, now + .seconds(400)))
    }

    // MARK: what must be so

    /// Whoever was not cut off has everything.
    private func wholeness() -> String? {
        let pairs = ends[0].users.flatMap { client in
            ends[1].users.filter { client.isPeer(of: $0) }.map { (client, $0) }
        }
        for (a, b) in pairs {
            if a.hasAborted || b.hasAborted { continue }
            // A listener that keeps nothing takes an ACK that overtakes that of its cookie for a stranger's.
            if ends[1].stack.statistics.tcpSynCookiesFailed > 0, !a.hasEnded || !b.hasEnded { continue }
            for (reader, writer) in [(a, b), (b, a)] where !reader.manner.leaves && !writer.manner.leaves {
                if reader.read != writer.manner.length { return "not whole: \(state)" }
                if !reader.hasEnded { return "no end of a stream: \(state)" }
            }
        }
        return nil
    }

    private var state: String {
        ends.map { end in
            let counters = Mirror(reflecting: end.stack.statistics).children.compactMap { child in
                (child.value as? UInt64).flatMap { $0 == 0 ? nil : "\(child.label ?? "") \($0)" }
            }
            return "[\(end.users.map(\.description)), \(end.stack.controlBlocks) blocks, "
                + "\(end.stack.scheduledTimers) timers, \(end.pool.freeCount) free, \(counters.joined(separator: ", "))]"
        }.joined(separator: " ") + " after \(turns) turns, \(now - start) ns"
    }
}
