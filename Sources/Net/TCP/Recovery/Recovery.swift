import Runtime

/// From a loss that was detected to the ACK of everything that was in flight then (RFC 6675 5, RFC 9937).
extension Stack {
    /// Something was taken for lost. A recovery begins, unless one goes on; after a timeout only for what had been sent
    /// again and got lost again (RFC 5681 4.3: it counts twice).
    func lossDetected(_ b: Block, _ s: SendStatePointer, _ sample: AckSample, again: Bool) {
        if b.pointee.flags.contains(.fastRecovery) { return }
        if b.pointee.flags.contains(.timeoutRecovery) {
            guard again else { return }
            b.pointee.flags.remove(.timeoutRecovery)
        }
        statistics.tcpRecoveries &+= 1
        beginUndo(b, s, for: b.pointee.sndUna)
        b.pointee.recover = b.pointee.sndMax
        let flight = b.pointee.sndMax - b.pointee.sndUna &- Int(s.pointee.sackedBytes) &+ sample.delivered
        s.pointee.recoveryFlight = UInt32(truncatingIfNeeded: max(1, flight))
        s.pointee.delivered = 0
        s.pointee.sentInRecovery = 0
        congestionEvent(b)
        b.pointee.flags.insert(.fastRecovery)
        reduceProportionally(b, s, delivered: sample.delivered, isSafe: false)
        restartLossTimer(b)
        touch(b)
    }

    /// The window in recovery: it falls to the threshold within a round trip, as many bytes leaving for each that arrives as
    /// is needed for that; below the threshold it is filled again, one for one while losses go on (RFC 9937 6).
    @inline(__always) func reduceProportionally(_ b: Block, _ s: SendStatePointer, delivered: Int, isSafe: Bool) {
        let mss = Int(b.pointee.mss)
        let pipe = b.pointee.pipe
        let threshold = Int(b.pointee.ssthresh)
        s.pointee.delivered &+= UInt32(truncatingIfNeeded: delivered)
        let sent = Int(s.pointee.sentInRecovery)
        let all = Int(s.pointee.delivered)
        var room: Int
        if pipe > threshold {
            let flight = Int(s.pointee.recoveryFlight)
            room = (all &* threshold &+ flight &- 1) / flight &- sent
        } else {
            room = max(all &- sent, delivered)
            if isSafe { room &+= mss }
            room = min(threshold &- pipe, room)
        }
        // The first retransmission leaves at once.
        room = max(room, sent == 0 ? mss : 0)
        b.pointee.cwnd = UInt32(truncatingIfNeeded: min(max(pipe &+ room, mss), Int(Self.maxCongestionWindow)))
    }

    /// Everything that was in flight when recovery, or the timeout, came is acknowledged.
    func leaveRecovery(_ b: Block, _ s: SendStatePointer) {
        if b.pointee.flags.contains(.fastRecovery) {
            b.pointee.cwnd = max(min(b.pointee.ssthresh, Self.maxCongestionWindow), UInt32(b.pointee.mss))
            ageReorderingWindow(s)
        }
        b.pointee.flags.subtract([.fastRecovery, .timeoutRecovery])
        b.pointee.duplicateAcks = 0
    }

    // MARK: timers

    /// The one deadline for what is in flight; `kind` tells which: none of them for the timeout.
    @inline(__always) func setLossTimer(_ b: Block, _ kind: ControlFlags, _ deadline: Nanoseconds) {
        b.pointee.flags = b.pointee.flags.subtracting([.probeTimer, .reorderTimer]).union(kind)
        b.pointee.retransmitAt = deadline
        armTimer(b, deadline)
    }

    /// The retransmission timeout, counted from now; nothing when nothing is in flight.
    func restartLossTimer(_ b: Block) {
        b.pointee.flags.subtract([.probeTimer, .reorderTimer])
        if b.pointee.sndMax == b.pointee.sndUna {
            if !b.pointee.flags.contains(.persisting) { b.pointee.retransmitAt = .max }
        } else {
            startRetransmission(b)
        }
    }

    /// The retransmission timer (RFC 6298 5.4 to 5.6). What is not known to have arrived is lost and leaves again from the
    /// oldest on, in slow start; what is sacked is not sent again, unless a second timeout tells that the peer may have
    /// thrown it away. False when it ended the connection.
    func timeoutFired(_ b: Block) -> Bool {
        guard b.pointee.sndMax != b.pointee.sndUna else {
            b.pointee.retransmitAt = .max
            return true
        }
        // A peer that has closed its window over what is in flight, and says so, is not given up (RFC 9293 3.8.6.1).
        let shrunk = b.pointee.sndWnd == 0 && now &- b.pointee.lastReceived < persistPatience
        guard hasPatience(b) || shrunk else {
            giveUp(b)
            return false
        }
        statistics.tcpTimeouts &+= 1
        let s = takeSendState(b)
        if b.pointee.backoff == 0 {
            let isNew = b.pointee.flags.isDisjoint(with: .timeoutRecovery)
            // A segment that times out again does not halve the threshold again (RFC 5681 3.1).
            congestionTimeout(b)
            if isNew { beginUndo(b, s, for: b.pointee.sndUna) } else { s.pointee.mayUndo = false }
        }
        if b.pointee.backoff < .max { b.pointee.backoff &+= 1 }
        s.pointee.isProbing = false
        markAllLost(b, s, forget: b.pointee.backoff > 1)
        b.pointee.cwnd = UInt32(b.pointee.mss)
        b.pointee.recover = b.pointee.sndMax
        b.pointee.duplicateAcks = 0
        b.pointee.flags.remove(.fastRecovery)
        b.pointee.flags.insert(.timeoutRecovery)
        restartLossTimer(b)
        touch(b)
        return true
    }
}
