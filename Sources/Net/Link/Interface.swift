import CLinux
import Glibc

/// An Ethernet interface of this network namespace, as it was when looked up. Cold path: opening and INFO.
public struct Interface: Hashable, Sendable {
    public let name: String
    /// The kernel's number for it, > 0.
    public let index: UInt32
    public let hardwareAddress: MACAddress
    public let mtu: Int
    public let isUp: Bool
    /// Receive queues in use, >= 1: as many AF_XDP sockets can be bound.
    public let queueCount: Int

    /// Looks the interface up. Throws `.badInterfaceName`, `.noSuchInterface`, `.notEthernet`.
    public init(named name: String) throws(LinkError) {
        try Self.checkName(name)
        let index = if_nametoindex(name)
        guard index > 0 else { throw .noSuchInterface(name) }
        let control = try ControlSocket()
        var bytes: (UInt64, UInt64) = (0, 0)
        var type: Int32 = 0
        var flags: Int32 = 0
        var mtu: Int32 = 0
        let code = withUnsafeMutableBytes(of: &bytes) { raw in
            apus_interface_address(control.descriptor, name, raw.baseAddress, &type)
        }
        guard code == 0, apus_interface_flags(control.descriptor, name, &flags) == 0,
            apus_interface_mtu(control.descriptor, name, &mtu) == 0
        else { throw .noSuchInterface(name) }
        // ARPHRD_ETHER; the loopback (772) and tunnels have no Ethernet header or no address.
        guard type == 1 else { throw .notEthernet(name) }
        self.name = name
        self.index = index
        self.mtu = Int(mtu)
        isUp = flags & Int32(bitPattern: Self.upFlag) != 0
        hardwareAddress = withUnsafeBytes(of: bytes) { MACAddress(at: $0.baseAddress!) }
        queueCount = Self.channels(control, name)
    }

    /// IFF_UP (net/if.h), as the unsigned word that both ioctl and netlink use.
    static let upFlag: UInt32 = 1

    /// 1 to 15 bytes, no slash, no white space, not "." or ".." (the kernel's dev_valid_name).
    static func checkName(_ name: String) throws(LinkError) {
        let forbidden = name.utf8.contains { $0 == 47 || $0 == 58 || $0 <= 32 }
        guard !name.isEmpty, name.utf8.count <= 15, !forbidden, name != ".", name != ".." else {
            throw .badInterfaceName(name)
        }
    }

    /// A driver that does not answer ETHTOOL_GCHANNELS has one queue.
    private static func channels(_ control: borrowing ControlSocket, _ name: String) -> Int {
        var request = ethtool_channels()
        request.cmd = UInt32(ETHTOOL_GCHANNELS)
        guard apus_ethtool(control.descriptor, name, &request) == 0 else { return 1 }
        return max(1, Int(request.rx_count) + Int(request.combined_count))
    }

    /// What ethtool calls tx, tso, gro and so on; the values are the ioctl's numbers to read and to write.
    public enum Offload: Sendable {
        case transmitChecksum, segmentation, receiveMerging

        fileprivate var commands: (get: UInt32, set: UInt32) {
            switch self {
            case .transmitChecksum: (UInt32(ETHTOOL_GTXCSUM), UInt32(ETHTOOL_STXCSUM))
            case .segmentation: (UInt32(ETHTOOL_GTSO), UInt32(ETHTOOL_STSO))
            case .receiveMerging: (UInt32(ETHTOOL_GGRO), UInt32(ETHTOOL_SGRO))
            }
        }
    }

    /// Whether an offload is on; false when the driver does not know it.
    public func has(_ offload: Offload) -> Bool {
        guard let control = try? ControlSocket() else { return false }
        var request = ethtool_value(cmd: offload.commands.get, data: 0)
        return apus_ethtool(control.descriptor, name, &request) == 0 && request.data != 0
    }

    /// Turns an offload on or off. A driver that does not know it is no error: then it is off.
    public func set(_ offload: Offload, _ on: Bool) throws(LinkError) {
        let control = try ControlSocket()
        var request = ethtool_value(cmd: offload.commands.set, data: on ? 1 : 0)
        let code = apus_ethtool(control.descriptor, name, &request)
        guard code == 0 || code == EOPNOTSUPP else { throw .call("change the offloads of interface \(name)", code) }
    }
}

/// Any socket, for ioctls on interfaces.
struct ControlSocket: ~Copyable {
    let descriptor: Int32

    init() throws(LinkError) {
        descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        if descriptor < 0 { throw .system(operation: "open a socket", code: errno) }
    }

    deinit { close(descriptor) }
}
