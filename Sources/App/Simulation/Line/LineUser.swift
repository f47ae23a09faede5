import Net
import Runtime

/// The user at one end of one connection: writes, reads and closes in its own way, from a seed. Bytes are known by their
/// place in the stream, so nothing is kept.
final class LineUser {
    /// How this end behaves; drawn once.
    struct Manner {
        /// Bytes to send.
        var length = 0
        /// Most bytes of a write and of a read.
        var writes = 1
        var reads = 1
        /// Pause between two reads: a slow reader closes its window.
        var pause: Nanoseconds = 0
        /// Shuts down only after the other end did; closes with everything written otherwise.
        var closesLast = false
        /// Aborts when so many bytes were read; nil: never.
        var abortsAt: Int?
        /// Lets go as soon as all is written, without waiting for the end.
        var leaves = false
    }

    let manner: Manner
    /// Tells this stream's bytes from those of others.
    private let salt: Int
    private let peerSalt: Int
    private var entropy: Entropy
    private(set) var connection: TCPConnection?
    private(set) var written = 0
    private(set) var read = 0
    private(set) var hasEnded = false
    private(set) var isClosed = false
    private(set) var hasAborted = false
    private var isShut = false
    private var nextRead: Nanoseconds = 0
    /// It could have read or written more in its last turn.
    private var hasMore = false
    private(set) var failure: String?

    init(_ manner: Manner, salt: Int, peerSalt: Int, entropy: Entropy) {
        self.manner = manner
        self.salt = salt
        self.peerSalt = peerSalt
        self.entropy = entropy
    }

    /// When it does something by itself, though nothing happened; nil: never.
    var nextWish: Nanoseconds? {
        if connection == nil || isClosed { return nil }
        return hasMore ? nextRead : nil
    }

    var description: String {
        "written \(written)/\(manner.length) read \(read) ended \(hasEnded) closed \(isClosed) aborted \(hasAborted)"
    }

    private static func byte(_ place: Int, _ salt: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: (place &* 0x9E37_79B1) >> 13 &+ salt)
    }

    /// The two ends of one connection have each other's salts.
    func isPeer(of other: LineUser) -> Bool { salt == other.peerSalt && peerSalt == other.salt }

    func opened(_ connection: TCPConnection) { self.connection = connection }

    /// What happened, then what this user does in a turn.
    func serve(_ stack: Stack, _ events: StreamEvents, now: Nanoseconds) {
        guard let c = connection, !isClosed else { return }
        if events.contains(.endOfStream) { hasEnded = true }
        if events.contains(.readable) { hasMore = true }
        if events.contains(.closed) {
            readAll(stack, c)
            return close(stack, c)
        }
        if now >= nextRead { readSome(stack, c, now) }
        if let limit = manner.abortsAt, read >= limit {
            hasAborted = true
            stack.abort(c)
            return close(stack, c)
        }
        writeSome(stack, c)
    }

    /// The simulation's end for who would wait for ever.
    func giveUp(_ stack: Stack) {
        guard let c = connection, !isClosed else { return }
        hasAborted = true
        stack.abort(c)
        close(stack, c)
    }

    private func close(_ stack: Stack, _ c: TCPConnection) {
        stack.free(c)
        isClosed = true
    }

    // MARK: reading

    private func readAll(_ stack: Stack, _ c: TCPConnection) { while take(stack, c, .max) {} }

    private func readSome(_ stack: Stack, _ c: TCPConnection, _ now: Nanoseconds) {
        if manner.pause > 0 { nextRead = now + Int64(entropy.next(below: Int(manner.pause))) + 1 }
        var left = 1 + entropy.next(below: manner.reads)
        while left > 0 {
            let before = read
            guard take(stack, c, left) else { break }
            left -= read - before
        }
        hasMore = left <= 0
    }

    private func take(_ stack: Stack, _ c: TCPConnection, _ limit: Int) -> Bool {
        let piece = stack.received(c)
        guard piece.count > 0 else { return false }
        let n = min(piece.count, limit)
        for index in 0..<n where piece[index] != Self.byte(read + index, peerSalt) {
            failure = "byte \(read + index) is wrong"
            break
        }
        read += n
        stack.consume(c, n)
        return true
    }

    // MARK: writing

    private func writeSome(_ stack: Stack, _ c: TCPConnection) {
        var budget = 1 + entropy.next(below: manner.writes)
        while written < manner.length, budget > 0, stack.backlog(c) < 200_000 {
            let span = stack.outputSpan(c)
            let n = min(span.room, manner.length - written, budget)
            for index in 0..<n {
                span.cursor.storeBytes(of: Self.byte(written + index, salt), toByteOffset: index, as: UInt8.self)
            }
            stack.commit(c, span.cursor + n)
            written += n
            budget -= n
        }
        if budget <= 0 { hasMore = true }
        guard written == manner.length, !isShut, !manner.closesLast || hasEnded else { return }
        isShut = true
        if manner.leaves { close(stack, c) } else { stack.shutdown(c) }
    }
}
