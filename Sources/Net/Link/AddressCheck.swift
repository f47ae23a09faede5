import CLinux
import Glibc

/// Whether an address is free for the stack.
enum AddressCheck {
    /// True if the kernel owns `address` on any interface: then it would answer in the stack's place.
    static func isLocal(_ address: IPv4Address) -> Bool {
        // Not by a trial bind: in a namespace without any address that succeeds for every address.
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { return false }
        defer { freeifaddrs(first) }
        var walk = first
        while let entry = walk {
            walk = entry.pointee.ifa_next
            guard let name = entry.pointee.ifa_addr, name.pointee.sa_family == sa_family_t(AF_INET) else { continue }
            let bits = UnsafeRawPointer(name).load(as: sockaddr_in.self).sin_addr.s_addr
            if UInt32(bigEndian: bits) == address.bits { return true }
        }
        return false
    }

    /// Asks the network for `address` as RFC 5227, 2.1.1 says, with three probes, but waits 40 ms for each where the RFC
    /// waits seconds: a server should start at once, and its neighbours on a LAN answer within a millisecond.
    /// Returns the hardware address of whoever answers, or claims the address meanwhile.
    static func answerer(for address: IPv4Address, on interface: Interface) -> MACAddress? {
        let arp = socket(AF_PACKET, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard arp >= 0 else { return nil }
        defer { close(arp) }
        var name = sockaddr_ll()
        name.sll_family = UInt16(AF_PACKET)
        name.sll_protocol = UInt16(ETH_P_ARP).bigEndian
        name.sll_ifindex = Int32(interface.index)
        let bound = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(arp, $0, socklen_t(MemoryLayout<sockaddr_ll>.size))
            }
        }
        guard bound == 0 else { return nil }
        let probe = self.probe(for: address, from: interface.hardwareAddress)
        for _ in 0..<3 {
            _ = send(arp, probe, probe.count, 0)
            var wait = pollfd(fd: arp, events: Int16(POLLIN), revents: 0)
            // At most 8 packets a probe, so that a busy network cannot hold us here.
            for _ in 0..<8 {
                guard poll(&wait, 1, 40) > 0 else { break }
                var frame = [UInt8](repeating: 0, count: 64)
                let count = recv(arp, &frame, frame.count, 0)
                guard count >= 42 else { continue }
                let (sender, hardware) = frame.withUnsafeBytes {
                    (
                        UInt32(bigEndian: $0.loadUnaligned(fromByteOffset: 28, as: UInt32.self)),
                        MACAddress(at: $0.baseAddress! + 22)
                    )
                }
                if sender == address.bits && hardware != interface.hardwareAddress { return hardware }
            }
        }
        return nil
    }

    /// A broadcast ARP request for `address` from 0.0.0.0: asks without telling anybody to believe anything.
    private static func probe(for address: IPv4Address, from hardware: MACAddress) -> [UInt8] {
        var frame = [UInt8](repeating: 0, count: 60)
        frame.withUnsafeMutableBytes {
            let p = $0.baseAddress!
            MACAddress.broadcast.store(at: p)
            hardware.store(at: p + 6)
            // EtherType ARP, Ethernet, IPv4, address lengths 6 and 4, request.
            p.storeBytes(of: UInt64(0x0806_0001_0800_0604).bigEndian, toByteOffset: 12, as: UInt64.self)
            p.storeBytes(of: UInt16(1).bigEndian, toByteOffset: 20, as: UInt16.self)
            hardware.store(at: p + 22)
            p.storeBytes(of: address.bits.bigEndian, toByteOffset: 38, as: UInt32.self)
        }
        return frame
    }
}
