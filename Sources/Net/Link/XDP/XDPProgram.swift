import CXDP
import Glibc

/// How the stack's frames reach the AF_XDP sockets (the directive `xdp-mode`).
public enum XDPMode: String, Sendable, CaseIterable {
    /// The best that works, in the order of the other cases.
    case auto
    /// The device reads and writes frames in place.
    case zeroCopy = "zero-copy"
    /// The driver runs the program; the kernel copies each frame once.
    case copy
    /// The kernel runs the program behind the driver, on socket buffers: works everywhere, slowest.
    case generic
}

/// The filter in front of the kernel's own stack on one interface, and the table of sockets that it redirects to.
///
/// It takes ARP packets whose target protocol address is ours and IPv4 packets to our addresses, and passes everything
/// else, so the kernel keeps working on the same interface. It is attached through a BPF link: when this process ends
/// in any way, the kernel closes the link's descriptor and the interface is as it was.
public final class XDPProgram {
    public let interface: Interface
    /// True when the driver itself runs the program, false for the generic hook.
    public let runsInDriver: Bool
    private let map: Int32
    private let program: Int32
    private var link: Int32
    private let lock: InterfaceLock

    /// Loads and attaches. With `.auto` the driver's hook is tried first, then the generic one. `count` consecutive addresses
    /// begin at `address`.
    public init(
        _ interface: Interface, address: IPv4Address, count: Int = 1, mode: XDPMode
    ) throws(LinkError) {
        let lock = try InterfaceLock(interface.name, use: "xdp")
        let map = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "apus_sockets", 4, 4, UInt32(interface.queueCount), nil)
        guard map >= 0 else { throw .call("make an AF_XDP socket table", -map) }
        var code = Self.assemble(address: address, count: count, map: map)
        var options = bpf_prog_load_opts()
        options.sz = MemoryLayout<bpf_prog_load_opts>.size
        let program = code.withUnsafeMutableBytes { bytes in
            bpf_prog_load(
                BPF_PROG_TYPE_XDP, "apus", "GPL", bytes.baseAddress!.assumingMemoryBound(to: bpf_insn.self),
                bytes.count / 8, &options)
        }
        guard program >= 0 else {
            close(map)
            throw .call("load the XDP program", -program)
        }
        var attached: Int32 = -EOPNOTSUPP
        var inDriver = false
        if mode != .generic {
            attached = Self.attach(program, interface, XDP_FLAGS_DRV_MODE)
            inDriver = attached >= 0
        }
        if attached < 0 && (mode == .generic || (mode == .auto && !Self.isFinal(attached))) {
            attached = Self.attach(program, interface, XDP_FLAGS_SKB_MODE)
        }
        guard attached >= 0 else {
            close(program)
            close(map)
            throw Self.error(-attached, interface, mode)
        }
        self.interface = interface
        self.map = map
        self.program = program
        self.lock = lock
        link = attached
        runsInDriver = inDriver
    }

    /// From now on frames of `queue` that are ours go to this socket.
    func register(socket: Int32, queue: Int) throws(LinkError) {
        var key = UInt32(queue)
        var value = socket
        let code = bpf_map_update_elem(map, &key, &value, 0)
        guard code == 0 else { throw .call("enter an AF_XDP socket into the table", -code) }
    }

    /// Frames of `queue` pass to the kernel again.
    func unregister(queue: Int) {
        var key = UInt32(queue)
        _ = bpf_map_delete_elem(map, &key)
    }

    /// Takes the program off the interface. Does nothing the second time.
    public func detach() {
        guard link >= 0 else { return }
        close(link)
        link = -1
        close(program)
        close(map)
    }

    deinit { detach() }

    private static func attach(_ program: Int32, _ interface: Interface, _ flags: UInt32) -> Int32 {
        var options = bpf_link_create_opts()
        options.sz = MemoryLayout<bpf_link_create_opts>.size
        options.flags = flags
        return bpf_link_create(program, Int32(interface.index), BPF_XDP, &options)
    }

    /// Errors that the other hook would meet as well, or that it must not hide: no permission, somebody else's program,
    /// an MTU that the user can change.
    private static func isFinal(_ code: Int32) -> Bool { [-EPERM, -EACCES, -EBUSY, -EEXIST, -ERANGE].contains(code) }

    private static func error(_ code: Int32, _ interface: Interface, _ mode: XDPMode) -> LinkError {
        switch code {
        case EPERM, EACCES: return .missingPrivilege(operation: "attach an XDP program")
        case EBUSY, EEXIST:
            var id: UInt32 = 0
            _ = bpf_xdp_query_id(Int32(interface.index), 0, &id)
            return .foreignProgram(interface: interface.name, programID: id)
        // veth answers so when its peer's packets would not fit one page beside the headroom.
        case ERANGE: return .peerMTUTooLarge(interface: interface.name, limit: XDPLink.largestMTU)
        default: return .modeUnavailable(interface: interface.name, mode: mode, code: code)
        }
    }
}
