import Runtime

/// What the measurement needs by which a receive window grows. A connection that receives much at once owns one; the
/// stack has at most `ReceiveTuning.maxStates` of them. A trivial value in a slab.
@usableFromInline
struct ReceiveState {
    /// Neighbours in the stack's list: the one whose round ended longest ago first.
    var previous: UnsafeMutablePointer<ReceiveState>?
    var next: UnsafeMutablePointer<ReceiveState>?
    let block: Block
    /// When the present round began, and the first octet that the user had not consumed then.
    var roundStart: Nanoseconds
    var roundUnread: SequenceNumber
    /// The round trip as the receiver sees it, > 0: from our ACK to the text that it let go.
    var roundTrip: Nanoseconds
    /// What the user consumed in a round trip of the last round, in bytes.
    var lastBytes = 0
    /// Bytes of the stack's budget that the connection holds: those of rcvLimit beyond its first value.
    var granted = 0
}

/// Windows beyond the first size, over all connections.
struct ReceiveTuning {
    static let maxStates = 1_024
    /// A state whose last round is older may be taken for another connection.
    static let idleTime: Nanoseconds = .seconds(5)

    let states: Slab<ReceiveState>
    /// Bytes that may still be promised. At first half of the pool's, so that all promises together can be kept.
    var budget: Int
    var oldest: UnsafeMutablePointer<ReceiveState>?
    var newest: UnsafeMutablePointer<ReceiveState>?

    init(budget: Int) {
        states = Slab(objectsPerChunk: 32)
        self.budget = budget
    }

    mutating func append(_ r: UnsafeMutablePointer<ReceiveState>) {
        r.pointee.previous = newest
        r.pointee.next = nil
        if let newest { newest.pointee.next = r } else { oldest = r }
        newest = r
    }

    mutating func unlink(_ r: UnsafeMutablePointer<ReceiveState>) {
        if let previous = r.pointee.previous { previous.pointee.next = r.pointee.next } else { oldest = r.pointee.next }
        if let next = r.pointee.next { next.pointee.previous = r.pointee.previous } else { newest = r.pointee.previous }
    }
}

/// The receive window (RFC 9293 3.8.6): what is advertised, and its growth. A window starts with
/// `Configuration.receiveWindow`. While the user keeps up with a sender whom the window may hold back, it grows to twice
/// what was consumed in a round trip (dynamic right-sizing, Fisk and Feng 2001): enough for a sender that doubles its rate,
/// or that repairs a loss while new text goes on.
extension Stack {
    /// The right edge that could be advertised now: never left of what was promised, and moved right only by steps worth
    /// a segment (silly window avoidance, RFC 9293 3.8.6.2.2).
    @inline(__always) func receiveEdge(_ b: Block) -> SequenceNumber {
        receiveEdge(b, unread: Int(b.pointee.rcvBytes))
    }

    /// `unread` is rcvBytes, maybe as a constant.
    @inline(__always) func receiveEdge(_ b: Block, unread: Int) -> SequenceNumber {
        let limit = Int(b.pointee.rcvLimit)
        let room = limit &- unread
        let gain = room &- b.pointee.rcvWindow
        return gain >= min(Int(b.pointee.mss), limit &>> 1) ? b.pointee.rcvNxt + room : b.pointee.rcvEdge
    }

    /// To be called when `rcvScale` is known.
    func setReceiveLimit(_ b: Block) {
        b.pointee.rcvLimit = UInt32(min(configuration.receiveWindow, 65_535 << Int(b.pointee.rcvScale)))
    }

    /// The peer should hear of the window without waiting for anything else: it could be twice what it knows of, which is
    /// less than 32 KiB (so that no connection begins with an update of the SYN's 64 KiB).
    @inline(__always) func isWindowUpdateDue(_ b: Block) -> Bool {
        let window = b.pointee.rcvWindow
        guard window &* 2 <= min(Int(b.pointee.rcvLimit) &- Int(b.pointee.rcvBytes), 65_534), b.pointee.state.canReceive
        else { return false }
        return receiveEdge(b) != b.pointee.rcvEdge
    }

    // MARK: growth

    /// The largest window that the scale agreed on can say.
    private func receiveCeiling(_ b: Block) -> Int {
        min(max(configuration.receiveWindow, configuration.receiveWindowMaximum), 65_535 << Int(b.pointee.rcvScale))
    }

    /// Text comes in bulk: measures, and grows the window when a round trip is over. Called when a full segment is
    /// acknowledged by itself, and for text behind text that is unread.
    @inline(__always) func tuneReceiveWindow(_ b: Block) {
        if let r = b.pointee.receive {
            if now &- r.pointee.roundStart >= r.pointee.roundTrip { endRound(b, r) }
        } else {
            startTuning(b)
        }
    }

    @inline(never) private func startTuning(_ b: Block) {
        guard Int(b.pointee.rcvLimit) < receiveCeiling(b), b.pointee.state.canReceive,
            !b.pointee.flags.contains(.released)
        else { return }
        if tuning.states.liveCount >= ReceiveTuning.maxStates, !reclaimTuning() { return }
        let r = tuning.states.allocate()
        let smoothed = Nanoseconds(b.pointee.estimator.smoothed >> 3) &* 1_000
        r.initialize(
            to: ReceiveState(
                block: b, roundStart: now, roundUnread: firstUnread(b),
                roundTrip: max(.milliseconds(1), smoothed == 0 ? .milliseconds(100) : smoothed)))
        tuning.append(r)
        b.pointee.receive = r
        askForRoundTrip(b)
    }

    /// The next segment takes the long way, where its echo is looked at.
    private func askForRoundTrip(_ b: Block) {
        if b.pointee.optionsLength != 0 { b.pointee.flags.insert(.measuresRoundTrip) }
    }

    @inline(__always) private func firstUnread(_ b: Block) -> SequenceNumber {
        b.pointee.rcvNxt - Int(b.pointee.rcvBytes)
    }

    @inline(never) private func endRound(_ b: Block, _ r: UnsafeMutablePointer<ReceiveState>) {
        let elapsed = now &- r.pointee.roundStart
        let consumed = max(0, firstUnread(b) - r.pointee.roundUnread)
        // A round that lasted longer than the round trip counts by its rate. No overflow: both are below 2^31.
        let trip = min(r.pointee.roundTrip, elapsed) / 1_000
        let bytes = elapsed < .seconds(1_000) ? Int(Int64(consumed) &* trip / max(1, elapsed / 1_000)) : 0
        grow(b, r, bytes)
        r.pointee.lastBytes = bytes
        r.pointee.roundStart = now
        r.pointee.roundUnread = firstUnread(b)
        tuning.unlink(r)
        tuning.append(r)
        askForRoundTrip(b)
    }

    private func grow(_ b: Block, _ r: UnsafeMutablePointer<ReceiveState>, _ bytes: Int) {
        var wanted = 2 &* bytes &+ 16 &* Int(b.pointee.mss)
        // In slow start the next round brings more than this one by what this one brought more than the last.
        let last = r.pointee.lastBytes
        if bytes > last, bytes / 4 <= last, last > 0 { wanted &+= min(wanted, wanted &* (bytes &- last) / last) }
        wanted = min(wanted, receiveCeiling(b))
        let growth = wanted &- Int(b.pointee.rcvLimit)
        guard growth > 0, pool.freeCount >= scarceFrames &* 2 else { return }
        if tuning.budget < growth { _ = reclaimTuning() }
        let granted = min(growth, tuning.budget)
        guard granted > 0 else { return }
        tuning.budget &-= granted
        r.pointee.granted &+= granted
        b.pointee.rcvLimit &+= UInt32(truncatingIfNeeded: granted)
        statistics.tcpWindowGrowths &+= 1
    }

    /// The echo of the first segment after a round's beginning: since its ACK left, a round trip has passed, and maybe
    /// time in which the peer had nothing to say: a longer time than before is believed by and by.
    @inline(never) func sampleReceiver(_ b: Block, _ segment: TCPSegment) {
        b.pointee.flags.remove(.measuresRoundTrip)
        guard let r = b.pointee.receive, segment.hasTimestamp, segment.timestampEcho != 0 else { return }
        let echoed = nowMilliseconds &+ b.pointee.tsOffset &- segment.timestampEcho
        guard echoed < 60_000 else { return }
        // The clock's ticks are a millisecond.
        let sample: Nanoseconds = .milliseconds(Int64(echoed) + 1)
        let known = r.pointee.roundTrip
        r.pointee.roundTrip = sample < known ? sample : known &+ min(sample &- known, .milliseconds(200)) / 2
    }

    // MARK: the end

    /// The connection's part of the budget returns; what it has promised to the peer stays promised.
    @inline(never) func endTuning(_ b: Block) {
        guard let r = b.pointee.receive else { return }
        tuning.budget &+= r.pointee.granted
        tuning.unlink(r)
        tuning.states.free(r)
        b.pointee.receive = nil
        b.pointee.flags.remove(.measuresRoundTrip)
    }

    /// Takes back the window of the connection that has been idle longest, if there is one. Its edge does not move left:
    /// it stays where it is until the limit allows more.
    private func reclaimTuning() -> Bool {
        guard let r = tuning.oldest, now &- r.pointee.roundStart >= ReceiveTuning.idleTime else { return false }
        let b = r.pointee.block
        endTuning(b)
        setReceiveLimit(b)
        return true
    }
}
