import CLinux
import Glibc

/// A pair of virtual Ethernet interfaces that this process made: the kernel's end has an address and is what clients of
/// this machine reach the stack through; the stack's end carries none. Removed by `remove()`. A pair left by a killed
/// server is recognised by its alias and replaced; one that a living server uses is refused.
public final class VethPair {
    /// The mark on a pair made by Apus (`ip link show` prints it as "alias").
    static let alias = "made by apus, removed at its exit"

    /// The kernel's end.
    public let host: String
    /// The stack's end.
    public let stack: String
    private let lock: InterfaceLock
    /// False exactly while the pair is there and ours: an initialiser that throws must not remove a foreign one.
    private var removed = true

    /// Makes the pair with `queues` queues on both ends, gives the host's end `hostAddress`, and brings both up.
    /// Transmit checksum offload of the host's end is turned off, because checksums left to "hardware" would reach the
    /// stack unfinished. TCP segmentation offload goes with it; the kernel still builds large packets and cuts them
    /// right before the device.
    public init(
        host: String = "apus0", stack: String = "apus1", hostAddress: IPv4Address, prefixLength: Int, queues: Int
    ) throws(LinkError) {
        try Interface.checkName(host)
        try Interface.checkName(stack)
        self.host = host
        self.stack = stack
        lock = try InterfaceLock(host, use: "pair")
        let netlink = try Netlink()
        try Self.removeStale(netlink, host)
        try Self.removeStale(netlink, stack)
        if AddressCheck.isLocal(hostAddress) {
            throw .addressInUse(hostAddress, owner: "another interface of this machine")
        }
        let code = netlink.makeVethPair(host, stack, queues: queues)
        guard code == 0 else { throw .call("make the interface pair \(host) and \(stack)", code) }
        do throws(LinkError) {
            try Self.configure(netlink, host, stack, hostAddress, prefixLength)
        } catch {
            _ = netlink.deleteLink(index: if_nametoindex(host))
            throw error
        }
        removed = false
    }

    private static func configure(
        _ netlink: borrowing Netlink, _ host: String, _ stack: String, _ address: IPv4Address, _ prefixLength: Int
    ) throws(LinkError) {
        for name in [host, stack] {
            let code = netlink.setAlias(index: if_nametoindex(name), alias)
            guard code == 0 else { throw .call("mark interface \(name)", code) }
            // Router solicitations and duplicate address detection would only be noise on the stack's end.
            disableIPv6(name)
        }
        try Interface(named: host).set(.transmitChecksum, false)
        let addressCode = netlink.addAddress(index: if_nametoindex(host), address, prefixLength: prefixLength)
        guard addressCode == 0 else { throw .call("give interface \(host) the address \(address)", addressCode) }
        for name in [stack, host] {
            let code = netlink.setUp(index: if_nametoindex(name))
            guard code == 0 else { throw .call("bring interface \(name) up", code) }
        }
    }

    /// Deletes an interface of this name if Apus made it. The caller holds the lock: its maker is dead.
    private static func removeStale(_ netlink: borrowing Netlink, _ name: String) throws(LinkError) {
        guard let details = netlink.details(of: name) else { return }
        guard details.kind == "veth", details.alias == alias else { throw .foreignInterface(name) }
        let code = netlink.deleteLink(index: details.index)
        guard code == 0 else { throw .call("remove the stale interface \(name)", code) }
    }

    /// /proc/sys/net shows the calling thread's namespace. A kernel without IPv6 has no such file: no error.
    private static func disableIPv6(_ name: String) {
        let file = open("/proc/sys/net/ipv6/conf/\(name)/disable_ipv6", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        _ = write(file, "1", 1)
        close(file)
    }

    /// Deletes the pair. Deleting one end deletes both. Does nothing the second time.
    public func remove() {
        guard !removed else { return }
        removed = true
        guard let netlink = try? Netlink() else { return }
        let index = if_nametoindex(host)
        if index > 0 { _ = netlink.deleteLink(index: index) }
    }

    deinit { remove() }
}
