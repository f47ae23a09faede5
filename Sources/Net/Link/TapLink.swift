import CLinux
import Glibc
import Runtime

/// A TAP interface: the kernel's end is an ordinary interface with an address, our end is a file of frames. One system
/// call moves one frame. The interface vanishes when the file is closed, however the process ends.
public final class TapLink: Link {
    public let pool: FramePool
    /// Ours, not the interface's own: that one belongs to the kernel's end.
    public let hardwareAddress: MACAddress
    public let mtu: Int
    public private(set) var descriptor: Int32
    public let driver = "tap"
    public private(set) var statistics = LinkStatistics()
    public let interface: String

    /// Where a received frame starts in its pool frame, as with AF_XDP.
    private let offset = XDPLink.headroom

    /// Creates the interface (or opens a persistent one that nobody uses), gives the kernel's end `hostAddress` and
    /// brings it up.
    public init(
        _ name: String, address: IPv4Address, hostAddress: IPv4Address, prefixLength: Int, pool: FramePool
    ) throws(LinkError) {
        try Interface.checkName(name)
        let file = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)
        if file < 0 {
            throw errno == ENOENT || errno == ENXIO || errno == ENODEV
                ? .noTunDevice : .call("open /dev/net/tun (its file mode must allow it)", errno)
        }
        do throws(LinkError) {
            let interface = try Self.setUp(file, name, hostAddress, prefixLength)
            guard interface.mtu + 14 <= pool.frameSize - offset else {
                throw .mtuTooLarge(interface: name, mtu: interface.mtu, limit: pool.frameSize - offset - 14)
            }
            mtu = interface.mtu
        } catch {
            Glibc.close(file)
            throw error
        }
        self.pool = pool
        interface = name
        descriptor = file
        // Locally administered (02), then the IPv4 address: stable over restarts, so caches stay right.
        hardwareAddress = MACAddress(bits: 0x0200_0000_0000 | UInt64(address.bits))
    }

    private static func setUp(
        _ file: Int32, _ name: String, _ address: IPv4Address, _ prefixLength: Int
    ) throws(LinkError) -> Interface {
        let code = apus_tap_attach(file, name)
        switch code {
        case 0: break
        case EBUSY: throw .interfaceBusy(name, owner: nil)
        case EINVAL: throw .foreignInterface(name)
        default: throw .call("create the TAP interface \(name)", code)
        }
        let netlink = try Netlink()
        let interface = try Interface(named: name)
        let file = open("/proc/sys/net/ipv6/conf/\(name)/disable_ipv6", O_WRONLY | O_CLOEXEC)
        if file >= 0 {
            _ = write(file, "1", 1)
            Glibc.close(file)
        }
        let addressCode = netlink.addAddress(index: interface.index, address, prefixLength: prefixLength)
        guard addressCode == 0 || addressCode == EEXIST else {
            throw .call("give interface \(name) the address \(address)", addressCode)
        }
        let upCode = netlink.setUp(index: interface.index)
        guard upCode == 0 else { throw .call("bring interface \(name) up", upCode) }
        return interface
    }

    public var hasReceived: Bool { true }

    public func receive(into queue: FrameQueue, limit: Int) -> Int {
        let room = min(limit, queue.room)
        var count = 0
        while count < room, let frame = pool.allocateReserved() {
            statistics.systemCalls &+= 1
            let length = read(descriptor, pool.address(frame) + offset, pool.frameSize &- offset)
            guard length > 0 else {
                pool.release(frame)
                break
            }
            statistics.receivedFrames &+= 1
            statistics.receivedBytes &+= UInt64(length)
            _ = queue.push(FrameDescriptor(frame: frame, offset: offset, length: length))
            count &+= 1
        }
        return count
    }

    public func transmit(from queue: FrameQueue) -> Int {
        var count = 0
        while !queue.isEmpty {
            let frame = queue.peek()
            statistics.systemCalls &+= 1
            statistics.kicks &+= 1
            let written = write(descriptor, pool.address(frame.frame) + Int(frame.offset), Int(frame.length))
            if written < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS) { break }
            if written < 0 {
                // EIO: the interface is down. The frame is lost, as on a cable that is not plugged in.
                statistics.transmitDrops &+= 1
            } else {
                statistics.transmittedFrames &+= 1
                statistics.transmittedBytes &+= UInt64(frame.length)
            }
            queue.removeFirst(1)
            pool.release(frame.frame)
            count &+= 1
        }
        return count
    }

    public func reclaim() {}

    public func close() {
        guard descriptor >= 0 else { return }
        Glibc.close(descriptor)
        descriptor = -1
    }

    deinit { close() }
}
