import Runtime

/// What the replies must be. For each request under way it remembers what was asked, for each key what was written.
///
/// Assumes that nobody else writes these keys meanwhile. What it finds: replies of a wrong type, or in a wrong order (a value
/// names its key); damaged or cut values, and such as were never written; a missing value after a write was confirmed; a
/// value that is not the last one, where only one can be; counters that do not grow, and in the end counters that were not
/// incremented once for each reply.
final class Verifier {
    /// What was asked; one for each request under way, in the client's ring.
    private struct Due: BitwiseCopyable {
        var kind: RequestKind
        /// GET: a write of this key was confirmed before it was sent.
        var mustExist: Bool
        /// Number of the key.
        var key: UInt32
        /// SET: its stamp. GET: the stamp that the value must have unless the key is written meanwhile; 0: any.
        var stamp: UInt32
        /// INCR: the counter was at least this before.
        var floor: Int64
    }

    private struct Key: BitwiseCopyable {
        /// Of the write sent last; 0: none.
        var lastSent: UInt32 = 0
        /// Writes that are not answered.
        var underWay: UInt16 = 0
        /// Nothing else was under way when the last write was sent: once it is confirmed, the value is known.
        var isAlone = false
        /// A write was confirmed.
        var isWritten = false
    }

    private struct Counter: BitwiseCopyable {
        /// The largest and smallest reply, and how many.
        var largest = Int64.min
        var smallest = Int64.max
        var replies: Int64 = 0
    }

    /// In values: which run wrote it.
    let run: UInt32
    /// The stamp of the next value.
    private var nextStamp: UInt32 = 1
    private let dues: UnsafeMutablePointer<Due>
    private let ring: Int
    private let keys: UnsafeMutablePointer<Key>
    private let counters: UnsafeMutablePointer<Counter>
    private let keyCount: Int
    private let sizes: ClosedRange<Int>
    /// Commands that write several keys are on: no value can be foretold.
    private var isUncertain = false
    /// Beginnings of replies, by client.
    private var partial: [Int: [UInt8]] = [:]
    /// More keys would take more memory than such a test is worth.
    static let largestKeyspace = 1 << 24

    init(_ settings: BenchSettings, ring: Int, run: UInt32) {
        self.run = run
        self.ring = ring
        sizes = settings.sizes
        keyCount = max(1, settings.keyspace)
        dues = .allocate(capacity: settings.clients * ring)
        keys = .allocate(capacity: keyCount)
        keys.initialize(repeating: Key(), count: keyCount)
        counters = .allocate(capacity: keyCount)
        counters.initialize(repeating: Counter(), count: keyCount)
    }

    deinit {
        dues.deallocate()
        keys.deallocate()
        counters.deallocate()
    }

    /// The next value of a key.
    func write(_ place: UnsafeMutableRawPointer, size: Int, key: Int) {
        VerifiedValue.write(place, size: size, key: key, stamp: UInt64(run) << 32 | UInt64(nextStamp))
        nextStamp &+= 1
    }

    /// A request was written, the `position`-th of its client; `key` is the last that it names.
    func sent(_ kind: RequestKind, client: Int, position: Int, key: Int) {
        var due = Due(kind: kind, mustExist: false, key: UInt32(key), stamp: 0, floor: .min)
        switch kind {
        case .set:
            due.stamp = nextStamp &- 1
            keys[key].isAlone = keys[key].underWay == 0
            keys[key].underWay &+= 1
            keys[key].lastSent = due.stamp
        case .get:
            due.mustExist = keys[key].isWritten
            if keys[key].underWay == 0, keys[key].isAlone, !isUncertain { due.stamp = keys[key].lastSent }
        case .incr: due.floor = counters[key].largest
        case .mset: isUncertain = true
        case .ping, .other: break
        }
        dues[client &* ring &+ position & (ring &- 1)] = due
    }

    /// The request was lost with its connection: whether it took effect is not known.
    func lost(client: Int, position: Int) {
        let due = dues[client &* ring &+ position & (ring &- 1)]
        if due.kind == .set {
            keys[Int(due.key)].underWay &-= 1
            keys[Int(due.key)].isAlone = false
        }
        if due.kind == .incr { counters[Int(due.key)].replies = .min }
        partial[client] = nil
    }

    /// Takes in the next piece of a client's replies; `answer` gets each that is complete, in order.
    func receive(_ view: ByteView, client: Int, _ answer: (ByteView) -> Void) {
        guard var bytes = partial.removeValue(forKey: client) else {
            let rest = split(view, answer)
            if rest < view.count {
                partial[client] = Array(UnsafeRawBufferPointer(start: view.base + rest, count: view.count - rest))
            }
            return
        }
        bytes += UnsafeRawBufferPointer(start: view.base, count: view.count)
        let rest = bytes.withUnsafeBytes { split(ByteView($0.baseAddress!, $0.count), answer) }
        bytes.removeFirst(rest)
        if !bytes.isEmpty { partial[client] = bytes }
    }

    /// Whole replies from the start; returns where the rest begins.
    private func split(_ view: ByteView, _ answer: (ByteView) -> Void) -> Int {
        var start = 0
        while start < view.count, let length = ReplyText.length(ByteView(view.base + start, view.count - start)) {
            answer(ByteView(view.base + start, length))
            start += length
        }
        return start
    }

    /// nil: the reply is right. Otherwise what is wrong.
    func check(_ reply: ByteView, client: Int, position: Int) -> String? {
        let due = dues[client &* ring &+ position & (ring &- 1)]
        let key = Int(due.key)
        switch due.kind {
        case .other: return nil
        case .ping: return expect(reply, "+PONG\r\n", "PING")
        case .mset: return expect(reply, "+OK\r\n", "MSET")
        case .set:
            keys[key].underWay &-= 1
            let problem = expect(reply, "+OK\r\n", "SET of key \(key)")
            if problem == nil { keys[key].isWritten = true }
            return problem
        case .get: return value(reply, due)
        case .incr: return counter(reply, due)
        }
    }

    private func expect(_ reply: ByteView, _ text: StaticString, _ what: @autoclosure () -> String) -> String? {
        let wanted = ByteView(text.utf8Start, text.utf8CodeUnitCount)
        return reply.equals(wanted) ? nil : "\(what()) was answered by \(ReplyText.excerpt(reply))"
    }

    private func value(_ reply: ByteView, _ due: Due) -> String? {
        guard let value = ReplyText.bulk(reply) else {
            guard reply[0] == UInt8(ascii: "$") || reply[0] == UInt8(ascii: "_") else {
                return "GET of key \(due.key) was answered by \(ReplyText.excerpt(reply))"
            }
            return due.mustExist ? "GET of key \(due.key) found nothing, and it was written before" : nil
        }
        guard sizes.contains(value.count) else {
            return "GET of key \(due.key) found \(value.count) bytes; values have \(sizes.lowerBound) to "
                + "\(sizes.upperBound)"
        }
        switch VerifiedValue.check(value, key: Int(due.key)) {
        case .foreign(let other): return "GET of key \(due.key) found a value of key \(other)"
        case .damaged(let at): return "GET of key \(due.key) found a value that was never written, from byte \(at) on"
        case .valid(let stamp):
            guard stamp != 0, due.stamp != 0, keys[Int(due.key)].lastSent == due.stamp else { return nil }
            let wanted = UInt64(run) << 32 | UInt64(due.stamp)
            return stamp == wanted ? nil : "GET of key \(due.key) found an older value than the last"
        }
    }

    private func counter(_ reply: ByteView, _ due: Due) -> String? {
        guard let number = ReplyText.integer(reply) else {
            return "INCR of counter \(due.key) was answered by \(ReplyText.excerpt(reply))"
        }
        let counter = counters + Int(due.key)
        counter.pointee.largest = max(counter.pointee.largest, number)
        counter.pointee.smallest = min(counter.pointee.smallest, number)
        counter.pointee.replies &+= 1
        return number > due.floor
            ? nil : "INCR of counter \(due.key) was answered by \(number), and it was \(due.floor) before"
    }

    /// After everything was answered: each counter grew by one for each reply. The number of those that did not.
    func finish() -> (wrong: Int, text: String?) {
        var (wrong, text) = (0, String?.none)
        for key in 0..<keyCount where counters[key].replies > 0 {
            let counter = counters[key]
            guard counter.largest - counter.smallest + 1 != counter.replies else { continue }
            wrong += 1
            text =
                text ?? "counter \(key) went from \(counter.smallest) to \(counter.largest) with "
                + "\(counter.replies) increments"
        }
        return (wrong, text)
    }
}

/// Replies that lie whole in memory.
enum ReplyText {
    /// Bytes of the first reply in the view; nil: it is not whole. What is no reply counts as one, to its end.
    static func length(_ view: ByteView) -> Int? {
        var scanner = ReplyScanner()
        var result = ScanResult()
        let length = scanner.first(view, &result)
        return result.isBroken ? view.count : length
    }

    /// The bytes of a bulk string; nil: it is something else.
    static func bulk(_ reply: ByteView) -> ByteView? {
        guard reply[0] == UInt8(ascii: "$"), reply.count >= 6, reply[1] != UInt8(ascii: "-") else { return nil }
        var start = 1
        while reply[start] != 10 { start += 1 }
        return ByteView(reply.base + start + 1, reply.count - start - 3)
    }

    static func integer(_ reply: ByteView) -> Int64? {
        guard reply[0] == UInt8(ascii: ":"), reply.count >= 4 else { return nil }
        return Int64(ByteView(reply.base + 1, reply.count - 3).string)
    }

    /// For people: what it begins with.
    static func excerpt(_ reply: ByteView) -> String {
        ByteView(reply.base, min(60, reply.count)).string.debugDescription
    }
}
