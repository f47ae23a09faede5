import CLinux
import CXDP
import Glibc
import Runtime

/// The kernel's objects behind one `XDPLink`: UMEM registration, socket, four rings.
struct XDPSocket {
    let umem: OpaquePointer
    let socket: OpaquePointer
    let descriptor: Int32
    let isZeroCopy: Bool
    /// libxdp keeps these addresses until the socket is deleted, so the ring structs never move.
    let fill: UnsafeMutablePointer<xsk_ring_prod>
    let completion: UnsafeMutablePointer<xsk_ring_cons>
    let rx: UnsafeMutablePointer<xsk_ring_cons>
    let tx: UnsafeMutablePointer<xsk_ring_prod>

    /// Zero-copy first where the mode and the hook allow it, then copy. Waits for a busy queue for up to 3 seconds.
    static func open(
        program: XDPProgram, queue: Int, pool: FramePool, ringSize: Int, mode: XDPMode
    ) throws(LinkError) -> XDPSocket {
        let name = program.interface.name
        var flags: [UInt16] = []
        if program.runsInDriver && (mode == .auto || mode == .zeroCopy) { flags.append(UInt16(XDP_ZEROCOPY)) }
        if mode != .zeroCopy { flags.append(UInt16(XDP_COPY)) }
        var code: Int32 = EOPNOTSUPP
        // 150 times 20 ms.
        for _ in 0..<150 {
            for flag in flags {
                switch create(name, queue, pool, ringSize, flag) {
                case .success(let socket): return socket
                case .failure(let error): code = error.code
                }
                if code == EBUSY || code == EPERM { break }
            }
            if code != EBUSY { break }
            usleep(20_000)
        }
        switch code {
        case EBUSY: throw .queueBusy(interface: name, queue: queue)
        case EOPNOTSUPP, EINVAL: throw .modeUnavailable(interface: name, mode: mode, code: code)
        // RLIMIT_MEMLOCK without CAP_IPC_LOCK.
        case ENOBUFS: throw .missingPrivilege(operation: "lock the memory of the frame pool")
        default: throw .call("open an AF_XDP socket on queue \(queue) of interface \(name)", code)
        }
    }

    private struct Failure: Error { let code: Int32 }

    private static func create(
        _ name: String, _ queue: Int, _ pool: FramePool, _ ringSize: Int, _ flag: UInt16
    ) -> Result<XDPSocket, Failure> {
        // Zeroed, because libxdp does not initialise every cached index; a cache line each.
        let fill: UnsafeMutablePointer<xsk_ring_prod> = zeroed()
        let completion: UnsafeMutablePointer<xsk_ring_cons> = zeroed()
        let rx: UnsafeMutablePointer<xsk_ring_cons> = zeroed()
        let tx: UnsafeMutablePointer<xsk_ring_prod> = zeroed()
        func fail(_ code: Int32, _ umem: OpaquePointer?) -> Result<XDPSocket, Failure> {
            if let umem { _ = xsk_umem__delete(umem) }
            for ring in [UnsafeMutableRawPointer(fill), .init(completion), .init(rx), .init(tx)] { free(ring) }
            return .failure(Failure(code: code))
        }
        // The completion ring has room for every frame that can be in the transmit ring and behind it.
        var umemConfig = xsk_umem_config(
            fill_size: UInt32(ringSize), comp_size: UInt32(ringSize * 2), frame_size: UInt32(pool.frameSize),
            frame_headroom: 0, flags: 0)
        var umem: OpaquePointer?
        var code = xsk_umem__create(
            &umem, pool.base, UInt64(pool.count << Int(pool.shift)), fill, completion, &umemConfig)
        guard code == 0 else { return fail(-code, nil) }
        var config = xsk_socket_config()
        config.rx_size = UInt32(ringSize)
        config.tx_size = UInt32(ringSize)
        config.libxdp_flags = UInt32(XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD)
        config.bind_flags = UInt16(XDP_USE_NEED_WAKEUP) | flag
        var socket: OpaquePointer?
        code = xsk_socket__create(&socket, name, UInt32(queue), umem, rx, tx, &config)
        guard code == 0, let umem, let socket else { return fail(-code, umem) }
        let descriptor = xsk_socket__fd(socket)
        tune(descriptor, ringSize)
        return .success(
            XDPSocket(
                umem: umem, socket: socket, descriptor: descriptor, isZeroCopy: flag == UInt16(XDP_ZEROCOPY),
                fill: fill, completion: completion, rx: rx, tx: tx))
    }

    private static func zeroed<Ring>() -> UnsafeMutablePointer<Ring> {
        let memory = aligned_alloc(64, 64)!
        memset(memory, 0, 64)
        return memory.bindMemory(to: Ring.self, capacity: 1)
    }

    private static func tune(_ descriptor: Int32, _ ringSize: Int) {
        // In copy mode frames in flight count against the send buffer; the default holds about 90.
        var bytes = Int32(8 << 20)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, 4)
        // XDP_MAX_TX_SKB_BUDGET (Linux 6.17): how many frames one sendto may send in copy mode, otherwise 32.
        var budget = UInt32(min(ringSize, 512))
        setsockopt(descriptor, Int32(SOL_XDP), 9, &budget, 4)
    }

    /// Frames that the kernel did not deliver or refused to send, since the socket was opened.
    func drops() -> (receive: UInt64, transmit: UInt64) {
        var kernel = xdp_statistics()
        var size = socklen_t(MemoryLayout<xdp_statistics>.size)
        guard getsockopt(descriptor, Int32(SOL_XDP), XDP_STATISTICS, &kernel, &size) == 0 else { return (0, 0) }
        // A frame dropped because the fill ring was empty is among rx_dropped; rx_fill_ring_empty_descs would count it
        // twice.
        return (kernel.rx_dropped &+ kernel.rx_ring_full, kernel.tx_invalid_descs)
    }

    func close() {
        xsk_socket__delete(socket)
        _ = xsk_umem__delete(umem)
        for ring in [UnsafeMutableRawPointer(fill), .init(completion), .init(rx), .init(tx)] { free(ring) }
    }
}
