import Runtime

/// A connection, what happened to it since it was asked last, and its user's pointer.
@frozen
public struct ReadyConnection: BitwiseCopyable {
    public let connection: TCPConnection
    public let context: UnsafeMutableRawPointer?
    public let events: StreamEvents

    @inlinable @inline(__always)
    init(connection: TCPConnection, context: UnsafeMutableRawPointer?, events: StreamEvents) {
        self.connection = connection
        self.context = context
        self.events = events
    }
}

/// A connection's life outside of segments: making and ending blocks, events, and the user's calls (RFC 9293 3.10.1-6).
extension Stack {
    // MARK: blocks

    /// A fresh block in the table, or nil at the limit. Blocks in TIME-WAIT give way, oldest first.
    func makeBlock(_ key: UInt64) -> Block? {
        if blocks.liveCount >= configuration.maxConnections {
            if let oldest = timeWait.oldest { destroy(oldest) }
            guard blocks.liveCount < configuration.maxConnections else {
                statistics.tcpConnectionLimitDrops &+= 1
                return nil
            }
        }
        let b = blocks.allocate()
        b.initialize(to: ControlBlock())
        b.pointee.key = key
        b.pointee.timer = TimerNode(context: UInt64(UInt(bitPattern: b)))
        b.pointee.tsOffset = isn.timestampOffset(key)
        b.pointee.lastReceived = now
        b.pointee.suspectAnsweredAt = nowMilliseconds &- Self.suspectInterval
        setReceiveLimit(b)
        setInitialSequence(b, isn.initial(key, now: now))
        table.insert(key, b)
        return b
    }

    func setInitialSequence(_ b: Block, _ iss: SequenceNumber) {
        b.pointee.iss = iss
        b.pointee.recover = iss
        b.pointee.sndUna = iss
        b.pointee.sndMax = iss
        b.pointee.sndEnd = iss + 1
    }

    @inline(__always) func timerNode(_ b: Block) -> UnsafeMutablePointer<TimerNode> {
        UnsafeMutableRawPointer(b).assumingMemoryBound(to: TimerNode.self)
    }

    /// The end of a block's life as a connection: out of the table, no timers, no output. What was received stays
    /// readable until the user frees it.
    func destroy(_ b: Block) {
        guard !b.pointee.flags.contains(.dead) else { return }
        leaveAgeList(b)
        if lastExpected == b { lastExpected = nobody }
        b.pointee.flags.remove(.answered)
        statistics.tcpClosed &+= 1
        table.remove(b.pointee.key)
        wheel.cancel(timerNode(b))
        discardSend(b)
        discardOutOfOrder(b)
        b.pointee.state = .closed
        // finQueued: what the user still writes goes nowhere.
        b.pointee.flags.formUnion([.dead, .finQueued])
        b.pointee.flags.remove(.starved)
        if b.pointee.flags.contains(.released) {
            discardReceived(b)
            recycle(b)
        } else if !b.pointee.flags.contains(.closedTold) {
            b.pointee.flags.insert(.closedTold)
            signal(b, .closed)
        }
    }

    /// `destroy` for a connection whose end the peer knows of.
    func destroyWithPeer(_ b: Block) {
        ended.note(b.pointee.key, rcvNxt: b.pointee.rcvNxt, now: now)
        destroy(b)
    }

    private func leaveAgeList(_ b: Block) {
        if b.pointee.state == .timeWait {
            timeWait.remove(b)
        } else if b.pointee.state == .synReceived, b.pointee.flags.contains(.passive) {
            halfOpen.remove(b)
        }
    }

    /// Gives the memory back once neither the user nor a list names the block.
    @usableFromInline func recycle(_ b: Block) {
        let flags = b.pointee.flags
        guard flags.contains([.dead, .released]), flags.isDisjoint(with: [.inReady, .inTouched]) else { return }
        blocks.free(b)
    }

    func releaseEverything() {
        var all: [Block] = []
        table.forEach { all.append($0) }
        for b in all {
            b.pointee.flags.insert(.released)
            destroy(b)
        }
        while let b = readyHead {
            readyHead = b.pointee.nextReady
            if b.pointee.flags.contains(.dead) { discardReceived(b) }
        }
    }

    // MARK: lists

    @inline(__always) func touch(_ b: Block) {
        let flags = b.pointee.flags
        b.pointee.flags = flags.subtracting(.answered).union(.inTouched)
        if !flags.contains(.inTouched) { appendTouched(b) }
    }

    /// `b` is not in the list, its flag is set.
    @inline(__always) func appendTouched(_ b: Block) {
        b.pointee.nextTouched = nil
        if let tail = touchedTail { tail.pointee.nextTouched = b } else { touchedHead = b }
        touchedTail = b
    }

    @inline(__always) func signal(_ b: Block, _ events: StreamEvents) {
        guard !b.pointee.flags.contains(.released) else { return }
        b.pointee.events.formUnion(events)
        guard !b.pointee.flags.contains(.inReady) else { return }
        b.pointee.flags.insert(.inReady)
        appendReady(b)
    }

    /// `b` is not in the list, its flag is set.
    @inline(__always) func appendReady(_ b: Block) {
        b.pointee.nextReady = nil
        if let tail = readyTail { tail.pointee.nextReady = b } else { readyHead = b }
        readyTail = b
    }

    /// The connection that has waited longest with events, or nil. O(1).
    public func nextEvent() -> TCPConnection? {
        while let b = takeFirstReady() {
            if b.pointee.flags.contains(.released) {
                recycle(b)
            } else if !b.pointee.events.isEmpty {
                return TCPConnection(b)
            }
        }
        return nil
    }

    /// `nextEvent`, `takeEvents` and `context` at once, as a loop over all connections with events needs them.
    @inlinable @inline(__always) public func takeReady() -> ReadyConnection? {
        while let b = takeFirstReady() {
            let events = b.pointee.events
            if b.pointee.flags.contains(.released) {
                recycle(b)
            } else if !events.isEmpty {
                b.pointee.events = []
                return ReadyConnection(connection: TCPConnection(b), context: b.pointee.context, events: events)
            }
        }
        return nil
    }

    @inlinable @inline(__always) func takeFirstReady() -> Block? {
        guard let b = readyHead else { return nil }
        readyHead = b.pointee.nextReady
        if readyHead == nil { readyTail = nil }
        b.pointee.flags.remove(.inReady)
        return b
    }

    /// Whether `takeReady` may have something.
    @inlinable @inline(__always) public var hasReady: Bool { readyHead != nil }

    /// What happened to the connection since it was asked last.
    public func takeEvents(_ c: TCPConnection) -> StreamEvents {
        let events = c.block.pointee.events
        c.block.pointee.events = []
        return events
    }

    // MARK: the user's calls

    /// Active open. `.opened` follows, or `.closed` when the peer refuses or is silent. nil when no control block or no
    /// port is free, or when the address cannot be another host's (RFC 9293 MUST-46).
    public func connect(to address: IPv4Address, port: UInt16, now: Nanoseconds) -> TCPConnection? {
        begin(now)
        guard isHost(address.bits.bigEndian), let key = ephemeralKey(address, port), let b = makeBlock(key) else {
            return nil
        }
        statistics.tcpActiveOpens &+= 1
        b.pointee.state = .synSent
        sendSyn(b)
        return TCPConnection(b)
    }

    /// A free local port towards the destination, searched from a random start (RFC 6056 3.3.1).
    private func ephemeralKey(_ address: IPv4Address, _ port: UInt16) -> UInt64? {
        let first: UInt16 = 32_768
        let range = 28_232
        for _ in 0..<range {
            nextEphemeral &+= 1
            let local = first &+ UInt16(Int(nextEphemeral) % range)
            // As a received segment has them: the remote port first.
            let portsRaw = UInt32(port.bigEndian) | UInt32(local.bigEndian) << 16
            let key = ConnectionTable.key(remoteRaw: address.bits.bigEndian, portsRaw: portsRaw)
            if table.find(key) == nil, !ports.contains(local) { return key }
        }
        return nil
    }

    /// Sends FIN after all committed bytes. Received text still comes. Once is enough. Before the connection is
    /// established FIN waits for that, as committed bytes do.
    public func shutdown(_ c: TCPConnection) {
        let b = c.block
        guard !b.pointee.flags.contains(.finQueued) else { return }
        b.pointee.flags.insert(.finQueued)
        touch(b)
    }

    /// Ends the connection now, with RST unless both sides have said all (RFC 9293 3.10.5), or the peer knows of nothing.
    /// No event follows; the user still frees it.
    public func abort(_ c: TCPConnection) {
        let b = c.block
        b.pointee.flags.insert(.closedTold)
        if !b.pointee.flags.contains(.dead) {
            switch b.pointee.state {
            case .synReceived, .established, .finWait1, .finWait2, .closeWait: sendReset(b)
            case .closed, .synSent, .closing, .lastAck, .timeWait: break
            }
            destroy(b)
        }
        b.pointee.events = []
    }

    /// The user lets go of the connection. Before its end this is a graceful close in the background: committed bytes and
    /// FIN are still delivered, received text is dropped, and patience is bounded.
    public func free(_ c: TCPConnection) {
        let b = c.block
        precondition(!b.pointee.flags.contains(.released), "connection freed twice")
        b.pointee.events = []
        b.pointee.context = nil
        discardReceived(b)
        if b.pointee.flags.contains(.dead) || b.pointee.state == .timeWait {
            b.pointee.flags.insert(.released)
            recycle(b)
            return
        }
        b.pointee.flags.insert(.released)
        if b.pointee.state == .synSent, b.pointee.sndEnd == b.pointee.iss + 1, b.pointee.sndChunks.head == nil {
            // RFC 9293 3.10.4: nobody waits for anything.
            destroy(b)
            return
        }
        b.pointee.orphanUntil = now &+ Self.orphanTime
        armTimer(b, b.pointee.orphanUntil)
        // Dropped text no longer takes window.
        touch(b)
        shutdown(c)
    }

    public func context(_ c: TCPConnection) -> UnsafeMutableRawPointer? { c.block.pointee.context }
    public func setContext(_ c: TCPConnection, _ context: UnsafeMutableRawPointer?) {
        c.block.pointee.context = context
    }

    public func remote(_ c: TCPConnection) -> (address: IPv4Address, port: UInt16) {
        let key = c.block.pointee.key
        return (
            IPv4Address(bits: UInt32(truncatingIfNeeded: key >> 32).bigEndian),
            UInt16(truncatingIfNeeded: key).bigEndian
        )
    }

    public func localPort(_ c: TCPConnection) -> UInt16 {
        UInt16(truncatingIfNeeded: c.block.pointee.key >> 16).bigEndian
    }

    /// Control blocks that are not in TIME-WAIT.
    public var liveConnections: Int { blocks.liveCount &- timeWait.count }
    /// Control blocks in all states.
    public var controlBlocks: Int { blocks.liveCount }
    /// Timers in the wheel: connections' and neighbours'.
    public var scheduledTimers: Int { wheel.count }
}
