import Runtime

/// Received text that the user has not consumed: frames in sequence order as they came from the link, then, only when
/// frames are scarce, heap chunks. Text in chunks is always behind the text in frames.
extension Stack {
    /// Appends in-order text of a frame whose reference passes to the queue. O(1), plus copying of small text: a segment
    /// that fits behind the text of the last frame is copied there, so that a peer cannot pin a frame with each byte.
    @inline(__always) func appendReceived(_ b: Block, _ frame: FrameID, start: Int, count: Int) {
        if isFirstUnread(b) {
            appendFirst(b, frame, start: start, count: count)
        } else {
            b.pointee.rcvBytes &+= UInt32(truncatingIfNeeded: count)
            appendBehind(b, frame, start: start, count: count)
        }
    }

    /// Nothing is unread, and frames are not scarce.
    @inline(__always) func isFirstUnread(_ b: Block) -> Bool {
        b.pointee.rcvHead == .none && b.pointee.rcvChunks.head == nil && pool.freeCount >= scarceFrames
    }

    /// `appendReceived`, when `isFirstUnread`.
    @inline(__always) func appendFirst(_ b: Block, _ frame: FrameID, start: Int, count: Int) {
        let info = pool.info(frame)
        info.pointee.start = UInt16(truncatingIfNeeded: start)
        info.pointee.count = UInt16(truncatingIfNeeded: count)
        info.pointee.next = .none
        b.pointee.rcvHead = frame
        b.pointee.rcvTail = frame
        b.pointee.rcvFrames = 1
        b.pointee.rcvBytes &+= UInt32(truncatingIfNeeded: count)
    }

    @inline(never) private func appendBehind(_ b: Block, _ frame: FrameID, start: Int, count: Int) {
        let text = pool.address(frame) + start
        tuneReceiveWindow(b)
        // Whoever reads slowly may hold as many frames as are free besides: many of them share the pool, and none takes
        // what others need.
        if b.pointee.rcvChunks.head != nil || pool.freeCount < scarceFrames &+ Int(b.pointee.rcvFrames) {
            b.pointee.rcvChunks.append(text, count, chunks)
            pool.release(frame)
            return
        }
        let tail = b.pointee.rcvTail
        if tail != .none {
            let info = pool.info(tail)
            let end = Int(info.pointee.start) &+ Int(info.pointee.count)
            if end &+ count <= pool.frameSize {
                (pool.address(tail) + end).copyMemory(from: text, byteCount: count)
                info.pointee.count &+= UInt16(truncatingIfNeeded: count)
                pool.release(frame)
                return
            }
            info.pointee.next = frame
        } else {
            b.pointee.rcvHead = frame
        }
        let info = pool.info(frame)
        info.pointee.start = UInt16(truncatingIfNeeded: start)
        info.pointee.count = UInt16(truncatingIfNeeded: count)
        info.pointee.next = .none
        b.pointee.rcvTail = frame
        b.pointee.rcvFrames &+= 1
    }

    /// First contiguous piece of unread bytes, in place; count 0 when there is none. Valid until it is consumed.
    @inlinable @inline(__always) public func received(_ c: TCPConnection) -> ByteView {
        let b = c.block
        let frame = b.pointee.rcvHead
        guard frame != .none else { return receivedInChunks(b) }
        let info = pool.info(frame)
        return ByteView(pool.address(frame) + Int(info.pointee.start), Int(info.pointee.count))
    }

    @usableFromInline func receivedInChunks(_ b: Block) -> ByteView { b.pointee.rcvChunks.first }

    /// Gives back the first `n` bytes of what `received` showed. Opens the window again.
    @inlinable @inline(__always) public func consume(_ c: TCPConnection, _ n: Int) {
        let b = c.block
        let frame = b.pointee.rcvHead
        // All of a frame, and `output` will look at the window anyway.
        guard frame != .none, Int(pool.info(frame).pointee.count) == n, b.pointee.flags.contains(.inTouched)
        else { return consumePart(b, n) }
        b.pointee.rcvHead = pool.info(frame).pointee.next
        b.pointee.rcvFrames &-= 1
        b.pointee.rcvBytes &-= UInt32(truncatingIfNeeded: n)
        pool.release(frame)
    }

    @usableFromInline @inline(never) func consumePart(_ b: Block, _ n: Int) {
        let frame = b.pointee.rcvHead
        if frame != .none {
            let info = pool.info(frame)
            let left = Int(info.pointee.count) &- n
            precondition(n >= 0 && left >= 0, "consumed more than received")
            if left == 0 {
                b.pointee.rcvHead = info.pointee.next
                b.pointee.rcvFrames &-= 1
                pool.release(frame)
            } else {
                info.pointee.start &+= UInt16(truncatingIfNeeded: n)
                info.pointee.count = UInt16(truncatingIfNeeded: left)
            }
        } else {
            b.pointee.rcvChunks.consume(n, chunks)
        }
        b.pointee.rcvBytes &-= UInt32(truncatingIfNeeded: n)
        if !b.pointee.flags.contains(.inTouched), isWindowUpdateDue(b) { touch(b) }
    }

    /// Drops everything unread.
    func discardReceived(_ b: Block) {
        releaseChain(b.pointee.rcvHead)
        b.pointee.rcvHead = .none
        b.pointee.rcvFrames = 0
        b.pointee.rcvChunks.removeAll(chunks)
        b.pointee.rcvBytes = 0
    }

    /// Releases a chain of frames. O(frames).
    func releaseChain(_ head: FrameID) {
        var frame = head
        while frame != .none {
            let next = pool.info(frame).pointee.next
            pool.release(frame)
            frame = next
        }
    }
}
