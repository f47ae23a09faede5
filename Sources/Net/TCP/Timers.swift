import Runtime

/// A connection has several deadlines and one node in the wheel. The node fires at the earliest deadline or before it:
/// an ACK only changes a field, and the node that fires too early goes back into the wheel. A busy connection so costs
/// the wheel a few operations a second, not one each segment.
extension Stack {
    /// How long a connection that its user let go may take to end (FIN-WAIT-2 and everything before it).
    static let orphanTime: Nanoseconds = .seconds(60)
    /// Retransmissions of SYN and of SYN,ACK (RFC 9293 3.8.3: R2 at least three minutes for a SYN; a listener's own
    /// memory is dearer).
    static let maxSynRetransmissions: UInt8 = 7
    static let maxSynAckRetransmissions: UInt8 = 5

    var timeWaitTime: Nanoseconds { 2 &* configuration.maximumSegmentLifetime }

    /// Makes sure that the node fires not later than `deadline`. O(1).
    @inline(__always) func armTimer(_ b: Block, _ deadline: Nanoseconds) {
        let node = timerNode(b)
        if node.pointee.isScheduled, node.pointee.deadline <= deadline { return }
        wheel.schedule(node, at: deadline)
    }

    @inline(__always) func startRetransmission(_ b: Block) {
        restartRetransmission(b)
        armTimer(b, b.pointee.retransmitAt)
    }

    /// RFC 6298 5.3. The node in the wheel is not later than the old deadline, so it need not move.
    @inline(__always) func restartRetransmission(_ b: Block) {
        // On a fast network it is the lower bound.
        if b.pointee.backoff == 0, b.pointee.estimator.isWithin(microseconds: shortRTOMicroseconds) {
            b.pointee.retransmitAt = now &+ shortRTO
        } else {
            restartRetransmissionExactly(b)
        }
    }

    @inline(never) private func restartRetransmissionExactly(_ b: Block) {
        b.pointee.retransmitAt = now &+ loneLossSpan(b, timeout: timeoutWithinPatience(b))
    }

    /// The window is closed and nothing is in flight: probe it in a while (RFC 9293 3.8.6.1).
    func startPersist(_ b: Block) {
        guard !b.pointee.flags.contains(.persisting) || b.pointee.retransmitAt == .max else { return }
        b.pointee.flags.insert(.persisting)
        startRetransmission(b)
    }

    /// Timers that one call fires at most: many connections that were opened together are asked together whether they
    /// still live.
    private static let timersPerCall = 256

    /// Fires what is due: retransmissions, delayed ACKs, probes, TIME-WAIT, ARP. What has to be sent leaves at `output`.
    /// Returns whether more is due than one call does.
    @discardableResult public func advanceTimers(now: Nanoseconds) -> Bool {
        begin(now)
        guard !wheel.isQuiet(now: now) else { return false }
        fireTimers()
        return !wheel.isQuiet(now: now)
    }

    @inline(never) private func fireTimers() {
        var left = Self.timersPerCall
        while left > 0, let node = wheel.popExpired(now: now) {
            left &-= 1
            let context = UInt(truncatingIfNeeded: node.pointee.context)
            switch context & 3 {
            case 0: connectionTimerFired(UnsafeMutablePointer(bitPattern: context)!)
            case 1: neighbourTimerFired(UnsafeMutablePointer(bitPattern: context & ~1)!)
            case 2: pathTimerFired(UnsafeMutablePointer(bitPattern: context & ~2)!)
            default: fragmentTimerFired()
            }
        }
    }

    /// When `advanceTimers` (or `output`, for connections that wait for frames or have used up their turn) has something to do next; nil: never.
    public var nextDeadline: Nanoseconds? {
        if touchedHead != nil {
            if isBursting { return now }
            return heldUntil > now ? min(heldUntil, now &+ TimingWheel.tick) : now &+ TimingWheel.tick
        }
        return wheel.nextDeadline
    }

    private func connectionTimerFired(_ b: Block) {
        b.pointee.flags.remove(.answered)
        if b.pointee.orphanUntil <= now {
            statistics.tcpGivenUp &+= 1
            sendReset(b)
            destroy(b)
            return
        }
        if b.pointee.delayedAckAt <= now {
            b.pointee.delayedAckAt = .max
            statistics.tcpDelayedAcks &+= 1
            b.pointee.flags.insert(.ackNow)
            touch(b)
        }
        if b.pointee.retransmitAt <= now, !retransmissionTimerFired(b) { return }
        if configuration.keepalive > 0, !keepalive(b) { return }
        // What a timer has sent carried the ACK, but no blocks.
        if b.pointee.flags.contains(.holdsAck), b.pointee.delayedAckAt == .max { touch(b) }
        rearm(b)
    }

    /// Back into the wheel at the earliest deadline that is left.
    private func rearm(_ b: Block) {
        var earliest = min(b.pointee.retransmitAt, b.pointee.delayedAckAt, b.pointee.orphanUntil)
        if configuration.keepalive > 0 { earliest = min(earliest, keepaliveDeadline(b)) }
        if earliest != .max { armTimer(b, earliest) }
    }

    /// False when it ended the connection.
    private func retransmissionTimerFired(_ b: Block) -> Bool {
        switch b.pointee.state {
        case .closed: return false
        case .timeWait:
            destroy(b)
            return false
        case .synSent, .synReceived: return synTimerFired(b)
        case .established, .finWait1, .finWait2, .closeWait, .closing, .lastAck: break
        }
        if b.pointee.flags.contains(.persisting) { return persistTimerFired(b) }
        if b.pointee.flags.contains(.reorderTimer) {
            reorderingTimerFired(b)
            return true
        }
        if b.pointee.flags.contains(.probeTimer) || isLoneProbe(b) {
            probeTimerFired(b)
            return true
        }
        return timeoutFired(b)
    }

    /// SYN or SYN,ACK again. False when it was the last time.
    private func synTimerFired(_ b: Block) -> Bool {
        let passive = b.pointee.state == .synReceived
        let limit = passive ? Self.maxSynAckRetransmissions : Self.maxSynRetransmissions
        guard b.pointee.backoff < limit else {
            statistics.tcpGivenUp &+= 1
            destroy(b)
            return false
        }
        statistics.tcpTimeouts &+= 1
        b.pointee.backoff &+= 1
        b.pointee.flags.insert(.synRetransmitted)
        countRetransmission(b)
        sendSyn(b)
        return true
    }

    private func persistTimerFired(_ b: Block) -> Bool {
        guard now &- b.pointee.lastReceived < persistPatience else {
            giveUp(b)
            return false
        }
        sendWindowProbe(b)
        if b.pointee.backoff < 16 { b.pointee.backoff &+= 1 }
        restartRetransmission(b)
        return true
    }
}
