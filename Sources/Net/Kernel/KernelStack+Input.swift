import CLinux
import Glibc
import Runtime

extension KernelStack {
    /// The unread bytes, in place; count 0: none for now. See the class for how long the view is good.
    public func received(_ connection: KernelConnection) -> ByteView {
        let block = connection.block
        if block.pointee.inputCount == 0 && block.pointee.flags.contains(.more)
            && block.pointee.reads < Self.readsPerTurn
        {
            detachReader()
            read(block)
            // The user is at it, and need not be called again for these bytes.
            block.pointee.events.remove(.readable)
        }
        return ByteView(block.pointee.input, block.pointee.inputCount)
    }

    /// Gives back the first `count` bytes of `received`.
    public func consume(_ connection: KernelConnection, _ count: Int) {
        let block = connection.block
        precondition(count >= 0 && count <= block.pointee.inputCount, "more consumed than received")
        block.pointee.input += count
        block.pointee.inputCount &-= count
        guard block.pointee.inputCount == 0 else { return }
        if reader == block { reader = nil }
        if block.pointee.ownInput != nil { resumeReading(block) }
    }

    /// Reads the socket once into the shared buffer. The block has no unread bytes, and nobody is the reader.
    func read(_ block: UnsafeMutablePointer<KernelBlock>) {
        block.pointee.flags.remove(.more)
        guard block.pointee.flags.isDisjoint(with: [.dead, .ended, .finishing]) else { return }
        block.pointee.reads &+= 1
        let count = receive(block)
        if count > 0 {
            block.pointee.input = readBuffer
            block.pointee.inputCount = count
            if count == Self.readSize { block.pointee.flags.insert(.more) }
            reader = block
            block.pointee.events.insert(.readable)
        } else if count == 0 {
            block.pointee.events.insert(.endOfStream)
            end(block)
            enqueue(block)
        }
    }

    /// Reads and throws away, after `shutdown`.
    func discardInput(_ block: UnsafeMutablePointer<KernelBlock>) {
        guard block.pointee.flags.isDisjoint(with: [.dead, .ended]) else { return }
        for _ in 0..<Self.readsPerTurn {
            let count = receive(block)
            if count == 0 { end(block) }
            if count < Self.readSize { return }
        }
    }

    /// One recv: bytes read, 0 for the end of the stream, -1 for nothing now or an error that was dealt with.
    private func receive(_ block: UnsafeMutablePointer<KernelBlock>) -> Int {
        statistics.systemCalls &+= 1
        statistics.receives &+= 1
        let count = recv(block.pointee.descriptor, readBuffer, Self.readSize, 0)
        if count >= 0 {
            statistics.receivedBytes &+= UInt64(count)
            return count
        }
        if errno != EAGAIN && errno != EINTR { fail(block) }
        return -1
    }

    /// The peer's FIN was read.
    private func end(_ block: UnsafeMutablePointer<KernelBlock>) {
        block.pointee.flags.insert(.ended)
        if block.pointee.flags.contains(.finished) { die(block) } else { updateInterest(block) }
    }

    /// The shared buffer is needed: unread bytes in it move to memory of their connection's own.
    func detachReader() {
        guard let block = reader else { return }
        reader = nil
        let count = block.pointee.inputCount
        let own = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 16)
        own.copyMemory(from: block.pointee.input, byteCount: count)
        block.pointee.input = own
        block.pointee.ownInput = own
    }

    func dropInput(_ block: UnsafeMutablePointer<KernelBlock>) {
        if reader == block { reader = nil }
        block.pointee.inputCount = 0
        block.pointee.flags.remove(.more)
        resumeReading(block)
    }

    /// All unread bytes are gone: the connection owns no buffer, and its socket is read again.
    private func resumeReading(_ block: UnsafeMutablePointer<KernelBlock>) {
        block.pointee.ownInput?.deallocate()
        block.pointee.ownInput = nil
        block.pointee.input = readBuffer
        guard block.pointee.flags.contains(.paused) else { return }
        block.pointee.flags.remove(.paused)
        updateInterest(block)
    }
}
