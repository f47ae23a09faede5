import Runtime

/// Text that arrived behind a gap: runs of frames. Inside a run one frame's text continues that of the frame before it;
/// between two runs something is missing. So the work for a segment depends on the gaps, not on what is kept behind them.
///
/// `ControlBlock.oooHead` and `oooTail` are the first frames of the first and of the last run, in sequence order. A run's
/// frames are chained through `FrameInfo.next`; `sequence`, `start` and `count` describe each frame's text. In a run's first
/// frame, `extra` holds the run's last frame (low half) and the first frame of the next run (high half), and `stamp` says
/// when something was added to the run last, as a serial number.
extension Stack {
    /// Runs that one connection may have. An honest sender's gaps are losses of one window.
    static let maxRuns = 256

    // MARK: a run's first frame

    @inline(__always) private func runLast(_ first: FrameID) -> FrameID {
        FrameID(truncatingIfNeeded: pool.info(first).pointee.extra)
    }

    @inline(__always) func runNext(_ first: FrameID) -> FrameID {
        FrameID(truncatingIfNeeded: pool.info(first).pointee.extra &>> 32)
    }

    @inline(__always) private func setRun(_ first: FrameID, last: FrameID, next: FrameID) {
        pool.info(first).pointee.extra = UInt64(next) &<< 32 | UInt64(last)
    }

    @inline(__always) func runStart(_ first: FrameID) -> SequenceNumber {
        SequenceNumber(pool.info(first).pointee.sequence)
    }

    @inline(__always) func runEnd(_ first: FrameID) -> SequenceNumber {
        let info = pool.info(runLast(first))
        return SequenceNumber(info.pointee.sequence) + Int(info.pointee.count)
    }

    /// Something of the run has just arrived: its SACK block is reported first (RFC 2018 4).
    @inline(__always) private func renew(_ first: FrameID) {
        duplicates.serial &+= 1
        pool.info(first).pointee.stamp = duplicates.serial
    }

    // MARK: arrival

    /// Keeps the text of a segment that lies inside the window but behind rcvNxt. Takes over the frame's reference.
    /// O(1) behind everything that is kept (the usual case), else O(runs), at most `maxRuns`.
    @inline(never) func insertOutOfOrder(
        _ b: Block, _ frame: FrameID, sequence: SequenceNumber, start: Int, count: Int
    ) {
        statistics.tcpOutOfOrder &+= 1
        var sequence = sequence
        var start = start
        var count = count
        var (previous, next) = runs(b, around: sequence)
        if previous != .none {
            let overlap = runEnd(previous) - sequence
            if overlap > 0 { noteDuplicate(b, sequence, min(overlap, count)) }
            if overlap >= count {
                renew(previous)
                pool.release(frame)
                return
            }
            if overlap > 0 {
                sequence += overlap
                start &+= overlap
                count &-= overlap
            }
        }
        let runsBefore = b.pointee.oooRuns
        next = coverRuns(b, next, from: sequence, count: &count)
        // What was reported stays kept: text that takes the place of runs is never refused.
        let mayGrow = b.pointee.oooRuns < runsBefore || mayKeep(b)
        let joinsPrevious = previous != .none && runEnd(previous) == sequence
        let joinsNext = next != .none && runStart(next) == sequence + count
        if joinsPrevious {
            if !appendToRun(
                b, previous, frame, sequence: sequence, start: start, count: count, mayGrow: mayGrow)
            {
                setNext(b, previous, next)
                return
            }
        } else {
            guard mayGrow, joinsNext || Int(b.pointee.oooRuns) < Self.maxRuns else {
                setNext(b, previous, next)
                return dropOutOfOrder(frame)
            }
            describe(b, frame, sequence: sequence, start: start, count: count)
            setRun(frame, last: frame, next: next)
            b.pointee.oooRuns &+= 1
            setNext(b, previous, frame)
            previous = frame
        }
        if joinsNext {
            pool.info(runLast(previous)).pointee.next = next
            setRun(previous, last: runLast(next), next: runNext(next))
            b.pointee.oooRuns &-= 1
        } else {
            setRun(previous, last: runLast(previous), next: next)
        }
        if runNext(previous) == .none { b.pointee.oooTail = previous }
        renew(previous)
    }

    /// What follows the run `previous` (or the queue's beginning, if that is .none).
    @inline(__always) private func setNext(_ b: Block, _ previous: FrameID, _ next: FrameID) {
        if previous == .none {
            b.pointee.oooHead = next
        } else {
            setRun(previous, last: runLast(previous), next: next)
        }
        if next == .none { b.pointee.oooTail = previous }
    }

    /// Whether one more frame may be kept: the pool must not be short, a connection may not hold more than what is free
    /// besides (so that many share the pool), and not more than its window is worth.
    private func mayKeep(_ b: Block) -> Bool {
        let kept = Int(b.pointee.oooFrames)
        return pool.freeCount >= scarceFrames &* 2 &+ kept && kept < Int(b.pointee.rcvLimit) &>> 9 &+ 64
    }

    private func dropOutOfOrder(_ frame: FrameID) {
        statistics.tcpOutOfOrderDrops &+= 1
        pool.release(frame)
    }

    private func describe(_ b: Block, _ frame: FrameID, sequence: SequenceNumber, start: Int, count: Int) {
        let info = pool.info(frame)
        info.pointee.next = .none
        info.pointee.sequence = sequence.raw
        info.pointee.start = UInt16(truncatingIfNeeded: start)
        info.pointee.count = UInt16(truncatingIfNeeded: count)
        b.pointee.oooFrames &+= 1
    }

    /// The text continues a run: into the free space of its last frame, or in its own frame. False: there was no room for
    /// one more frame, and the text is dropped.
    private func appendToRun(
        _ b: Block, _ first: FrameID, _ frame: FrameID, sequence: SequenceNumber, start: Int, count: Int, mayGrow: Bool
    ) -> Bool {
        let last = runLast(first)
        let info = pool.info(last)
        let end = Int(info.pointee.start) &+ Int(info.pointee.count)
        if end &+ count <= pool.frameSize {
            (pool.address(last) + end).copyMemory(from: pool.address(frame) + start, byteCount: count)
            info.pointee.count &+= UInt16(truncatingIfNeeded: count)
            pool.release(frame)
            return true
        }
        guard mayGrow else {
            dropOutOfOrder(frame)
            return false
        }
        describe(b, frame, sequence: sequence, start: start, count: count)
        info.pointee.next = frame
        setRun(first, last: frame, next: runNext(first))
        return true
    }

    /// The last run that starts at or before `sequence`, and the run after it; .none where there is none.
    private func runs(_ b: Block, around sequence: SequenceNumber) -> (FrameID, FrameID) {
        guard b.pointee.oooHead != .none else { return (.none, .none) }
        if runStart(b.pointee.oooTail) <= sequence { return (b.pointee.oooTail, .none) }
        var previous = FrameID.none
        var run = b.pointee.oooHead
        while run != .none, runStart(run) <= sequence {
            previous = run
            run = runNext(run)
        }
        return (previous, run)
    }

    /// The text reaches into the runs from `next` on: those that it covers go, the first one that it does not cover
    /// shortens it. Returns that run, .none when there is none.
    private func coverRuns(_ b: Block, _ next: FrameID, from sequence: SequenceNumber, count: inout Int) -> FrameID {
        var run = next
        while run != .none {
            let start = runStart(run)
            let end = runEnd(run)
            let overlap = (sequence + count) - start
            if overlap <= 0 { return run }
            if end > sequence + count {
                noteDuplicate(b, start, overlap)
                count = start - sequence
                return run
            }
            noteDuplicate(b, start, end - start)
            let following = runNext(run)
            b.pointee.oooRuns &-= 1
            releaseRun(b, run)
            run = following
        }
        return run
    }

    private func releaseRun(_ b: Block, _ first: FrameID) {
        var frame = first
        while frame != .none {
            let next = pool.info(frame).pointee.next
            b.pointee.oooFrames &-= 1
            pool.release(frame)
            frame = next
        }
    }

    /// Text has come that lies behind `end`, in order or behind a gap.
    func hasText(_ b: Block, behind end: SequenceNumber) -> Bool {
        b.pointee.rcvNxt > end || b.pointee.oooHead != .none && runEnd(b.pointee.oooTail) > end
    }

    // MARK: delivery

    /// Moves what has become contiguous to the receive queue. Called when rcvNxt moved and something is kept.
    @inline(never) func deliverOutOfOrder(_ b: Block) {
        while b.pointee.oooHead != .none {
            let run = b.pointee.oooHead
            let overlap = b.pointee.rcvNxt - runStart(run)
            guard overlap >= 0 else { return }
            if overlap > 0 { noteDuplicate(b, runStart(run), min(overlap, runEnd(run) - runStart(run))) }
            b.pointee.oooHead = runNext(run)
            if b.pointee.oooHead == .none { b.pointee.oooTail = .none }
            b.pointee.oooRuns &-= 1
            deliverRun(b, run)
        }
    }

    private func deliverRun(_ b: Block, _ first: FrameID) {
        var frame = first
        while frame != .none {
            let info = pool.info(frame)
            let next = info.pointee.next
            let overlap = b.pointee.rcvNxt - SequenceNumber(info.pointee.sequence)
            let count = Int(info.pointee.count) &- overlap
            b.pointee.oooFrames &-= 1
            if count > 0 {
                b.pointee.rcvNxt += count
                statistics.tcpBytesReceived &+= UInt64(count)
                deliver(b, frame, start: Int(info.pointee.start) &+ overlap, count: count)
            } else {
                pool.release(frame)
            }
            frame = next
        }
    }

    /// Ends the receive side but for what is unread.
    func discardOutOfOrder(_ b: Block) {
        endTuning(b)
        while b.pointee.oooHead != .none {
            let run = b.pointee.oooHead
            b.pointee.oooHead = runNext(run)
            releaseRun(b, run)
        }
        b.pointee.oooTail = .none
        b.pointee.oooRuns = 0
    }
}
