import Runtime

/// What `FrameInfo.flags` says of a frame in a send queue.
enum SendFlags {
    /// Its headers were written and it left at least once: nothing is appended to it any more.
    static let sent: UInt16 = 1
    /// It left more than once: no round-trip sample from it (Karn).
    static let retransmitted: UInt16 = 2
    /// A SACK block covers all of it.
    static let sacked: UInt16 = 4
    /// Taken for lost and not sent again since.
    static let lost: UInt16 = 8
    /// In the list of frames in flight by the time of their last transmission (`SendState.sentFirst`).
    static let linked: UInt16 = 16
}

/// Committed output: frames in sequence order whose payload starts at `payloadOffset`, then heap chunks. A frame stays
/// until all of it is acknowledged; it is a complete packet once it was sent.
extension Stack {
    /// Room before the payload for Ethernet (14), IPv4 (20) and TCP with options (at most 60).
    @inlinable static var payloadOffset: Int { 128 }
    /// Below this backlog a user is never told `.writable`.
    static let lowWater = 16 << 10

    /// At least one byte of room at the end of the stream. Every call is followed by `commit` before `output`.
    @inlinable @inline(__always) public func outputSpan(_ c: TCPConnection) -> OutputSpan {
        let b = c.block
        let mss = Int(b.pointee.mss)
        // With an empty queue (and no shutdown, no end): a frame is always granted.
        if b.pointee.sndTail == .none, b.pointee.openFrame == .none, b.pointee.sndChunks.head == nil,
            !b.pointee.flags.contains(.finQueued), mss > 0, let frame = pool.allocate()
        {
            b.pointee.openFrame = frame
            let payload = pool.address(frame) + Self.payloadOffset
            return OutputSpan(cursor: payload, limit: payload + mss)
        }
        return furtherSpan(b, mss)
    }

    @usableFromInline @inline(never) func furtherSpan(_ b: Block, _ mss: Int) -> OutputSpan {
        if b.pointee.openFrame == .none {
            guard b.pointee.sndChunks.head == nil, !b.pointee.flags.contains(.finQueued), mss > 0 else {
                return overflowSpan(b)
            }
            let tail = b.pointee.sndTail
            if tail != .none {
                let info = pool.info(tail)
                let count = Int(info.pointee.count)
                if info.pointee.flags & SendFlags.sent == 0, count < mss {
                    let payload = pool.address(tail) + Self.payloadOffset
                    return OutputSpan(cursor: payload + count, limit: payload + mss)
                }
            }
            guard mayQueueFrame(b), let frame = pool.allocate() else { return overflowSpan(b) }
            b.pointee.openFrame = frame
        }
        let payload = pool.address(b.pointee.openFrame) + Self.payloadOffset
        return OutputSpan(cursor: payload, limit: payload + mss)
    }

    /// The bytes below `cursor` (which lies in the span lent last) belong to the stream. They leave at `output`.
    @inlinable @inline(__always) public func commit(_ c: TCPConnection, _ cursor: UnsafeMutableRawPointer) {
        let b = c.block
        let frame = b.pointee.openFrame
        let count = cursor - (pool.address(frame) + Self.payloadOffset)
        // The first frame of an empty queue, and `output` will come by anyway.
        guard frame != .none, b.pointee.sndFrames == 0, b.pointee.flags.contains(.inTouched),
            UInt(bitPattern: count &- 1) < UInt(b.pointee.mss)
        else { return commitOther(b, cursor) }
        b.pointee.openFrame = .none
        fillInfo(b, frame, count: count)
        b.pointee.sndHead = frame
        b.pointee.sndTail = frame
        b.pointee.sndUnsent = frame
        b.pointee.sndFrames = 1
    }

    @usableFromInline @inline(never) func commitOther(_ b: Block, _ cursor: UnsafeMutableRawPointer) {
        let frame = b.pointee.openFrame
        if frame != .none {
            let count = cursor - (pool.address(frame) + Self.payloadOffset)
            precondition(count >= 0 && count <= Int(b.pointee.mss), "cursor outside of the span")
            b.pointee.openFrame = .none
            if count == 0 {
                pool.release(frame)
                return
            }
            appendToSend(b, frame, count: count)
        } else {
            commitElsewhere(b, cursor)
        }
        if b.pointee.sndFrames > 8 { noteBacklog(b) }
        touch(b)
    }

    /// Into the unsent last frame, a chunk, or nowhere (after `shutdown` or the end).
    @inline(never) private func commitElsewhere(_ b: Block, _ cursor: UnsafeMutableRawPointer) {
        if b.pointee.flags.contains(.finQueued) || b.pointee.flags.contains(.dead) { return }
        if b.pointee.sndChunks.head != nil {
            b.pointee.sndChunks.commit(cursor, chunks)
            noteBacklog(b)
            return
        }
        let tail = b.pointee.sndTail
        guard tail != .none else { preconditionFailure("commit without a span") }
        let info = pool.info(tail)
        let count = cursor - (pool.address(tail) + Self.payloadOffset)
        precondition(count >= Int(info.pointee.count) && count <= Int(b.pointee.mss), "cursor outside of the span")
        b.pointee.sndEnd += count &- Int(info.pointee.count)
        info.pointee.count = UInt16(truncatingIfNeeded: count)
    }

    /// Memory for output that cannot go into a frame now.
    @inline(never) private func overflowSpan(_ b: Block) -> OutputSpan {
        if b.pointee.flags.contains(.finQueued) || b.pointee.flags.contains(.dead) {
            return OutputSpan(cursor: scratch, limit: scratch + Self.scratchSize)
        }
        return b.pointee.sndChunks.span(chunks)
    }

    /// A connection without any frame may always take one, so that everybody makes progress. Beyond `sendFrames` it gets
    /// more as far as its congestion window asks for them, up to a third of what is free (4 MiB with the usual pool, as
    /// much as Linux gives a socket): no single peer can take all, and who comes next finds two thirds of it.
    @inline(__always) private func mayQueueFrame(_ b: Block) -> Bool {
        let frames = Int(b.pointee.sndFrames)
        if frames == 0 { return true }
        guard pool.freeCount > scarceFrames else { return false }
        return frames < configuration.sendFrames
            || frames < pool.freeCount / 3 && b.pointee.sndEnd - b.pointee.sndUna < 2 &* Int(b.pointee.cwnd)
    }

    @inline(__always) private func appendToSend(_ b: Block, _ frame: FrameID, count: Int) {
        fillInfo(b, frame, count: count)
        if b.pointee.sndTail == .none {
            b.pointee.sndHead = frame
        } else {
            pool.info(b.pointee.sndTail).pointee.next = frame
        }
        b.pointee.sndTail = frame
        if b.pointee.sndUnsent == .none { b.pointee.sndUnsent = frame }
        b.pointee.sndFrames &+= 1
    }

    /// `count` bytes in `frame` are the last of the queue from now on.
    @inlinable @inline(__always) func fillInfo(_ b: Block, _ frame: FrameID, count: Int) {
        let info = pool.info(frame)
        info.pointee.sequence = b.pointee.sndEnd.raw
        info.pointee.start = UInt16(truncatingIfNeeded: Self.payloadOffset)
        info.pointee.count = UInt16(truncatingIfNeeded: count)
        info.pointee.flags = 0
        info.pointee.next = .none
        b.pointee.sndEnd.raw &+= UInt32(truncatingIfNeeded: count)
    }

    /// Moves waiting chunks into frames as far as frames may be taken. O(bytes moved).
    @inline(never) func moveChunksToFrames(_ b: Block) {
        let mss = Int(b.pointee.mss)
        guard mss > 0 else { return }
        while b.pointee.sndChunks.count > 0 {
            let tail = b.pointee.sndTail
            if tail != .none {
                let info = pool.info(tail)
                let count = Int(info.pointee.count)
                if info.pointee.flags & SendFlags.sent == 0, count < mss {
                    let moved = moveChunkBytes(b, to: pool.address(tail) + Self.payloadOffset + count, mss &- count)
                    info.pointee.count &+= UInt16(truncatingIfNeeded: moved)
                    b.pointee.sndEnd += moved
                    continue
                }
            }
            guard mayQueueFrame(b) else { return }
            guard let frame = pool.allocate() else {
                statistics.frameShortages &+= 1
                b.pointee.flags.insert(.starved)
                return
            }
            let moved = moveChunkBytes(b, to: pool.address(frame) + Self.payloadOffset, mss)
            appendToSend(b, frame, count: moved)
        }
    }

    private func moveChunkBytes(_ b: Block, to target: UnsafeMutableRawPointer, _ limit: Int) -> Int {
        var moved = 0
        while moved < limit, b.pointee.sndChunks.count > 0 {
            let piece = b.pointee.sndChunks.first
            let n = min(piece.count, limit &- moved)
            (target + moved).copyMemory(from: piece.base, byteCount: n)
            b.pointee.sndChunks.consume(n, chunks)
            moved &+= n
        }
        return moved
    }

    /// Bytes committed and not yet acknowledged.
    public func backlog(_ c: TCPConnection) -> Int { c.block.pointee.backlog }

    /// Remembers how large the backlog was, so that `.writable` comes at half of it.
    @inline(never) private func noteBacklog(_ b: Block) {
        let backlog = min(b.pointee.backlog, Int(UInt32.max))
        if backlog > Self.lowWater, backlog > Int(b.pointee.writableMark) {
            b.pointee.writableMark = UInt32(backlog)
        }
    }

    /// Tells the user when the backlog has fallen to half of the mark; goes on from there while it is high.
    @inline(never) func checkWritable(_ b: Block) {
        let backlog = b.pointee.backlog
        guard backlog <= Int(b.pointee.writableMark) / 2 else { return }
        b.pointee.writableMark = backlog > Self.lowWater ? UInt32(backlog) : 0
        signal(b, .writable)
    }

    func discardSend(_ b: Block) {
        freeSendState(b)
        releaseChain(b.pointee.sndHead)
        if b.pointee.openFrame != .none { pool.release(b.pointee.openFrame) }
        b.pointee.sndHead = .none
        b.pointee.sndTail = .none
        b.pointee.sndUnsent = .none
        b.pointee.openFrame = .none
        b.pointee.sndFrames = 0
        b.pointee.sndChunks.removeAll(chunks)
    }
}
