import Runtime

/// What was sent again in vain: by the peer's word (D-SACK, RFC 2883 and 3708), or because an ACK answers the original
/// (Eifel, RFC 3522; F-RTO's idea, RFC 5682, without timestamps). Then the reduction of the window is undone (RFC 4015).
extension Stack {
    /// The window is about to be reduced for what is missing from `start` on.
    func beginUndo(_ b: Block, _ s: SendStatePointer, for start: SequenceNumber) {
        s.pointee.mayUndo = true
        s.pointee.undoIsFresh = true
        s.pointee.undoStart = start
        // A probe was a repetition too.
        s.pointee.undoBytes = s.pointee.isProbing && s.pointee.probeRepeats ? Int32(b.pointee.mss) : 0
        s.pointee.isProbing = false
    }

    /// `count` bytes leave again.
    @inline(__always) func noteRepeated(_ b: Block, _ s: SendStatePointer, _ count: Int) {
        let bytes = UInt32(truncatingIfNeeded: count)
        let (sum, overflow) = s.pointee.repeatedBytes.addingReportingOverflow(bytes)
        s.pointee.repeatedBytes = overflow ? .max : sum
        s.pointee.undoBytes &+= Int32(truncatingIfNeeded: count)
        if s.pointee.undoIsFresh {
            s.pointee.undoIsFresh = false
            s.pointee.undoTimestamp = nowMilliseconds &+ b.pointee.tsOffset
        }
    }

    /// A D-SACK for left..<right. It is believed only as far as something was sent again.
    func takeDuplicateReport(
        _ b: Block, _ s: SendStatePointer, _ left: SequenceNumber, _ right: SequenceNumber, _ sample: inout AckSample
    ) {
        let count = right - left
        guard right <= b.pointee.sndMax, b.pointee.sndUna - left <= Int(b.pointee.sndWndMax) &+ 65_535,
            count <= Int(s.pointee.repeatedBytes)
        else { return }
        s.pointee.repeatedBytes &-= UInt32(truncatingIfNeeded: count)
        statistics.tcpSpuriousRetransmissions &+= 1
        sample.hasDuplicate = true
        if s.pointee.isProbing, s.pointee.probeRepeats, right == s.pointee.probeEnd {
            sample.probeDuplicate = true
            return
        }
        if left >= s.pointee.undoStart { s.pointee.undoBytes &-= Int32(truncatingIfNeeded: count) }
        enlargeReorderingWindow(b, s)
    }

    /// Whether this ACK shows that the last recovery or timeout was for nothing; `mayUndo` is set.
    @inline(never) func checkUndo(_ b: Block, _ s: SendStatePointer, _ sample: AckSample) {
        if s.pointee.undoIsFresh {
            // Nothing was sent again yet: what arrives is the original.
            if sample.originalArrived { undo(b, s) }
            return
        }
        // All that was sent again was reported as a duplicate.
        if sample.hasDuplicate, s.pointee.undoBytes <= 0 { return undo(b, s) }
        let flags = b.pointee.flags
        if flags.isDisjoint(with: [.fastRecovery, .timeoutRecovery]) { return }
        if sample.echo != 0 {
            // Answers something that left before the first repetition (RFC 3522 3.2).
            if sample.acked > 0, Int32(bitPattern: sample.echo &- s.pointee.undoTimestamp) < 0 { undo(b, s) }
        } else if sample.originalArrived, flags.contains([.timeoutRecovery, .sackPermitted]) {
            // Without timestamps: more has arrived than was sent again since the timeout.
            undo(b, s)
        }
    }

    /// The window and the threshold are what they were; nothing is lost.
    private func undo(_ b: Block, _ s: SendStatePointer) {
        statistics.tcpUndone &+= 1
        s.pointee.mayUndo = false
        // A segment was late by more than the reordering window.
        if b.pointee.flags.contains(.fastRecovery) { s.pointee.hasReordering = true }
        if !b.pointee.flags.isDisjoint(with: [.fastRecovery, .timeoutRecovery]) { unmarkLost(b, s) }
        congestionUndo(b)
        b.pointee.flags.subtract([.fastRecovery, .timeoutRecovery])
        b.pointee.duplicateAcks = 0
        touch(b)
    }
}
