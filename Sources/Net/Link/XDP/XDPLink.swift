import CXDP
import CLinux
import Glibc
import Runtime

/// One AF_XDP socket: one queue of an interface, over its own UMEM, which is the frame pool's memory.
///
/// A frame's way: pool -> fill ring -> (kernel writes a packet) -> receive ring -> caller; caller -> transmit ring ->
/// (kernel sends) -> completion ring -> pool. While the device may touch a frame, the link holds one reference on it.
/// Costs: `receive`, `transmit` and `reclaim` are O(frames moved); an empty receive ring costs one load.
public final class XDPLink: Link {
    public let pool: FramePool
    public let hardwareAddress: MACAddress
    public let mtu: Int
    public let queue: Int
    public let driver: String
    public private(set) var descriptor: Int32

    private let program: XDPProgram
    private let socket: XDPSocket
    /// Entries of the fill ring, a power of two, at most half the pool: the rest is for transmission. With the usual pool
    /// 4,096: enough for a window of 6 MB that comes at once while the shard is off its core; 2,048 lost hundreds of frames
    /// then (perf/differential). It bounds the requests of different clients that can arrive at once.
    private let fillTarget: Int
    /// Frames given to the device for reception and not received yet: in the fill ring, in the receive ring, or between.
    /// At most `fillTarget`, so neither ring can overflow.
    private var lent: Int
    /// References held for the device, by frame. Their sum is `lent` plus the transmissions in flight. What `close`
    /// has to give back, since the rings do not tell which frames the kernel had taken out of them.
    private let held: UnsafeMutablePointer<UInt16>
    private var counters = LinkStatistics()
    private var closed = false

    /// The largest IP datagram that driver mode takes on a page-sized buffer: 4096 minus headroom (256), Ethernet header
    /// (14, the kernel counts it in) and the kernel's skb_shared_info (320), as veth computes it.
    public static let largestMTU = 3506
    /// The fill ring is topped up when this many frames are missing, not for each one; it is never near empty for that.
    private static let refillBatch = 16
    /// At least 4,096 as far as half the pool goes, a quarter of larger pools.
    static func ringSize(frames: Int) -> Int {
        let wanted = min(frames / 2, max(4_096, frames / 4), 32_768)
        return 1 << (Int.bitWidth - 1 - max(1, wanted).leadingZeroBitCount)
    }
    /// Space that the kernel leaves before a received frame (XDP_PACKET_HEADROOM).
    public static let headroom = 256

    /// Binds a socket to `queue` of the program's interface and enters it into the program's table.
    ///
    /// A queue whose last owner has just died stays busy for a moment: binding is tried again for up to three seconds.
    public init(program: XDPProgram, queue: Int, pool: FramePool, mode: XDPMode) throws(LinkError) {
        let interface = program.interface
        precondition(pool.count >= 64, "too few frames for an AF_XDP queue")
        try Self.checkMTU(interface, frameSize: pool.frameSize)
        fillTarget = Self.ringSize(frames: pool.count)
        socket = try XDPSocket.open(program: program, queue: queue, pool: pool, ringSize: fillTarget, mode: mode)
        do throws(LinkError) {
            try program.register(socket: socket.descriptor, queue: queue)
        } catch {
            socket.close()
            throw error
        }
        self.program = program
        self.pool = pool
        self.queue = queue
        hardwareAddress = interface.hardwareAddress
        mtu = interface.mtu
        descriptor = socket.descriptor
        driver = socket.isZeroCopy ? "xdp zero-copy" : program.runsInDriver ? "xdp copy" : "xdp generic"
        lent = 0
        held = .allocate(capacity: pool.count)
        held.initialize(repeating: 0, count: pool.count)
        refill()
    }

    /// A received packet must fit a frame behind the headroom.
    static func checkMTU(_ interface: Interface, frameSize: Int) throws(LinkError) {
        let limit = frameSize - headroom - 14
        guard interface.mtu <= limit else {
            throw .mtuTooLarge(interface: interface.name, mtu: interface.mtu, limit: limit)
        }
    }

    deinit {
        close()
        held.deallocate()
    }

    public func receive(into queue: FrameQueue, limit: Int) -> Int {
        let room = min(limit, queue.room)
        guard room > 0 else { return 0 }
        var index: UInt32 = 0
        let count = xsk_ring_cons__peek(socket.rx, UInt32(truncatingIfNeeded: min(room, fillTarget)), &index)
        guard count > 0 else { return 0 }
        let offsetMask = (UInt64(1) &<< pool.shift) &- 1
        var bytes: UInt64 = 0
        for step in 0..<count {
            let descriptor = xsk_ring_cons__rx_desc(socket.rx, index &+ step)!
            let address = descriptor.pointee.addr
            let frame = FrameID(truncatingIfNeeded: address &>> pool.shift)
            let length = descriptor.pointee.len
            precondition(Int(frame) < pool.count, "the kernel returned a frame outside the pool")
            held[Int(frame)] &-= 1
            bytes &+= UInt64(length)
            // Another core has just written it: have the headers on their way while the rest of the burst is read.
            apus_prefetch(pool.base + Int(truncatingIfNeeded: address))
            apus_prefetch(pool.base + Int(truncatingIfNeeded: address &+ 64))
            _ = queue.push(
                FrameDescriptor(frame: frame, offset: Int(address & offsetMask), length: Int(length)))
        }
        xsk_ring_cons__release(socket.rx, count)
        lent &-= Int(count)
        counters.receivedFrames &+= UInt64(count)
        counters.receivedBytes &+= bytes
        return Int(count)
    }

    public var hasReceived: Bool { xsk_cons_nb_avail(socket.rx, 1) > 0 }

    public func transmit(from queue: FrameQueue) -> Int {
        let free = Int(xsk_prod_nb_free(socket.tx, UInt32(truncatingIfNeeded: queue.count)))
        let count = min(queue.count, free)
        if count > 0 {
            var index: UInt32 = 0
            _ = xsk_ring_prod__reserve(socket.tx, UInt32(truncatingIfNeeded: count), &index)
            var bytes: UInt64 = 0
            for step in 0..<count {
                let frame = queue.peek(step)
                let slot = xsk_ring_prod__tx_desc(socket.tx, index &+ UInt32(truncatingIfNeeded: step))!
                slot.pointee.addr = UInt64(frame.frame) &<< pool.shift &+ UInt64(frame.offset)
                slot.pointee.len = UInt32(frame.length)
                slot.pointee.options = 0
                held[Int(frame.frame)] &+= 1
                bytes &+= UInt64(frame.length)
            }
            xsk_ring_prod__submit(socket.tx, UInt32(truncatingIfNeeded: count))
            queue.removeFirst(count)
            counters.transmittedFrames &+= UInt64(count)
            counters.transmittedBytes &+= bytes
        }
        kick()
        return count
    }

    public func reclaim() {
        complete()
        if fillTarget &- lent >= Self.refillBatch { refill() }
        // A device that was full when the last batch was sent starts again here.
        kick()
    }

    /// Starts transmission if anything waits in the ring. One call sends a bounded number of frames (32 before Linux
    /// 6.17), so it is repeated while it makes progress; what the device cannot take now is tried again next turn.
    @inline(__always)
    private func kick() {
        if apus_load_relaxed_u32(socket.tx.pointee.consumer) == socket.tx.pointee.cached_prod { return }
        if xsk_ring_prod__needs_wakeup(socket.tx) == 0 { return }
        kickSlowly()
    }

    @inline(never)
    private func kickSlowly() {
        var rounds = 64
        var before = apus_load_relaxed_u32(socket.tx.pointee.consumer)
        while rounds > 0 {
            counters.systemCalls &+= 1
            counters.kicks &+= 1
            let result = sendto(descriptor, nil, 0, Int32(MSG_DONTWAIT), nil, 0)
            let after = apus_load_acquire_u32(socket.tx.pointee.consumer)
            // Nothing left; or an error without progress (EBUSY, ENOBUFS, ENETDOWN): later.
            if after == socket.tx.pointee.cached_prod || (result < 0 && after == before) { return }
            // A full completion ring stops the kernel as well.
            complete()
            before = after
            rounds -= 1
        }
    }

    private func complete() {
        var index: UInt32 = 0
        while true {
            let count = xsk_ring_cons__peek(socket.completion, 256, &index)
            guard count > 0 else { return }
            for step in 0..<count {
                let address = xsk_ring_cons__comp_addr(socket.completion, index &+ step)!.pointee
                let frame = FrameID(truncatingIfNeeded: address &>> pool.shift)
                precondition(Int(frame) < pool.count, "the kernel returned a frame outside the pool")
                held[Int(frame)] &-= 1
                pool.release(frame)
            }
            xsk_ring_cons__release(socket.completion, count)
        }
    }

    /// Lends free frames to the device until `fillTarget` are with it, but leaves an eighth of the pool for sending. With
    /// less than that free, a small number stays lent all the same, out of the reserve that only links and short
    /// messages take from: acknowledgements have to come in, or nothing sent would ever be given back.
    private func refill() {
        let spare = pool.freeCount &- pool.count &>> 3
        let least = min((pool.count &>> 5) &- lent, pool.freeCount &- pool.count &>> 5)
        let wanted = min(fillTarget &- lent, max(spare, least))
        guard wanted > 0 else { return }
        let count = min(wanted, Int(xsk_prod_nb_free(socket.fill, UInt32(truncatingIfNeeded: wanted))))
        guard count > 0 else { return }
        var index: UInt32 = 0
        _ = xsk_ring_prod__reserve(socket.fill, UInt32(truncatingIfNeeded: count), &index)
        for step in 0..<count {
            let frame = pool.allocateReserved()!
            held[Int(frame)] &+= 1
            xsk_ring_prod__fill_addr(socket.fill, index &+ UInt32(truncatingIfNeeded: step))!.pointee =
                UInt64(frame) &<< pool.shift
        }
        xsk_ring_prod__submit(socket.fill, UInt32(truncatingIfNeeded: count))
        lent &+= count
        // Only zero-copy drivers ask for this; they stop when the fill ring was empty.
        if xsk_ring_prod__needs_wakeup(socket.fill) != 0 {
            counters.systemCalls &+= 1
            _ = recvfrom(descriptor, nil, 0, Int32(MSG_DONTWAIT), nil, nil)
        }
    }

    public var statistics: LinkStatistics {
        guard !closed else { return counters }
        counters.systemCalls &+= 1
        let drops = socket.drops()
        var result = counters
        result.receiveDrops &+= drops.receive
        result.transmitDrops &+= drops.transmit
        return result
    }

    public func close() {
        guard !closed else { return }
        let drops = socket.drops()
        counters.receiveDrops &+= drops.receive
        counters.transmitDrops &+= drops.transmit
        closed = true
        descriptor = -1
        program.unregister(queue: queue)
        socket.close()
        for frame in 0..<pool.count {
            while held[frame] > 0 {
                held[frame] -= 1
                pool.release(FrameID(frame))
            }
        }
        lent = 0
    }
}
