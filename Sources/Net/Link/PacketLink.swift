import CLinux
import Glibc
import Runtime

/// An AF_PACKET socket with memory-mapped rings for both directions (packet(7), PACKET_MMAP): works on every Ethernet
/// interface, with one copy each way between ring and pool. `FrameInfo.stamp` of a received frame is the instant at
/// which the kernel saw it (CLOCK_REALTIME, nanoseconds).
///
/// The rings are TPACKET_V2, not V3: V3 hands over blocks, and a block that is not full waits for a timer of at least a
/// millisecond, which at one outstanding request is thirty times the round trip (docs/links.md has the figures). V2
/// hands over each frame at once and costs the same otherwise.
public final class PacketLink: Link {
    public let pool: FramePool
    public let hardwareAddress: MACAddress
    public let mtu: Int
    public private(set) var descriptor: Int32
    public let driver = "packet"

    private var counters = LinkStatistics()
    private let interface: Interface
    /// Generic receive offload was on and is turned on again by `close`: merged frames do not fit the ring's slots.
    private let restoresMerging: Bool
    private let lock: InterfaceLock

    /// `slots` receive slots, then `slots` transmit slots, of `slotSize` bytes each.
    private let ring: UnsafeMutableRawPointer
    private let transmitRing: UnsafeMutableRawPointer
    /// A power of two.
    private let slotSize: Int
    private let slots: Int
    /// The slot that the kernel fills next as we see it; every slot before it is the kernel's.
    private var receiveNext = 0
    /// The slot that we fill next.
    private var transmitNext = 0
    /// The last send call left something in the ring.
    private var sendPending = false

    /// Where a received frame starts in its pool frame, as with AF_XDP.
    private static let offset = XDPLink.headroom
    /// The frame's place in a transmit slot: behind the aligned tpacket2_hdr.
    private static let transmitOffset = 32

    /// With an address: frames to it and ARP about it, and to the `addresses` - 1 that follow it. Without one: every frame on
    /// the wire (promiscuous mode), for a bridge. `slots` is a power of two.
    public init(
        _ interface: Interface, address: IPv4Address?, addresses: Int = 1, pool: FramePool, slots: Int = 1024
    ) throws(LinkError) {
        precondition(slots.nonzeroBitCount == 1 && slots >= 64, "slots must be a power of two")
        guard interface.isUp else { throw .interfaceDown(interface.name) }
        try XDPLink.checkMTU(interface, frameSize: pool.frameSize)
        let place = address.map { "\(interface.name) at \($0)" } ?? "\(interface.name) bridged"
        lock = try InterfaceLock(place, use: "packet")
        // 128 bytes hold the slot's header and the address; a frame is at most mtu + 18 bytes long.
        var slotSize = 2048
        while slotSize < interface.mtu + 18 + 128 { slotSize *= 2 }
        let file = socket(AF_PACKET, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard file >= 0 else { throw .call("open a packet socket", errno) }
        do throws(LinkError) {
            if let address { try Self.attachFilter(file, address, addresses) }
            ring = try Self.configure(file, interface, isOpen: address == nil, slots, slotSize)
        } catch {
            Glibc.close(file)
            throw error
        }
        transmitRing = ring + slots * slotSize
        self.interface = interface
        self.pool = pool
        self.slots = slots
        self.slotSize = slotSize
        hardwareAddress = interface.hardwareAddress
        mtu = interface.mtu
        descriptor = file
        restoresMerging = interface.has(.receiveMerging)
        if restoresMerging { try? interface.set(.receiveMerging, false) }
    }

    deinit { close() }

    /// Everything is set before the socket is bound to the interface, so no frame arrives that the filter has not seen.
    private static func configure(
        _ file: Int32, _ interface: Interface, isOpen: Bool, _ slots: Int, _ slotSize: Int
    ) throws(LinkError) -> UnsafeMutableRawPointer {
        func set<Value: BitwiseCopyable>(_ level: Int32, _ option: Int32, _ value: Value) -> Int32 {
            withUnsafeBytes(of: value) {
                setsockopt(file, level, option, $0.baseAddress, socklen_t($0.count)) == 0 ? 0 : errno
            }
        }
        let blockSize = max(slotSize, 64 << 10)
        let request = tpacket_req(
            tp_block_size: UInt32(blockSize), tp_block_nr: UInt32(slots * slotSize / blockSize),
            tp_frame_size: UInt32(slotSize), tp_frame_nr: UInt32(slots))
        // A frame that the driver refuses is dropped with a counter instead of stopping the ring (PACKET_LOSS).
        let codes: [Int32] = [
            set(SOL_PACKET, PACKET_VERSION, Int32(bitPattern: TPACKET_V2.rawValue)),
            set(SOL_PACKET, PACKET_IGNORE_OUTGOING, Int32(1)),
            set(SOL_PACKET, PACKET_LOSS, Int32(1)),
            set(SOL_PACKET, PACKET_RX_RING, request),
            set(SOL_PACKET, PACKET_TX_RING, request),
        ]
        let code = codes.first { $0 != 0 } ?? 0
        guard code == 0 else { throw .call("set up packet rings on interface \(interface.name)", code) }
        // Both only save time.
        _ = set(SOL_PACKET, PACKET_QDISC_BYPASS, Int32(1))
        _ = set(SOL_SOCKET, SO_SNDBUFFORCE, Int32(8 << 20))
        let size = 2 * slots * slotSize
        let map = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0)
        guard let map, map != MAP_FAILED else { throw .call("map the packet rings", errno) }
        var name = sockaddr_ll()
        name.sll_family = UInt16(AF_PACKET)
        name.sll_protocol = UInt16(ETH_P_ALL).bigEndian
        name.sll_ifindex = Int32(interface.index)
        let bound = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(file, $0, socklen_t(MemoryLayout<sockaddr_ll>.size)) == 0 ? 0 : errno
            }
        }
        guard bound == 0 else {
            munmap(map, size)
            throw .call("bind a packet socket to interface \(interface.name)", bound)
        }
        if isOpen {
            var membership = packet_mreq()
            membership.mr_ifindex = Int32(interface.index)
            membership.mr_type = UInt16(PACKET_MR_PROMISC)
            // A veth needs none of this, and a NIC that refuses it has switched nothing off.
            _ = set(SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership)
        }
        return map
    }

    /// A classic BPF program on the socket: ARP whose target protocol address is ours, IPv4 to our addresses, nothing
    /// that the interface only overheard. The kernel still sees all frames, and ignores those to an address not its own.
    private static func attachFilter(
        _ file: Int32, _ address: IPv4Address, _ addresses: Int
    ) throws(LinkError) {
        let loadWord = UInt16(BPF_LD | BPF_W | BPF_ABS)
        let ifEqual = UInt16(BPF_JMP | BPF_JEQ | BPF_K)
        let done = UInt16(BPF_RET | BPF_K)
        // SKF_AD_OFF + SKF_AD_PKTTYPE: the packet's type; 3 = PACKET_OTHERHOST.
        let packetType = UInt32(bitPattern: -0x1000 + 4)
        var code = [
            sock_filter(code: loadWord, jt: 0, jf: 0, k: packetType),
            sock_filter(code: ifEqual, jt: 9, jf: 0, k: 3),
            sock_filter(code: UInt16(BPF_LD | BPF_H | BPF_ABS), jt: 0, jf: 0, k: 12),
            sock_filter(code: ifEqual, jt: 3, jf: 0, k: 0x0806),
            sock_filter(code: ifEqual, jt: 0, jf: 6, k: 0x0800),
            // IPv4: destination address.
            sock_filter(code: loadWord, jt: 0, jf: 0, k: 30),
            sock_filter(code: UInt16(BPF_JMP | BPF_JA), jt: 0, jf: 0, k: 1),
            // ARP: target protocol address.
            sock_filter(code: loadWord, jt: 0, jf: 0, k: 38),
            // Less the first address it is below the count.
            sock_filter(code: UInt16(BPF_ALU | BPF_SUB | BPF_K), jt: 0, jf: 0, k: address.bits),
            sock_filter(code: UInt16(BPF_JMP | BPF_JGE | BPF_K), jt: 1, jf: 0, k: UInt32(addresses)),
            sock_filter(code: done, jt: 0, jf: 0, k: .max),
            sock_filter(code: done, jt: 0, jf: 0, k: 0),
        ]
        let result = code.withUnsafeMutableBufferPointer { buffer in
            var program = sock_fprog(len: UInt16(buffer.count), filter: buffer.baseAddress)
            return setsockopt(
                file, SOL_SOCKET, SO_ATTACH_FILTER, &program, socklen_t(MemoryLayout<sock_fprog>.size)) == 0 ? 0 : errno
        }
        guard result == 0 else { throw .call("attach a packet filter", result) }
    }

    public var hasReceived: Bool {
        let slot = ring + receiveNext &* slotSize
        return apus_load_acquire_u32(slot.assumingMemoryBound(to: UInt32.self)) & UInt32(TP_STATUS_USER) != 0
    }

    public func receive(into queue: FrameQueue, limit: Int) -> Int {
        let room = min(limit, queue.room)
        var count = 0
        while count < room {
            let slot = ring + receiveNext &* slotSize
            let header = slot.assumingMemoryBound(to: tpacket2_hdr.self)
            let statusWord = slot.assumingMemoryBound(to: UInt32.self)
            let status = apus_load_acquire_u32(statusWord)
            guard status & UInt32(TP_STATUS_USER) != 0 else { break }
            // No free frame: what arrived waits in the ring, which is the buffer for such moments.
            guard let frame = pool.allocateReserved() else { break }
            let length = Int(header.pointee.tp_snaplen)
            let from = Int(header.pointee.tp_mac)
            // Cut off, or stripped of a VLAN tag (then it was not for our untagged address).
            let foreign =
                Int(header.pointee.tp_len) != length || length > pool.frameSize &- Self.offset
                || from &+ length > slotSize
                || (status & UInt32(TP_STATUS_VLAN_VALID) != 0 && header.pointee.tp_vlan_tci != 0)
            if foreign {
                pool.release(frame)
                counters.receiveDrops &+= 1
            } else {
                memcpy(pool.address(frame) + Self.offset, slot + from, length)
                pool.info(frame).pointee.stamp =
                    Int64(header.pointee.tp_sec) &* 1_000_000_000 &+ Int64(header.pointee.tp_nsec)
                _ = queue.push(FrameDescriptor(frame: frame, offset: Self.offset, length: length))
                counters.receivedFrames &+= 1
                counters.receivedBytes &+= UInt64(length)
                count &+= 1
            }
            apus_store_release_u32(statusWord, UInt32(TP_STATUS_KERNEL))
            receiveNext = (receiveNext &+ 1) & (slots &- 1)
        }
        return count
    }

    public func transmit(from queue: FrameQueue) -> Int {
        var count = 0
        while !queue.isEmpty {
            let slot = transmitRing + transmitNext &* slotSize
            let statusWord = slot.assumingMemoryBound(to: UInt32.self)
            guard apus_load_acquire_u32(statusWord) == UInt32(TP_STATUS_AVAILABLE) else { break }
            let frame = queue.peek()
            let length = Int(frame.length)
            if length <= slotSize &- Self.transmitOffset {
                memcpy(slot + Self.transmitOffset, pool.address(frame.frame) + Int(frame.offset), length)
                slot.assumingMemoryBound(to: tpacket2_hdr.self).pointee.tp_len = UInt32(length)
                apus_store_release_u32(statusWord, UInt32(TP_STATUS_SEND_REQUEST))
                transmitNext = (transmitNext &+ 1) & (slots &- 1)
                counters.transmittedFrames &+= 1
                counters.transmittedBytes &+= UInt64(length)
            } else {
                counters.transmitDrops &+= 1
            }
            queue.removeFirst(1)
            pool.release(frame.frame)
            count &+= 1
        }
        if count > 0 { send() }
        return count
    }

    /// One call sends everything that waits in the ring, unless the socket's send buffer is used up.
    private func send() {
        counters.systemCalls &+= 1
        counters.kicks &+= 1
        sendPending = Glibc.send(descriptor, nil, 0, Int32(MSG_DONTWAIT)) < 0
    }

    public func reclaim() {
        if sendPending { send() }
    }

    public var statistics: LinkStatistics {
        // The kernel resets its counters when they are read: they are added up here.
        if descriptor >= 0 { counters.systemCalls &+= 1 }
        var kernel = tpacket_stats()
        var size = socklen_t(MemoryLayout<tpacket_stats>.size)
        if descriptor >= 0, getsockopt(descriptor, SOL_PACKET, PACKET_STATISTICS, &kernel, &size) == 0 {
            counters.receiveDrops &+= UInt64(kernel.tp_drops)
        }
        return counters
    }

    public func close() {
        guard descriptor >= 0 else { return }
        munmap(ring, 2 * slots * slotSize)
        Glibc.close(descriptor)
        descriptor = -1
        if restoresMerging { try? interface.set(.receiveMerging, true) }
    }
}
