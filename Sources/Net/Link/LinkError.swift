import Glibc

/// Why a link could not be opened: one sentence that says what is wrong and what to do. The server prints it and
/// exits with 1.
public enum LinkError: Error, Hashable, Sendable {
    /// The kernel refused `operation` for lack of a capability.
    case missingPrivilege(operation: String)
    case noSuchInterface(String)
    case badInterfaceName(String)
    case interfaceDown(String)
    /// Not an Ethernet interface (loopback, a tunnel without a link layer).
    case notEthernet(String)
    case mtuTooLarge(interface: String, mtu: Int, limit: Int)
    /// The other end of a veth pair may send frames that driver mode cannot take.
    case peerMTUTooLarge(interface: String, limit: Int)
    /// The stack's address belongs to somebody: `owner` says to whom.
    case addressInUse(IPv4Address, owner: String)
    /// The pair, the TAP or the XDP hook of `interface` is taken; `owner` is a process ("process 4711 (apus)") or nil.
    case interfaceBusy(String, owner: String?)
    /// Another program holds this AF_XDP queue, and still did after the bounded wait.
    case queueBusy(interface: String, queue: Int)
    /// Frames may arrive on queues that no shard would serve.
    case tooManyQueues(interface: String, queues: Int, shards: Int)
    /// Another XDP program is attached.
    case foreignProgram(interface: String, programID: UInt32)
    /// An interface of this name exists and is not ours to replace.
    case foreignInterface(String)
    case noTunDevice
    case modeUnavailable(interface: String, mode: XDPMode, code: Int32)
    /// `link xdp` and `link packet` need an interface, every stack link needs an address.
    case missingDirective(String)
    case system(operation: String, code: Int32)
}

extension LinkError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .missingPrivilege(let operation):
            return "No permission to \(operation): run as root, or give the binary the capabilities with "
                + "`setcap cap_net_admin,cap_net_raw,cap_bpf,cap_ipc_lock+ep BINARY`."
        case .noSuchInterface(let name):
            return "There is no interface \(name): `ip link` lists those that exist."
        case .badInterfaceName(let name):
            return "'\(name)' cannot be an interface's name: 1 to 15 bytes, without spaces and slashes."
        case .interfaceDown(let name):
            return "Interface \(name) is down: bring it up with `ip link set \(name) up`."
        case .notEthernet(let name):
            return "Interface \(name) is not an Ethernet interface: choose another one."
        case .mtuTooLarge(let name, let mtu, let limit):
            return "The MTU of interface \(name) is \(mtu), and this link can take at most \(limit): "
                + "lower it with `ip link set \(name) mtu \(limit)` (on both ends of a veth pair)."
        case .peerMTUTooLarge(let name, let limit):
            return "The MTU of the other end of interface \(name) is too large for AF_XDP, which can take at most "
                + "\(limit) here: lower it there with `ip link set PEER mtu 1500`, or use `--xdp-mode generic`."
        case .addressInUse(let address, let owner):
            return "Address \(address) is in use by \(owner): give the stack an address of its own with "
                + "`--address A.B.C.D/BITS`."
        case .interfaceBusy(let name, let owner):
            return "\(name) is in use by \(owner ?? "another process"): stop it, or choose another interface."
        case .queueBusy(let name, let queue):
            return "Queue \(queue) of interface \(name) is in use by another AF_XDP socket: stop that program "
                + "(`ss --xdp -p` names it), or choose another interface."
        case .tooManyQueues(let name, let queues, let shards):
            return "Interface \(name) has \(queues) queues but there are only \(shards) shards to serve them: use "
                + "`--shards \(queues)`, or lower it with `ethtool -L \(name) combined \(shards)` (veth: rx and tx)."
        case .foreignProgram(let name, let id):
            return "Another XDP program (id \(id)) is attached to interface \(name): stop its owner, or remove it with "
                + "`ip link set \(name) xdp off`."
        case .foreignInterface(let name):
            return "Interface \(name) exists and was not made by Apus: delete it with `ip link delete \(name)`, "
                + "or use it with `--link xdp --interface \(name)`."
        case .noTunDevice:
            return "/dev/net/tun is missing: load the driver with `modprobe tun` (in a container, pass the device in)."
        case .modeUnavailable(let name, let mode, let code):
            return "Interface \(name) does not support xdp-mode \(mode.rawValue) (\(Self.text(code))): "
                + "use `--xdp-mode auto`."
        case .missingDirective(let directive):
            return "The directive `\(directive)` is needed for this link: see `apus serve --help`."
        case .system(let operation, let code):
            return "Cannot \(operation): \(Self.text(code))."
        }
    }

    static func text(_ code: Int32) -> String { String(cString: strerror(code)) }

    /// The error for a failed system call: lack of privilege is told apart from everything else.
    static func call(_ operation: String, _ code: Int32) -> LinkError {
        code == EPERM || code == EACCES
            ? .missingPrivilege(operation: operation) : .system(operation: operation, code: code)
    }
}
