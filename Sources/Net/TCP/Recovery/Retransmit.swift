import Runtime

/// Sending again what is taken for lost: the holes only, the oldest first.
extension Stack {
    /// As far as the congestion window allows; the first even if nothing else is in flight. O(frames sent, and those between
    /// them).
    @inline(never) func sendLost(_ b: Block, _ s: SendStatePointer, _ budget: inout Int) {
        var frame = s.pointee.lostHint == .none ? b.pointee.sndHead : s.pointee.lostHint
        let rest: UInt32 = s.pointee.finLost ? 1 : 0
        while frame != .none, s.pointee.lostBytes > rest {
            let info = pool.info(frame)
            if info.pointee.flags & SendFlags.lost != 0 {
                let pipe = b.pointee.pipe
                if pipe > 0, pipe &+ outstanding(b, info) > Int(b.pointee.cwnd) {
                    noteWindowFull(b)
                    break
                }
                guard mayBurst(b, budget), repeatFrame(b, s, frame) else { break }
                budget &-= 1
            }
            frame = info.pointee.next
        }
        s.pointee.lostHint = frame
    }

    /// Whether one more segment may leave in this turn; otherwise the connection stays touched, at the end of the list.
    @inline(__always) func mayBurst(_ b: Block, _ budget: Int) -> Bool {
        if transmitQueue.room > 1, budget > 0 { return true }
        b.pointee.flags.insert(.starved)
        if budget == 0 { isBursting = true }
        return false
    }

    /// Sends what left of a frame before again; all of it, if only a part left and the window has room now. False when there
    /// was no frame for a copy.
    func repeatFrame(_ b: Block, _ s: SendStatePointer, _ frame: FrameID) -> Bool {
        let info = pool.info(frame)
        let start = SequenceNumber(info.pointee.sequence)
        let whole = start + Int(info.pointee.count)
        var end = b.pointee.sndMax < whole ? b.pointee.sndMax : whole
        if end < whole, whole - b.pointee.sndUna <= Int(b.pointee.sndWnd) { end = whole }
        let from = SequenceNumber.later(start, b.pointee.sndUna)
        let portion = outstanding(b, info)
        if info.pointee.references == 1, end == whole {
            sendInPlace(b, frame)
        } else {
            guard sendCopy(b, frame, from: from - start, count: end - from) else { return false }
        }
        if info.pointee.flags & SendFlags.lost != 0 {
            info.pointee.flags &= ~SendFlags.lost
            s.pointee.lostBytes &-= UInt32(truncatingIfNeeded: portion)
            if b.pointee.flags.contains(.sackPermitted), b.pointee.flags.contains(.fastRecovery) {
                statistics.tcpRackRetransmissions &+= 1
            }
        }
        if frame == b.pointee.sndUnsent, end == whole { b.pointee.sndUnsent = info.pointee.next }
        noteRepeated(b, s, portion)
        // The timeout is for the oldest octet: it counts from its last transmission.
        if frame == b.pointee.sndHead, b.pointee.flags.isDisjoint(with: [.reorderTimer, .persisting]) {
            restartLossTimer(b)
        }
        return true
    }
}
