import Runtime

/// What one ACK told, gathered while its parts are looked at.
struct AckSample {
    /// SEG.ACK - sndUna.
    var acked = 0
    /// Bytes that have arrived and were not known to (RFC 9937 DeliveredData).
    var delivered = 0
    /// TSecr, unless it is zero or absent.
    var echo: UInt32 = 0
    /// When the latest frame left that has arrived and was sent once: its round trip is a sample. .min: none.
    var sampleStamp: Nanoseconds = .min
    /// One of the acknowledged frames was sent twice: which of the two was acknowledged is unknown (Karn).
    var isAmbiguous = false
    /// The frame sent latest of those that arrived: for RACK. .min: none.
    var rackStamp: Nanoseconds = .min
    var rackEnd = SequenceNumber(0)
    /// A frame has arrived that was taken for lost and never sent again.
    var originalArrived = false
    /// The segment has SACK blocks; one of them reports a duplicate (D-SACK); the duplicate was our tail loss probe.
    var hasSacks = false
    var hasDuplicate = false
    var probeDuplicate = false
}

/// Which frames of the send queue have arrived (RFC 2018, RFC 6675), or are taken for lost.
extension Stack {
    /// Marks what the blocks cover; the cumulative ACK was taken over before. Cost: one walk over the frames between the
    /// blocks that are new, at most over the frames in flight.
    @inline(never) func markSacked(
        _ b: Block, _ s: SendStatePointer, _ received: SackBlocks, _ sample: inout AckSample
    ) {
        sample.hasSacks = true
        let ack = b.pointee.sndUna
        let isDuplicate = received.reportsDuplicate(ack: ack)
        if isDuplicate { takeDuplicateReport(b, s, received.left(0), received.right(0), &sample) }
        let blocks = received.sorted(from: isDuplicate ? 1 : 0, above: ack, upTo: b.pointee.sndMax)
        guard blocks.count > 0 else { return }
        var frame = b.pointee.sndHead
        var last = s.pointee.sackHint
        for index in 0..<blocks.count {
            let left = blocks.left(index)
            let right = blocks.right(index)
            var from = left
            if let known = s.pointee.knownSacks.end(of: left) {
                if right <= known { continue }
                from = known
            }
            let hint = s.pointee.sackHint
            if hint != .none, frame != .none, SequenceNumber(pool.info(hint).pointee.sequence) <= from,
                SequenceNumber(pool.info(frame).pointee.sequence) < SequenceNumber(pool.info(hint).pointee.sequence)
            {
                frame = hint
            }
            while frame != .none {
                let info = pool.info(frame)
                let start = SequenceNumber(info.pointee.sequence)
                let end = start + Int(info.pointee.count)
                if end > right { break }
                if start >= left, info.pointee.flags & (SendFlags.sacked | SendFlags.sent) == SendFlags.sent {
                    markSacked(b, s, info, &sample)
                }
                last = frame
                frame = info.pointee.next
            }
            if frame != .none { last = frame }
        }
        s.pointee.sackHint = last
        s.pointee.knownSacks = blocks
    }

    @inline(__always) private func markSacked(
        _ b: Block, _ s: SendStatePointer, _ info: UnsafeMutablePointer<FrameInfo>, _ sample: inout AckSample
    ) {
        noteArrival(b, s, info, &sample)
        if info.pointee.flags & SendFlags.lost != 0 {
            s.pointee.lostBytes &-= UInt32(info.pointee.count)
            info.pointee.flags &= ~SendFlags.lost
        } else if info.pointee.flags & SendFlags.linked != 0 {
            unlink(s, info)
        }
        info.pointee.flags |= SendFlags.sacked
        s.pointee.sackedBytes &+= UInt32(info.pointee.count)
        s.pointee.sackedFrames &+= 1
    }

    /// The frame was not known to have arrived, and has: samples, RACK's latest (RFC 8985 6.2 steps 2 and 3), reordering.
    @inline(__always) private func noteArrival(
        _ b: Block, _ s: SendStatePointer, _ info: UnsafeMutablePointer<FrameInfo>, _ sample: inout AckSample
    ) {
        let flags = info.pointee.flags
        let stamp = info.pointee.stamp
        let end = SequenceNumber(info.pointee.sequence) + Int(info.pointee.count)
        if flags & SendFlags.retransmitted == 0 {
            if end < s.pointee.forwardAck { s.pointee.hasReordering = true }
            if stamp > sample.sampleStamp { sample.sampleStamp = stamp }
            if flags & SendFlags.lost != 0 { sample.originalArrived = true }
        } else if isOriginal(b, s, stamp, sample.echo) {
            return
        }
        if s.pointee.forwardAck < end { s.pointee.forwardAck = end }
        if stamp > sample.rackStamp || stamp == sample.rackStamp && end > sample.rackEnd {
            sample.rackStamp = stamp
            sample.rackEnd = end
        }
    }

    /// A frame that left again at `stamp` has arrived: it may have been the first one that did (RFC 8985 6.2 step 2).
    private func isOriginal(_ b: Block, _ s: SendStatePointer, _ stamp: Nanoseconds, _ echo: UInt32) -> Bool {
        if echo != 0 {
            let left = UInt32(truncatingIfNeeded: stamp / 1_000_000) &+ b.pointee.tsOffset
            if Int32(bitPattern: echo &- left) < 0 { return true }
        }
        return now &- stamp < s.pointee.leastRoundTrip
    }

    /// Returns the frames below `ack`, which is sndUna's next value.
    @inline(__always) func releaseScored(
        _ b: Block, _ s: SendStatePointer, _ ack: SequenceNumber, _ sample: inout AckSample
    ) {
        let una = b.pointee.sndUna
        var frame = b.pointee.sndHead
        while frame != .none {
            let info = pool.info(frame)
            let start = SequenceNumber(info.pointee.sequence)
            let end = start + Int(info.pointee.count)
            let flags = info.pointee.flags
            guard end <= ack else {
                if flags & SendFlags.lost != 0, start < ack {
                    s.pointee.lostBytes &-= UInt32(truncatingIfNeeded: ack - SequenceNumber.later(start, una))
                }
                // A part of it was sent, and that has arrived: the rest is new, and nothing of it can be lost.
                if ack == b.pointee.sndMax {
                    info.pointee.flags &= ~SendFlags.lost
                    if flags & SendFlags.linked != 0 { unlink(s, info) }
                }
                break
            }
            let next = info.pointee.next
            if flags & SendFlags.sacked != 0 {
                s.pointee.sackedBytes &-= UInt32(info.pointee.count)
                s.pointee.sackedFrames &-= 1
            } else {
                if flags & SendFlags.retransmitted != 0 { sample.isAmbiguous = true }
                noteArrival(b, s, info, &sample)
                if flags & SendFlags.lost != 0 {
                    s.pointee.lostBytes &-= UInt32(truncatingIfNeeded: end - SequenceNumber.later(start, una))
                } else if flags & SendFlags.linked != 0 {
                    unlink(s, info)
                }
            }
            if frame == s.pointee.lostHint { s.pointee.lostHint = next }
            if frame == s.pointee.sackHint { s.pointee.sackHint = next }
            b.pointee.sndFrames &-= 1
            pool.release(frame)
            frame = next
        }
        b.pointee.sndHead = frame
        if frame == .none { b.pointee.sndTail = .none }
        if s.pointee.finLost, ack > b.pointee.sndEnd {
            s.pointee.finLost = false
            s.pointee.lostBytes &-= 1
        }
    }

    // MARK: lost

    /// Octets of the frame that are in flight: a frame may be sent, and acknowledged, in parts.
    @inline(__always) func outstanding(_ b: Block, _ info: UnsafeMutablePointer<FrameInfo>) -> Int {
        let start = SequenceNumber(info.pointee.sequence)
        let end = start + Int(info.pointee.count)
        return (b.pointee.sndMax < end ? b.pointee.sndMax : end) - SequenceNumber.later(start, b.pointee.sndUna)
    }

    /// A sent frame, neither sacked nor lost, is lost. It leaves again with the next output.
    func markLost(_ b: Block, _ s: SendStatePointer, _ frame: FrameID) {
        let info = pool.info(frame)
        if info.pointee.flags & SendFlags.linked != 0 { unlink(s, info) }
        info.pointee.flags |= SendFlags.lost
        s.pointee.lostBytes &+= UInt32(truncatingIfNeeded: outstanding(b, info))
        let hint = s.pointee.lostHint
        if hint != .none, SequenceNumber(info.pointee.sequence) < SequenceNumber(pool.info(hint).pointee.sequence) {
            s.pointee.lostHint = frame
        }
    }

    /// Everything in flight that is not sacked is lost. A peer whose oldest missing octet is sacked has thrown away what it
    /// had reported, which it may (RFC 2018 8): then all reports are forgotten, as they are with `forget`. O(flight).
    @inline(never) func markAllLost(_ b: Block, _ s: SendStatePointer, forget: Bool) {
        let head = b.pointee.sndHead
        let forgets = forget || head != .none && pool.info(head).pointee.flags & SendFlags.sacked != 0
        if forgets { forgetSacks(b, s) }
        s.pointee.lostHint = head
        var frame = head
        while frame != .none {
            let info = pool.info(frame)
            guard info.pointee.flags & SendFlags.sent != 0 else { break }
            if info.pointee.flags & (SendFlags.sacked | SendFlags.lost) == 0 { markLost(b, s, frame) }
            frame = info.pointee.next
        }
        if b.pointee.flags.contains(.finSent), b.pointee.sndMax > b.pointee.sndEnd, !s.pointee.finLost {
            s.pointee.finLost = true
            s.pointee.lostBytes &+= 1
        }
    }

    private func forgetSacks(_ b: Block, _ s: SendStatePointer) {
        s.pointee.knownSacks = SackBlocks()
        s.pointee.sackHint = .none
        guard s.pointee.sackedFrames > 0 else { return }
        var frame = b.pointee.sndHead
        while frame != .none {
            let info = pool.info(frame)
            info.pointee.flags &= ~SendFlags.sacked
            frame = info.pointee.next
        }
        s.pointee.sackedBytes = 0
        s.pointee.sackedFrames = 0
    }

    /// What was taken for lost and not sent again is in flight after all. O(queue).
    func unmarkLost(_ b: Block, _ s: SendStatePointer) {
        s.pointee.finLost = false
        s.pointee.lostBytes = 0
        // They left before everything that is linked now: put before it, in their order.
        let (first, last) = (s.pointee.sentFirst, s.pointee.sentLast)
        s.pointee.sentFirst = .none
        s.pointee.sentLast = .none
        var frame = b.pointee.sndHead
        while frame != .none {
            let info = pool.info(frame)
            if info.pointee.flags & SendFlags.lost != 0 {
                info.pointee.flags &= ~SendFlags.lost
                link(s, frame)
            }
            frame = info.pointee.next
        }
        guard first != .none else { return }
        let older = s.pointee.sentLast
        let info = pool.info(first)
        info.pointee.extra = info.pointee.extra & ~0xFFFF_FFFF | UInt64(older)
        if older == .none {
            s.pointee.sentFirst = first
        } else {
            let before = pool.info(older)
            before.pointee.extra = before.pointee.extra & 0xFFFF_FFFF | UInt64(first) << 32
        }
        s.pointee.sentLast = last
    }

    /// The frames of the send queue were changed (other sizes, other frames): what is known of them is forgotten, and what
    /// was sent of them is taken for lost.
    func resetScoreboard(_ b: Block) {
        guard b.pointee.sndMax != b.pointee.sndUna else { return freeSendState(b) }
        let s = takeSendState(b)
        s.pointee.sentFirst = .none
        s.pointee.sentLast = .none
        s.pointee.knownSacks = SackBlocks()
        s.pointee.sackHint = .none
        s.pointee.sackedBytes = 0
        s.pointee.sackedFrames = 0
        s.pointee.lostBytes = 0
        s.pointee.finLost = false
        s.pointee.isProbing = false
        var frame = b.pointee.sndHead
        while frame != .none {
            pool.info(frame).pointee.flags &= SendFlags.sent | SendFlags.retransmitted
            frame = pool.info(frame).pointee.next
        }
        markAllLost(b, s, forget: false)
        touch(b)
    }
}
