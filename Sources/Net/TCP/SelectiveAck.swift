import Runtime

/// The duplicate that the next ACK reports (RFC 2883), one for the whole stack: the ACK leaves before the next duplicate
/// arrives, or else the newer one is reported.
struct DuplicateReport {
    /// The connection's name; meaningful while `right != left`.
    var key: UInt64 = 0
    var left = SequenceNumber(0)
    var right = SequenceNumber(0)
    /// Counts additions to runs: which was the last one.
    var serial: Int64 = 0
}

/// SACK blocks as the receiver sends them (RFC 2018, RFC 2883).
extension Stack {
    /// `count` octets from `left` on have arrived before.
    @inline(never) func noteDuplicate(_ b: Block, _ left: SequenceNumber, _ count: Int) {
        statistics.tcpDuplicateBytes &+= UInt64(truncatingIfNeeded: count)
        guard b.pointee.flags.contains(.sackPermitted) else { return }
        duplicates.key = b.pointee.key
        duplicates.left = left
        duplicates.right = left + count
    }

    /// Answers a segment that brings nothing: old text is reported as a duplicate (RFC 2883 4), so that the peer learns
    /// that it need not have sent it again.
    @inline(never) func acknowledgeDuplicate(_ b: Block, _ segment: TCPSegment) {
        let old = b.pointee.rcvNxt - segment.sequence
        if segment.count > 0, old > 0, !segment.flags.contains(.syn) {
            noteDuplicate(b, segment.sequence, min(old, segment.count))
        }
        sendAck(b)
    }

    /// The first octets of an acceptable segment were received before.
    @inline(never) func noteOldText(_ b: Block, _ segment: TCPSegment, _ count: Int) {
        guard !segment.flags.contains(.syn), count <= segment.count else { return }
        noteDuplicate(b, segment.sequence, count)
        if b.pointee.flags.contains(.sackPermitted) {
            b.pointee.flags.insert(.ackNow)
            touch(b)
        }
    }

    @inline(__always) func hasDuplicate(_ b: Block) -> Bool {
        duplicates.key == b.pointee.key && duplicates.left != duplicates.right
    }

    /// Whether an ACK has to tell more than its number.
    func hasSackBlocks(_ b: Block) -> Bool {
        b.pointee.flags.contains(.sackPermitted) && (b.pointee.oooHead != .none || hasDuplicate(b))
    }

    /// Writes the SACK option at `p`, at most `limit` blocks: a duplicate first (RFC 2883 4), then the runs, the one that
    /// something was added to last before the others (RFC 2018 4: so a lost ACK's block is repeated). Returns its length
    /// with two NOPs before it, a multiple of 4; 0 when there is nothing to report. O(limit * runs).
    func writeSackBlocks(_ b: Block, _ p: UnsafeMutableRawPointer, limit: Int) -> Int {
        var blocks = 0
        /// The k-th block's place behind NOP, NOP, kind, length.
        func put(_ left: SequenceNumber, _ right: SequenceNumber) {
            p.putBig32(left.raw, 4 &+ blocks &* 8)
            p.putBig32(right.raw, 8 &+ blocks &* 8)
            blocks &+= 1
        }
        if hasDuplicate(b) {
            put(duplicates.left, duplicates.right)
            duplicates.right = duplicates.left
            statistics.tcpDuplicatesReported &+= 1
        }
        var below = Int64.max
        while blocks < limit {
            var newest = FrameID.none
            var stamp = Int64.min
            var run = b.pointee.oooHead
            while run != .none {
                let candidate = pool.info(run).pointee.stamp
                if candidate < below, candidate > stamp {
                    newest = run
                    stamp = candidate
                }
                run = runNext(run)
            }
            if newest == .none { break }
            put(runStart(newest), runEnd(newest))
            below = stamp
        }
        guard blocks > 0 else { return 0 }
        p.put8(TCPOptions.noOperation, 0)
        p.put8(TCPOptions.noOperation, 1)
        p.put8(TCPOptions.sack, 2)
        p.put8(UInt8(truncatingIfNeeded: 2 &+ blocks &* 8), 3)
        return 4 &+ blocks &* 8
    }
}
