import CLinux
import Glibc
import Runtime

/// Counters since the stack was made.
public struct KernelStatistics: BitwiseCopyable, Sendable {
    public var accepted: UInt64 = 0
    /// Blocks given back by `free`.
    public var freed: UInt64 = 0
    /// accept failed for want of descriptors or memory; accepting pauses for a while.
    public var acceptFailures: UInt64 = 0
    public var receivedBytes: UInt64 = 0
    public var sentBytes: UInt64 = 0
    /// Connections that ended by a reset or another error.
    public var resets: UInt64 = 0
    /// Connections whose peer did not close after we had.
    public var lingerTimeouts: UInt64 = 0
    /// Active opens that succeeded.
    public var opened: UInt64 = 0
    /// System calls, all of them. Of those: epoll_wait, recv, and send or sendmsg; the others accept, connect, configure,
    /// watch and close sockets.
    public var systemCalls: UInt64 = 0
    public var polls: UInt64 = 0
    public var receives: UInt64 = 0
    public var sends: UInt64 = 0
    public init() {}
}

/// Kernel TCP sockets as byte streams (the contract is in ByteStream.swift). One for each shard, used by its thread.
///
/// `poll` asks epoll, once, which sockets are ready and puts them into the ready list; `nextEvent` reads each socket
/// when its turn comes, into one read buffer that the whole shard shares. What the user leaves unread is moved to
/// memory of the connection's own when the next one is read, and then this socket is not read until it is consumed:
/// TCP's window closes, and an idle connection owns no buffer. A view from `received` is therefore good until the next
/// call of `nextEvent`, `poll`, `output`, or `received` of another connection.
///
/// epoll is level-triggered: a socket that was not emptied is reported again, so one read per event is enough and
/// every connection gets its part.
public final class KernelStack {
    /// Bytes that one read takes at most.
    static let readSize = 65536
    /// Reads of one socket in one turn.
    static let readsPerTurn: UInt8 = 4
    static let eventsPerPoll = 256
    static let acceptsPerPoll = 64
    /// After a failed accept, because the listener stays readable.
    static let acceptPause: Nanoseconds = .milliseconds(100)
    /// How long a peer may take to close after we have sent everything and our FIN.
    static let lingerTime: Nanoseconds = .seconds(2)
    /// A backlog below this never makes a `.writable` event.
    static let lowWater = 65536

    /// The epoll descriptor: readable when `poll` has something to do. What a sleeping shard waits on.
    public let descriptor: Int32
    /// Owned; closed by `close`.
    private var listeners: [Int32]
    /// Seconds of silence before TCP keepalive asks, for connections accepted from now on; 0 is off.
    public var keepalive: Int
    public internal(set) var statistics = KernelStatistics()

    var slab = Slab<KernelBlock>()
    var live = BlockList(\KernelBlock.liveLinks)
    var ready = BlockList(\KernelBlock.readyLinks)
    var touched = BlockList(\KernelBlock.touchedLinks)
    var lingering = BlockList(\KernelBlock.lingerLinks)
    public let chunks = ChunkPool()
    /// `readSize` bytes, shared by all connections.
    let readBuffer: UnsafeMutableRawPointer
    /// The connection whose unread bytes are in `readBuffer`, if any.
    var reader: UnsafeMutablePointer<KernelBlock>?
    /// The errno of the last active open that failed; 0: none did.
    var connectCode: Int32 = 0
    /// While not 0, the listeners are not registered with epoll.
    private var acceptPausedUntil: Nanoseconds = 0
    private let epollEvents: UnsafeMutablePointer<epoll_event>

    /// - Parameters:
    ///   - listeners: listening sockets from `KernelListener.open`; owned from now on.
    ///   - keepalive: seconds; 0 is off.
    public init(listeners: [Int32], keepalive: Int = 0) {
        precondition(listeners.count < 4096, "listener numbers must not look like addresses")
        descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
        precondition(descriptor >= 0, "no descriptor left for epoll")
        self.listeners = listeners
        self.keepalive = keepalive
        readBuffer = .allocate(byteCount: Self.readSize, alignment: 4096)
        epollEvents = .allocate(capacity: Self.eventsPerPoll)
        registerListeners()
    }

    deinit {
        precondition(descriptor < 0 || listeners.isEmpty, "a kernel stack must be closed first")
        readBuffer.deallocate()
        epollEvents.deallocate()
        slab.deallocate()
        chunks.deallocate()
    }

    /// Closes the listeners and every connection, without events. Nothing else may be called afterwards.
    public func close() {
        while let block = live.first { release(block) }
        for listener in listeners { Glibc.close(listener) }
        listeners = []
        Glibc.close(descriptor)
    }

    /// Accepts no more connections; those that are there go on.
    public func stopListening() {
        for listener in listeners { Glibc.close(listener) }
        listeners = []
        acceptPausedUntil = 0
    }

    /// Connections accepted and not freed.
    public var liveConnections: Int { slab.liveCount }
    /// Memory lent for output and not yet sent, in chunks of 16 KiB.
    public var chunksInUse: Int { chunks.inUse }
    /// Whether `nextEvent` may have something: do not sleep.
    public var hasEvents: Bool { ready.first != nil }

    /// When `poll` has something to do even if epoll is silent; nil: never.
    public var nextDeadline: Nanoseconds? {
        let linger = lingering.first?.pointee.lingerDeadline
        guard acceptPausedUntil != 0 else { return linger }
        return min(linger ?? .max, acceptPausedUntil)
    }

    // MARK: events

    /// Asks epoll once, without waiting: accepts, and fills the ready list. Returns how many sockets had something.
    @discardableResult
    public func poll(now: Nanoseconds) -> Int {
        detachReader()
        if acceptPausedUntil != 0 && now >= acceptPausedUntil {
            acceptPausedUntil = 0
            registerListeners()
        }
        while let block = lingering.first, block.pointee.lingerDeadline <= now {
            statistics.lingerTimeouts &+= 1
            die(block)
        }
        statistics.systemCalls &+= 1
        statistics.polls &+= 1
        let count = epoll_wait(descriptor, epollEvents, Int32(Self.eventsPerPoll), 0)
        // EINTR: the next turn asks again.
        guard count > 0 else { return 0 }
        for index in 0..<Int(count) {
            let event = epollEvents[index]
            if event.data.u64 < 4096 {
                accept(Int(event.data.u64), now: now)
            } else {
                note(event.events, UnsafeMutablePointer(bitPattern: UInt(event.data.u64))!)
            }
        }
        return Int(count)
    }

    /// What epoll said of one socket. Reading is left to `nextEvent`, writing to `output`.
    private func note(_ bits: UInt32, _ block: UnsafeMutablePointer<KernelBlock>) {
        if block.pointee.flags.contains(.connecting), !finishConnecting(block) { return }
        let broken = bits & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0
        if bits & EPOLLOUT.rawValue != 0 {
            block.pointee.flags.remove(.blocked)
            touch(block)
        }
        guard bits & EPOLLIN.rawValue != 0 || broken else { return }
        if block.pointee.flags.contains(.ended) {
            // EPOLLHUP with both directions closed, or an error: nothing can be read or written any more.
            if broken { fail(block) }
        } else if block.pointee.inputCount == 0 {
            // An error too is learnt by reading, after the bytes that came before it.
            block.pointee.flags.insert(.readable)
            enqueue(block)
        } else if bits & EPOLLERR.rawValue != 0 {
            fail(block)
        } else {
            // A hang-up cannot be masked, so the socket leaves epoll altogether until its bytes are consumed.
            block.pointee.flags.insert(.paused)
            if broken { unregister(block) } else { updateInterest(block) }
        }
    }

    /// The next connection with events, first come first served; nil when there is none. Each once a burst, except
    /// that the end of a stream may be learnt while it is read.
    public func nextEvent() -> KernelConnection? {
        detachReader()
        while let block = ready.first {
            ready.remove(block)
            block.pointee.flags.remove(.ready)
            if block.pointee.flags.contains(.readable) {
                block.pointee.flags.remove(.readable)
                block.pointee.reads = 0
                if block.pointee.flags.contains(.finishing) { discardInput(block) } else { read(block) }
                // Reading may have put it back; then it would come twice.
                if block.pointee.flags.contains(.ready) {
                    ready.remove(block)
                    block.pointee.flags.remove(.ready)
                }
            }
            if !block.pointee.events.isEmpty { return KernelConnection(block: block) }
        }
        return nil
    }

    public func takeEvents(_ connection: KernelConnection) -> StreamEvents {
        let events = connection.block.pointee.events
        connection.block.pointee.events = []
        return events
    }

    func enqueue(_ block: UnsafeMutablePointer<KernelBlock>) {
        guard !block.pointee.flags.contains(.ready) else { return }
        block.pointee.flags.insert(.ready)
        ready.append(block)
    }

    // MARK: accepting

    private func registerListeners() {
        for (index, listener) in listeners.enumerated() {
            var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data(u64: UInt64(index)))
            statistics.systemCalls &+= 1
            _ = epoll_ctl(descriptor, EPOLL_CTL_ADD, listener, &event)
        }
    }

    private func accept(_ index: Int, now: Nanoseconds) {
        guard index < listeners.count, acceptPausedUntil == 0 else { return }
        for _ in 0..<Self.acceptsPerPoll {
            statistics.systemCalls &+= 1
            let socket = apus_accept_nonblocking(listeners[index])
            if socket >= 0 {
                adopt(socket)
                continue
            }
            switch errno {
            case EAGAIN: return
            case EMFILE, ENFILE, ENOBUFS, ENOMEM:
                // The listener stays readable: leave epoll, or the shard would spin on it.
                statistics.acceptFailures &+= 1
                acceptPausedUntil = now + Self.acceptPause
                for listener in listeners { _ = epoll_ctl(descriptor, EPOLL_CTL_DEL, listener, nil) }
                statistics.systemCalls &+= UInt64(listeners.count)
                return
            default: continue  // that connection broke before we had it (accept(2), "Error handling")
            }
        }
    }

    private func adopt(_ socket: Int32) {
        configure(socket)
        let block = slab.allocate()
        block.initialize(to: KernelBlock(descriptor: socket, input: readBuffer))
        guard register(block) else {
            statistics.acceptFailures &+= 1
            Glibc.close(socket)
            slab.free(block)
            return
        }
        live.append(block)
        statistics.accepted &+= 1
        block.pointee.events = .opened
        enqueue(block)
    }

    func configure(_ socket: Int32) {
        statistics.systemCalls &+= keepalive > 0 ? 5 : 1
        setOption(socket, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        if keepalive > 0 {
            // As Redis: first after `keepalive` seconds, then three times at a third of that.
            setOption(socket, SOL_SOCKET, SO_KEEPALIVE, 1)
            setOption(socket, Int32(IPPROTO_TCP), TCP_KEEPIDLE, Int32(clamping: keepalive))
            setOption(socket, Int32(IPPROTO_TCP), TCP_KEEPINTVL, max(1, Int32(clamping: keepalive / 3)))
            setOption(socket, Int32(IPPROTO_TCP), TCP_KEEPCNT, 3)
        }
    }
}
