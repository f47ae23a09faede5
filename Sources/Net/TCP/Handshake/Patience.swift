import Runtime

/// When a connection is given up: no acknowledgement for too long (RFC 9293 3.8.3), or no sign of life (3.8.4).
extension Stack {
    /// R1 of RFC 9293 3.8.3: after so many retransmissions the next hop is asked whether it is still there.
    static let retransmissionsBeforeDoubt: UInt8 = 3
    /// Keepalive probes without an answer. They are a third of `tcp-keepalive` apart, as Redis asks of the kernel.
    static let keepaliveProbes: Int64 = 3

    /// Asked at each retransmission timeout. False at R2: as many retransmissions as configured, or the user timeout.
    func hasPatience(_ b: Block) -> Bool {
        if b.pointee.backoff == Self.retransmissionsBeforeDoubt {
            doubtNextHop(to: IPv4Address(bits: remoteRaw(b).bigEndian))
        }
        return Int(b.pointee.backoff) < configuration.maxRetransmissions && patienceLeft(b) > 0
    }

    /// What is left of the user timeout when `backoff` timeouts and the one that runs have passed without progress. Nobody
    /// notes when the oldest octet left first: until there is progress the timeouts follow from the estimator.
    /// O(timeouts), and only where a user timeout is configured.
    func patienceLeft(_ b: Block) -> Nanoseconds {
        guard configuration.userTimeout > 0 else { return .max }
        var left = configuration.userTimeout
        for step in 0...min(b.pointee.backoff, 63) where left > 0 {
            left &-= b.pointee.estimator.timeout(floor: configuration.minimumRTO, backoff: step)
        }
        return max(0, left)
    }

    /// The retransmission timeout that comes next, so that the last one ends with the user timeout.
    func timeoutWithinPatience(_ b: Block) -> Nanoseconds {
        let timeout = b.pointee.estimator.timeout(floor: configuration.minimumRTO, backoff: b.pointee.backoff)
        guard configuration.userTimeout > 0, b.pointee.flags.isDisjoint(with: .persisting) else { return timeout }
        var elapsed: Nanoseconds = 0
        for step in 0..<min(b.pointee.backoff, 63) {
            elapsed &+= b.pointee.estimator.timeout(floor: configuration.minimumRTO, backoff: step)
        }
        return min(timeout, max(configuration.userTimeout &- elapsed, TimingWheel.tick))
    }

    /// How long a peer with a closed window may be silent to our probes. While it answers there is no end
    /// (RFC 9293 3.8.6.1).
    var persistPatience: Nanoseconds {
        configuration.userTimeout > 0 ? min(configuration.userTimeout, Self.persistLimit) : Self.persistLimit
    }
    private static let persistLimit: Nanoseconds = .seconds(900)

    func giveUp(_ b: Block) {
        statistics.tcpGivenUp &+= 1
        sendReset(b)
        destroy(b)
    }

    // MARK: keepalive

    private var keepaliveInterval: Nanoseconds { max(.seconds(1), configuration.keepalive / Self.keepaliveProbes) }

    /// When to look whether the peer is still there.
    func keepaliveDeadline(_ b: Block) -> Nanoseconds {
        guard b.pointee.state.isSynchronized, b.pointee.state != .timeWait else { return .max }
        let idle = now &- b.pointee.lastReceived
        if idle < configuration.keepalive { return b.pointee.lastReceived &+ configuration.keepalive }
        return now &+ keepaliveInterval
    }

    /// An old octet's sequence number makes the peer answer with an ACK. False when it was silent for too long.
    func keepalive(_ b: Block) -> Bool {
        guard b.pointee.state.isSynchronized, b.pointee.state != .timeWait else { return true }
        let silent = now &- b.pointee.lastReceived &- configuration.keepalive
        // What is in flight asks the same, and has its own patience.
        guard silent >= 0, b.pointee.flight == 0 else { return true }
        if silent >= Self.keepaliveProbes &* keepaliveInterval {
            giveUp(b)
            return false
        }
        guard let frame = controlFrame() else { return true }
        statistics.tcpKeepaliveProbes &+= 1
        emit(b, frame, count: 0, sequence: b.pointee.sndUna - 1, flags: .ack)
        return true
    }
}
