import CLinux
import Glibc
import Runtime

/// A connection's life, and what epoll watches for it.
extension KernelStack {
    public func context(_ connection: KernelConnection) -> UnsafeMutableRawPointer? {
        connection.block.pointee.context
    }

    public func setContext(_ connection: KernelConnection, _ context: UnsafeMutableRawPointer?) {
        connection.block.pointee.context = context
    }

    /// The peer's address (IPv6 in brackets) and port. A system call; allocates.
    public func remote(_ connection: KernelConnection) -> (String, UInt16) {
        statistics.systemCalls &+= 1
        return SocketAddress.read(connection.block.pointee.descriptor, getpeername)
    }

    /// Our address (IPv6 in brackets) and port. A system call; allocates.
    public func local(_ connection: KernelConnection) -> (String, UInt16) {
        statistics.systemCalls &+= 1
        return SocketAddress.read(connection.block.pointee.descriptor, getsockname)
    }

    /// FIN after all committed bytes. What the peer still sends is thrown away, so that closing does not reset the
    /// connection while our last bytes are on their way; `.closed` follows when the peer has closed too, or after
    /// `lingerTime`.
    public func shutdown(_ connection: KernelConnection) {
        let block = connection.block
        guard block.pointee.flags.isDisjoint(with: [.dead, .finishing]) else { return }
        block.pointee.flags.insert(.finishing)
        dropInput(block)
        touch(block)
    }

    /// RST now. No event follows; the user calls `free`.
    public func abort(_ connection: KernelConnection) {
        let block = connection.block
        if !block.pointee.flags.contains(.dead) {
            var linger = linger(l_onoff: 1, l_linger: 0)
            statistics.systemCalls &+= 1
            _ = setsockopt(
                block.pointee.descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
            die(block)
        }
        block.pointee.events = []
        leaveReady(block)
    }

    /// The user lets go: after `.closed` or `abort`.
    public func free(_ connection: KernelConnection) {
        statistics.freed &+= 1
        release(connection.block)
    }

    /// Closes the socket and gives everything back. No list holds the block afterwards.
    func release(_ block: UnsafeMutablePointer<KernelBlock>) {
        if !block.pointee.flags.contains(.dead) { die(block) }
        leaveReady(block)
        if block.pointee.flags.contains(.touched) { touched.remove(block) }
        dropOutput(block)
        live.remove(block)
        // Closing takes the socket out of epoll; no event of it is left, because `poll` handles all it got.
        statistics.systemCalls &+= 1
        Glibc.close(block.pointee.descriptor)
        slab.free(block)
    }

    /// An error of the connection.
    func fail(_ block: UnsafeMutablePointer<KernelBlock>) {
        statistics.resets &+= 1
        die(block)
    }

    /// Over: no more input, output or epoll events; the user is told.
    func die(_ block: UnsafeMutablePointer<KernelBlock>) {
        unregister(block)
        if block.pointee.flags.contains(.lingering) { lingering.remove(block) }
        block.pointee.flags.remove([.lingering, .readable, .blocked, .paused])
        block.pointee.flags.insert(.dead)
        dropInput(block)
        // The user may be writing into a lent span: its memory is taken back by `output`, not under its hands.
        touch(block)
        block.pointee.events.insert(.closed)
        enqueue(block)
    }

    private func leaveReady(_ block: UnsafeMutablePointer<KernelBlock>) {
        guard block.pointee.flags.contains(.ready) else { return }
        block.pointee.flags.remove(.ready)
        ready.remove(block)
    }

    // MARK: epoll

    /// What epoll should tell us of this connection now: derived from its flags alone.
    private func wantedInterest(_ block: UnsafeMutablePointer<KernelBlock>) -> UInt32 {
        let flags = block.pointee.flags
        var wanted: UInt32 = 0
        if flags.isDisjoint(with: [.ended, .paused]) { wanted |= EPOLLIN.rawValue }
        if flags.contains(.blocked) { wanted |= EPOLLOUT.rawValue }
        return wanted
    }

    func updateInterest(_ block: UnsafeMutablePointer<KernelBlock>) {
        guard !block.pointee.flags.contains(.dead) else { return }
        let wanted = wantedInterest(block)
        guard block.pointee.interest != wanted else { return }
        if block.pointee.interest == Self.unregistered {
            // Out of epoll because of a hang-up that nobody can act on before the bytes are consumed.
            if !block.pointee.flags.contains(.paused) { _ = register(block) }
            return
        }
        block.pointee.interest = wanted
        var event = epoll_event(events: wanted, data: epoll_data(ptr: UnsafeMutableRawPointer(block)))
        statistics.systemCalls &+= 1
        _ = epoll_ctl(descriptor, EPOLL_CTL_MOD, block.pointee.descriptor, &event)
    }

    /// A value of `interest` that is no set of events we ask for.
    private static var unregistered: UInt32 { .max }

    /// false: the kernel has no memory for it.
    func register(_ block: UnsafeMutablePointer<KernelBlock>) -> Bool {
        block.pointee.interest = wantedInterest(block)
        var event = epoll_event(
            events: block.pointee.interest, data: epoll_data(ptr: UnsafeMutableRawPointer(block)))
        statistics.systemCalls &+= 1
        return epoll_ctl(descriptor, EPOLL_CTL_ADD, block.pointee.descriptor, &event) == 0
    }

    func unregister(_ block: UnsafeMutablePointer<KernelBlock>) {
        guard block.pointee.interest != Self.unregistered else { return }
        block.pointee.interest = Self.unregistered
        statistics.systemCalls &+= 1
        _ = epoll_ctl(descriptor, EPOLL_CTL_DEL, block.pointee.descriptor, nil)
    }
}
