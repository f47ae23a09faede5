import Runtime

/// A connection whose segments were made smaller for its path, until they are tried larger again. A trivial value in a slab.
struct NarrowPath {
    /// First: a node's address is its entry's. `context` is the entry's address with bit 1 set.
    var timer: TimerNode
    /// Next in the bucket.
    var next: UnsafeMutablePointer<NarrowPath>?
    /// Name and initial sequence number of the connection: if it is gone, nobody else is mistaken for it.
    let key: UInt64
    let iss: SequenceNumber
    /// The segment size that both ends agreed on.
    let size: UInt16
}

/// Narrow paths by connection. A bounded number: a connection beyond it keeps its small segments.
struct NarrowPaths {
    static let capacity = 4_096
    private static let buckets = 256

    private let table: UnsafeMutablePointer<UnsafeMutablePointer<NarrowPath>?>
    private let slab: Slab<NarrowPath>

    init() {
        table = .allocate(capacity: Self.buckets)
        table.initialize(repeating: nil, count: Self.buckets)
        slab = Slab(objectsPerChunk: 32)
    }

    func deallocate() {
        table.deallocate()
        slab.deallocate()
    }

    var count: Int { slab.liveCount }

    private func bucket(_ key: UInt64) -> Int {
        Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) &>> 56)
    }

    func find(_ b: Block) -> UnsafeMutablePointer<NarrowPath>? {
        var entry = table[bucket(b.pointee.key)]
        while let current = entry {
            if current.pointee.key == b.pointee.key, current.pointee.iss == b.pointee.iss { return current }
            entry = current.pointee.next
        }
        return nil
    }

    /// nil when there are too many.
    func insert(_ b: Block) -> UnsafeMutablePointer<NarrowPath>? {
        guard slab.liveCount < Self.capacity else { return nil }
        let entry = slab.allocate()
        let index = bucket(b.pointee.key)
        entry.initialize(
            to: NarrowPath(
                timer: TimerNode(context: UInt64(UInt(bitPattern: entry)) | 2), next: table[index],
                key: b.pointee.key, iss: b.pointee.iss, size: b.pointee.mss))
        table[index] = entry
        return entry
    }

    func remove(_ entry: UnsafeMutablePointer<NarrowPath>) {
        let index = bucket(entry.pointee.key)
        if table[index] == entry {
            table[index] = entry.pointee.next
        } else {
            var previous = table[index]
            while let current = previous, current.pointee.next != entry { previous = current.pointee.next }
            previous?.pointee.next = entry.pointee.next
        }
        slab.free(entry)
    }
}

/// Path MTU discovery (RFC 1191), for each connection by itself. All datagrams have DF set; a router that cannot forward one
/// says so, and the connection goes on with smaller segments. After ten minutes it tries the full size again.
extension Stack {
    /// Smaller claims are taken for this: no path in use is narrower, and an attacker gains little by it (RFC 5927 7).
    static let leastPathMTU = 552
    /// RFC 1191 6.3: ten minutes.
    static let pathRaiseTime: Nanoseconds = .seconds(600)

    /// A router could not forward a datagram of ours of `quoted` bytes: it can forward such of `told` bytes, or (an old
    /// router) does not say. The datagram is in flight: the caller has looked.
    @inline(never) func lowerPath(_ b: Block, told: Int, quoted: Int) {
        b.pointee.flags.remove(.answered)
        let mtu = told == 0 ? Self.plateau(below: quoted) : told
        // We send nothing larger than the link takes, and what could be forwarded was.
        guard quoted <= configuration.mtu, quoted > Self.leastPathMTU, mtu < quoted, b.pointee.state.isSynchronized
        else {
            statistics.icmpErrorsImplausible &+= 1
            return
        }
        let headers = IPv4Header.minimumLength + TCPSegment.minimumHeader + Int(b.pointee.optionsLength)
        let size = max(mtu, Self.leastPathMTU) - headers
        // Each datagram that was in flight may bring the same message: then only what could not be divided is left to do.
        guard size < Int(b.pointee.mss) else { return resegment(b) }
        statistics.pathMTUReductions &+= 1
        if let entry = narrowPaths.find(b) ?? narrowPaths.insert(b) {
            wheel.schedule(
                UnsafeMutableRawPointer(entry).assumingMemoryBound(to: TimerNode.self), at: now &+ Self.pathRaiseTime)
        }
        b.pointee.mss = UInt16(size)
        resegment(b)
    }

    /// The next smaller of the sizes that paths have (RFC 1191 7.1).
    static func plateau(below size: Int) -> Int {
        for plateau in [32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006] where plateau < size { return plateau }
        return leastPathMTU
    }

    /// Ten minutes have passed: the path may have changed. If not, the next large segment brings the router's answer.
    func pathTimerFired(_ entry: UnsafeMutablePointer<NarrowPath>) {
        if let b = table.find(entry.pointee.key), b.pointee.iss == entry.pointee.iss {
            // What it says of the congestion window is about smaller segments.
            b.pointee.flags.remove(.answered)
            b.pointee.mss = entry.pointee.size
            // Both are counted in segments.
            b.pointee.cwnd = max(b.pointee.cwnd, UInt32(entry.pointee.size))
            b.pointee.ssthresh = max(b.pointee.ssthresh, 2 &* UInt32(entry.pointee.size))
            statistics.pathMTURaises &+= 1
        }
        narrowPaths.remove(entry)
    }

    // MARK: the send queue in smaller pieces

    /// Divides the frames that hold more than a segment may now, and takes what was in flight for lost, so that it leaves
    /// again: the path has dropped the large segments, but for their size and not for want of room, so the congestion window
    /// stays (RFC 1191 6.4).
    private func resegment(_ b: Block) {
        var frame = b.pointee.sndHead
        var divided = false
        while frame != .none {
            let next = pool.info(frame).pointee.next
            if Int(pool.info(frame).pointee.count) > Int(b.pointee.mss) { divided = divide(b, frame) || divided }
            frame = next
        }
        guard divided else { return }
        // Of a frame that was sent in part, whole pieces may have been. Before pieces go: it may be one of them.
        while b.pointee.sndUnsent != .none, frameEnd(b.pointee.sndUnsent) <= b.pointee.sndMax {
            b.pointee.sndUnsent = pool.info(b.pointee.sndUnsent).pointee.next
        }
        dropAcknowledgedPieces(b)
        resetScoreboard(b)
        touch(b)
    }

    /// Puts what is beyond a segment's size into frames of its own, behind the frame. False when no frames are free: then
    /// it stays, and the router's next message tries again.
    private func divide(_ b: Block, _ frame: FrameID) -> Bool {
        let size = Int(b.pointee.mss)
        let info = pool.info(frame)
        let count = Int(info.pointee.count)
        let next = info.pointee.next
        guard pool.freeCount > scarceFrames / 2 &+ count / size else { return false }
        let source = pool.address(frame) + Self.payloadOffset
        var done = size
        var tail = frame
        while done < count {
            guard let piece = pool.allocate() else { preconditionFailure("free frames were counted") }
            let part = min(size, count &- done)
            (pool.address(piece) + Self.payloadOffset).copyMemory(from: source + done, byteCount: part)
            let pieceInfo = pool.info(piece)
            pieceInfo.pointee.sequence = info.pointee.sequence &+ UInt32(truncatingIfNeeded: done)
            pieceInfo.pointee.start = UInt16(truncatingIfNeeded: Self.payloadOffset)
            pieceInfo.pointee.count = UInt16(truncatingIfNeeded: part)
            // Of a frame that was sent in part, the rest was not.
            let isSent = SequenceNumber(pieceInfo.pointee.sequence) < b.pointee.sndMax
            pieceInfo.pointee.flags = isSent ? info.pointee.flags : 0
            pieceInfo.pointee.stamp = info.pointee.stamp
            pool.info(tail).pointee.next = piece
            tail = piece
            b.pointee.sndFrames &+= 1
            done &+= part
        }
        pool.info(tail).pointee.next = next
        if b.pointee.sndTail == frame { b.pointee.sndTail = tail }
        info.pointee.count = UInt16(truncatingIfNeeded: size)
        return true
    }

    /// Of a frame that was acknowledged in part, whole pieces may be.
    private func dropAcknowledgedPieces(_ b: Block) {
        while b.pointee.sndHead != .none {
            let frame = b.pointee.sndHead
            guard frameEnd(frame) <= b.pointee.sndUna else { return }
            b.pointee.sndHead = pool.info(frame).pointee.next
            if b.pointee.sndHead == .none { b.pointee.sndTail = .none }
            b.pointee.sndFrames &-= 1
            pool.release(frame)
        }
    }
}
