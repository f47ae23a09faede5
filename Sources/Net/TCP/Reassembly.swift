import Runtime

/// Text that arrived behind a gap: frames chained in sequence order which do not overlap. `FrameInfo.sequence`, `start`
/// and `count` describe each frame's text.
extension Stack {
    /// Frames one connection may keep behind gaps: a whole default window of full segments.
    static let maxOutOfOrderFrames = 192

    /// Keeps the text of a segment that lies inside the window but behind rcvNxt. Takes over the frame's reference.
    /// O(1) behind everything that is kept (the usual case), else O(frames kept), at most `maxOutOfOrderFrames`.
    @inline(never) func insertOutOfOrder(
        _ b: Block, _ frame: FrameID, sequence: SequenceNumber, start: Int, count: Int
    ) {
        statistics.tcpOutOfOrder &+= 1
        guard pool.freeCount >= scarceFrames * 2, Int(b.pointee.oooFrames) < Self.maxOutOfOrderFrames else {
            statistics.tcpOutOfOrderDrops &+= 1
            pool.release(frame)
            return
        }
        var sequence = sequence
        var start = start
        var count = count
        b.pointee.newestOutOfOrder = sequence
        let previous = outOfOrderPredecessor(b, of: sequence)
        if previous != .none {
            let overlap = textEnd(previous) - sequence
            if overlap >= count {
                pool.release(frame)
                return
            }
            if overlap > 0 {
                sequence += overlap
                start &+= overlap
                count &-= overlap
            }
        }
        var next = previous == .none ? b.pointee.oooHead : pool.info(previous).pointee.next
        while next != .none {
            let info = pool.info(next)
            let nextStart = SequenceNumber(info.pointee.sequence)
            let overlap = (sequence + count) - nextStart
            if overlap <= 0 { break }
            if overlap < Int(info.pointee.count) {
                count = nextStart - sequence
                break
            }
            let covered = next
            next = info.pointee.next
            pool.release(covered)
            b.pointee.oooFrames &-= 1
        }
        link(b, frame, after: previous, before: next, sequence: sequence, start: start, count: count)
    }

    /// Puts the text between two neighbours, or into the free space of the one before it when it continues that.
    private func link(
        _ b: Block, _ frame: FrameID, after previous: FrameID, before next: FrameID, sequence: SequenceNumber,
        start: Int, count: Int
    ) {
        if previous != .none {
            let info = pool.info(previous)
            info.pointee.next = next
            let end = Int(info.pointee.start) &+ Int(info.pointee.count)
            if textEnd(previous) == sequence, end &+ count <= pool.frameSize {
                (pool.address(previous) + end).copyMemory(from: pool.address(frame) + start, byteCount: count)
                info.pointee.count &+= UInt16(truncatingIfNeeded: count)
                if next == .none { b.pointee.oooTail = previous }
                pool.release(frame)
                return
            }
            info.pointee.next = frame
        } else {
            b.pointee.oooHead = frame
        }
        if next == .none { b.pointee.oooTail = frame }
        let info = pool.info(frame)
        info.pointee.next = next
        info.pointee.sequence = sequence.raw
        info.pointee.start = UInt16(truncatingIfNeeded: start)
        info.pointee.count = UInt16(truncatingIfNeeded: count)
        b.pointee.oooFrames &+= 1
    }

    /// The last kept frame whose text starts at or before `sequence`; .none when all start behind it.
    private func outOfOrderPredecessor(_ b: Block, of sequence: SequenceNumber) -> FrameID {
        let tail = b.pointee.oooTail
        guard b.pointee.oooHead != .none else { return .none }
        if SequenceNumber(pool.info(tail).pointee.sequence) <= sequence { return tail }
        var previous = FrameID.none
        var frame = b.pointee.oooHead
        while frame != .none, SequenceNumber(pool.info(frame).pointee.sequence) <= sequence {
            previous = frame
            frame = pool.info(frame).pointee.next
        }
        return previous
    }

    private func textEnd(_ frame: FrameID) -> SequenceNumber {
        let info = pool.info(frame)
        return SequenceNumber(info.pointee.sequence) + Int(info.pointee.count)
    }

    /// Moves what has become contiguous to the receive queue. Called when rcvNxt moved and something is kept.
    @inline(never) func deliverOutOfOrder(_ b: Block) {
        while b.pointee.oooHead != .none {
            let frame = b.pointee.oooHead
            let info = pool.info(frame)
            let overlap = b.pointee.rcvNxt - SequenceNumber(info.pointee.sequence)
            guard overlap >= 0 else { return }
            b.pointee.oooHead = info.pointee.next
            b.pointee.oooFrames &-= 1
            let count = Int(info.pointee.count) &- overlap
            if count <= 0 {
                pool.release(frame)
                continue
            }
            b.pointee.rcvNxt += count
            deliver(b, frame, start: Int(info.pointee.start) &+ overlap, count: count)
        }
    }

    func discardOutOfOrder(_ b: Block) {
        releaseChain(b.pointee.oooHead)
        b.pointee.oooHead = .none
        b.pointee.oooFrames = 0
    }

    /// Writes the SACK option for what is kept at `p` (RFC 2018): the block with the newest text first, then the others
    /// from the left, at most `limit`. Returns its length with two NOPs before it, a multiple of 4; 0 without gaps.
    func writeSackBlocks(_ b: Block, _ p: UnsafeMutableRawPointer, limit: Int) -> Int {
        var blocks = 0
        /// The k-th block's place behind NOP, NOP, kind, length.
        func put(_ left: SequenceNumber, _ right: SequenceNumber) {
            p.putBig32(left.raw, 4 &+ blocks &* 8)
            p.putBig32(right.raw, 8 &+ blocks &* 8)
            blocks &+= 1
        }
        let newest = b.pointee.newestOutOfOrder
        for wantsNewest in [true, false] {
            var frame = b.pointee.oooHead
            while frame != .none, blocks < limit {
                let left = SequenceNumber(pool.info(frame).pointee.sequence)
                var right = textEnd(frame)
                frame = pool.info(frame).pointee.next
                while frame != .none, SequenceNumber(pool.info(frame).pointee.sequence) == right {
                    right = textEnd(frame)
                    frame = pool.info(frame).pointee.next
                }
                if (left <= newest && newest < right) == wantsNewest { put(left, right) }
            }
        }
        guard blocks > 0 else { return 0 }
        p.put8(TCPOptions.noOperation, 0)
        p.put8(TCPOptions.noOperation, 1)
        p.put8(TCPOptions.sack, 2)
        p.put8(UInt8(2 &+ blocks &* 8), 3)
        return 4 &+ blocks &* 8
    }
}
