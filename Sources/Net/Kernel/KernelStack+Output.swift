import CLinux
import Glibc
import Runtime

extension KernelStack {
    /// Pieces that one system call sends at most: 1 MiB.
    private static var piecesPerSend: Int { 64 }
    /// System calls for one connection in one turn, so that a fast reader of a large reply does not hold up others.
    private static var sendsPerTurn: Int { 4 }

    /// Memory for at least one byte of output; the same until `commit`. Valid until the end of the turn.
    public func outputSpan(_ connection: KernelConnection) -> OutputSpan {
        let block = connection.block
        if let tail = block.pointee.lastChunk, tail.pointee.end < OutputChunk.capacity {
            return OutputSpan(cursor: tail.bytes + tail.pointee.end, limit: tail.bytes + OutputChunk.capacity)
        }
        let chunk = chunks.allocate().bindMemory(to: OutputChunk.self, capacity: 1)
        chunk.initialize(to: OutputChunk(next: nil, start: 0, end: 0))
        if let tail = block.pointee.lastChunk { tail.pointee.next = chunk } else { block.pointee.firstChunk = chunk }
        block.pointee.lastChunk = chunk
        // Even if nothing is committed: `output` takes the chunk back.
        touch(block)
        return OutputSpan(cursor: chunk.bytes, limit: chunk.bytes + OutputChunk.capacity)
    }

    /// The bytes of the span below `cursor` are part of the stream now. They are sent by `output`.
    public func commit(_ connection: KernelConnection, _ cursor: UnsafeMutableRawPointer) {
        let block = connection.block
        // No chunk: the connection was lost in an earlier turn.
        guard let tail = block.pointee.lastChunk else { return }
        let end = cursor - tail.bytes
        precondition(end >= tail.pointee.end && end <= OutputChunk.capacity, "cursor outside of the lent span")
        block.pointee.backlog &+= end &- tail.pointee.end
        tail.pointee.end = end
        if block.pointee.backlog > Self.lowWater && block.pointee.backlog > block.pointee.peakBacklog {
            block.pointee.peakBacklog = block.pointee.backlog
        }
        touch(block)
    }

    /// Committed bytes that the kernel has not taken yet.
    public func backlog(_ connection: KernelConnection) -> Int { connection.block.pointee.backlog }

    /// Once a turn: sends what was committed, as far as the sockets take it.
    public func output(now: Nanoseconds) {
        detachReader()
        while let block = touched.first {
            touched.remove(block)
            block.pointee.flags.remove(.touched)
            if block.pointee.flags.contains(.dead) {
                dropOutput(block)
            } else if !block.pointee.flags.contains(.blocked) {
                flush(block, now: now)
            }
        }
    }

    func touch(_ block: UnsafeMutablePointer<KernelBlock>) {
        guard !block.pointee.flags.contains(.touched) else { return }
        block.pointee.flags.insert(.touched)
        touched.append(block)
    }

    private func flush(_ block: UnsafeMutablePointer<KernelBlock>, now: Nanoseconds) {
        var sends = 0
        while block.pointee.backlog > 0 {
            // At the bound, epoll reports the socket as writable in the next turn.
            guard sends < Self.sendsPerTurn else {
                block.pointee.flags.insert(.blocked)
                break
            }
            sends += 1
            let count = send(block)
            if count < 0 {
                switch errno {
                case EINTR: continue
                case EAGAIN: block.pointee.flags.insert(.blocked)
                default: return fail(block)
                }
                break
            }
            statistics.sentBytes &+= UInt64(count)
            dequeue(block, count)
        }
        if block.pointee.backlog == 0 { drained(block, now: now) }
        guard !block.pointee.flags.contains(.dead) else { return }
        if block.pointee.peakBacklog > 0 && block.pointee.backlog < block.pointee.peakBacklog / 2 {
            block.pointee.peakBacklog = block.pointee.backlog > Self.lowWater ? block.pointee.backlog : 0
            block.pointee.events.insert(.writable)
            enqueue(block)
        }
        updateInterest(block)
    }

    /// One system call over the first chunks. Returns as send(2) does.
    private func send(_ block: UnsafeMutablePointer<KernelBlock>) -> Int {
        statistics.systemCalls &+= 1
        statistics.sends &+= 1
        let head = block.pointee.firstChunk!
        if head.pointee.next == nil {
            return Glibc.send(
                block.pointee.descriptor, head.bytes + head.pointee.start, head.pointee.end - head.pointee.start,
                Int32(MSG_NOSIGNAL))
        }
        return withUnsafeTemporaryAllocation(of: iovec.self, capacity: Self.piecesPerSend) { pieces in
            var count = 0
            var chunk: UnsafeMutablePointer<OutputChunk>? = head
            while let current = chunk, count < Self.piecesPerSend {
                let length = current.pointee.end - current.pointee.start
                pieces[count] = iovec(iov_base: current.bytes + current.pointee.start, iov_len: length)
                count += 1
                chunk = current.pointee.next
            }
            var message = msghdr()
            message.msg_iov = pieces.baseAddress
            message.msg_iovlen = count
            return sendmsg(block.pointee.descriptor, &message, Int32(MSG_NOSIGNAL))
        }
    }

    /// `count` bytes were sent: chunks that are used up go back, except a tail that still has room.
    private func dequeue(_ block: UnsafeMutablePointer<KernelBlock>, _ count: Int) {
        block.pointee.backlog &-= count
        var rest = count
        while let chunk = block.pointee.firstChunk, rest > 0 {
            let length = chunk.pointee.end - chunk.pointee.start
            if rest < length {
                chunk.pointee.start += rest
                return
            }
            rest -= length
            block.pointee.firstChunk = chunk.pointee.next
            if chunk.pointee.next == nil { block.pointee.lastChunk = nil }
            chunks.release(chunk)
        }
    }

    /// Everything is sent: no memory is kept, and a `shutdown` that waited for this is carried out.
    private func drained(_ block: UnsafeMutablePointer<KernelBlock>, now: Nanoseconds) {
        dropOutput(block)
        guard block.pointee.flags.contains(.finishing), !block.pointee.flags.contains(.finished) else { return }
        block.pointee.flags.insert(.finished)
        if block.pointee.flags.contains(.ended) { return die(block) }
        statistics.systemCalls &+= 1
        guard Glibc.shutdown(block.pointee.descriptor, Int32(SHUT_WR)) == 0 else { return fail(block) }
        block.pointee.flags.insert(.lingering)
        block.pointee.lingerDeadline = now + Self.lingerTime
        lingering.append(block)
    }

    func dropOutput(_ block: UnsafeMutablePointer<KernelBlock>) {
        while let chunk = block.pointee.firstChunk {
            block.pointee.firstChunk = chunk.pointee.next
            chunks.release(chunk)
        }
        block.pointee.lastChunk = nil
        block.pointee.backlog = 0
    }
}
