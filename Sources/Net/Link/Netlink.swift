import CLinux
import Glibc

/// One rtnetlink request in the making: header, fixed part, attributes (rtnetlink(7)). All numbers are the host's byte
/// order unless a protocol says otherwise; every attribute is padded to 4 bytes.
struct NetlinkRequest {
    /// Complete but for the total length in the first four bytes.
    private(set) var bytes: [UInt8] = []

    init<Part: BitwiseCopyable>(_ type: Int, flags: Int, _ part: Part) {
        append(
            nlmsghdr(
                nlmsg_len: 0, nlmsg_type: UInt16(type), nlmsg_flags: UInt16(flags | Int(NLM_F_REQUEST | NLM_F_ACK)),
                nlmsg_seq: 1, nlmsg_pid: 0))
        append(part)
    }

    mutating func append<Part: BitwiseCopyable>(_ part: Part) {
        withUnsafeBytes(of: part) { bytes.append(contentsOf: $0) }
        while bytes.count % 4 != 0 { bytes.append(0) }
    }

    mutating func attribute(_ type: Int, _ value: [UInt8]) {
        append(rtattr(rta_len: UInt16(4 + value.count), rta_type: UInt16(type)))
        bytes.append(contentsOf: value)
        while bytes.count % 4 != 0 { bytes.append(0) }
    }

    mutating func attribute(_ type: Int, _ text: String) { attribute(type, Array(text.utf8) + [0]) }

    mutating func attribute(_ type: Int, _ value: UInt32) {
        attribute(type, withUnsafeBytes(of: value) { Array($0) })
    }

    /// An attribute that holds what `body` appends.
    mutating func nest(_ type: Int, _ body: (inout NetlinkRequest) -> Void) {
        let start = bytes.count
        append(rtattr(rta_len: 0, rta_type: UInt16(type)))
        body(&self)
        patch(at: start, UInt16(bytes.count - start))
    }

    mutating func finish() -> [UInt8] {
        patch(at: 0, UInt32(bytes.count))
        return bytes
    }

    private mutating func patch<Value: FixedWidthInteger>(at offset: Int, _ value: Value) {
        withUnsafeBytes(of: value) { for (i, byte) in $0.enumerated() { bytes[offset + i] = byte } }
    }
}

/// What RTM_GETLINK says about a link beyond `Interface`.
struct LinkDetails {
    /// "veth", "tun" ...; empty for hardware.
    var kind = ""
    /// The text set with `ip link set X alias`; empty without.
    var alias = ""
    var index: UInt32 = 0
}

/// A socket for rtnetlink requests: makes, changes and deletes interfaces without a helper program.
struct Netlink: ~Copyable {
    private let descriptor: Int32

    init() throws(LinkError) {
        descriptor = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), NETLINK_ROUTE)
        if descriptor < 0 { throw .system(operation: "open a netlink socket", code: errno) }
        // The kernel answers in the same call; the time-out only guards against a kernel that does not.
        var limit = timeval(tv_sec: 2, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// A pair of virtual interfaces with `queues` transmit and receive queues on each side, both down.
    func makeVethPair(_ name: String, _ peer: String, queues: Int) -> Int32 {
        var request = NetlinkRequest(
            Int(RTM_NEWLINK), flags: Int(NLM_F_CREATE | NLM_F_EXCL), Self.link(index: 0))
        let side = { (request: inout NetlinkRequest, name: String) in
            request.attribute(Int(IFLA_IFNAME), name)
            request.attribute(Int(IFLA_NUM_TX_QUEUES), UInt32(queues))
            request.attribute(Int(IFLA_NUM_RX_QUEUES), UInt32(queues))
        }
        side(&request, name)
        request.nest(Int(IFLA_LINKINFO)) { info in
            info.attribute(Int(IFLA_INFO_KIND), "veth")
            info.nest(Int(IFLA_INFO_DATA)) { data in
                data.nest(Int(VETH_INFO_PEER)) { other in
                    other.append(Self.link(index: 0))
                    side(&other, peer)
                }
            }
        }
        return transact(request)
    }

    func setUp(index: UInt32) -> Int32 {
        var part = Self.link(index: index)
        part.ifi_flags = Interface.upFlag
        part.ifi_change = Interface.upFlag
        return transact(NetlinkRequest(Int(RTM_NEWLINK), flags: 0, part))
    }

    func setAlias(index: UInt32, _ alias: String) -> Int32 {
        var request = NetlinkRequest(Int(RTM_NEWLINK), flags: 0, Self.link(index: index))
        request.attribute(Int(IFLA_IFALIAS), Array(alias.utf8))
        return transact(request)
    }

    func deleteLink(index: UInt32) -> Int32 {
        transact(NetlinkRequest(Int(RTM_DELLINK), flags: 0, Self.link(index: index)))
    }

    func addAddress(index: UInt32, _ address: IPv4Address, prefixLength: Int) -> Int32 {
        let part = ifaddrmsg(
            ifa_family: UInt8(AF_INET), ifa_prefixlen: UInt8(prefixLength), ifa_flags: 0, ifa_scope: 0,
            ifa_index: index)
        var request = NetlinkRequest(Int(RTM_NEWADDR), flags: Int(NLM_F_CREATE | NLM_F_EXCL), part)
        request.attribute(Int(IFA_LOCAL), address.bits.bigEndian)
        request.attribute(Int(IFA_ADDRESS), address.bits.bigEndian)
        return transact(request)
    }

    /// What the kernel knows of the link with this name; nil when there is none.
    func details(of name: String) -> LinkDetails? {
        var request = NetlinkRequest(Int(RTM_GETLINK), flags: 0, Self.link(index: 0))
        request.attribute(Int(IFLA_IFNAME), name)
        var found: LinkDetails?
        let code = transact(request) { type, payload in
            guard type == Int(RTM_NEWLINK), payload.count >= MemoryLayout<ifinfomsg>.size else { return }
            var details = LinkDetails()
            details.index = UInt32(bitPattern: payload.loadUnaligned(fromByteOffset: 4, as: Int32.self))
            Self.forEachAttribute(UnsafeRawBufferPointer(rebasing: payload[MemoryLayout<ifinfomsg>.size...])) {
                switch $0 {
                case Int(IFLA_IFALIAS): details.alias = Self.text($1)
                case Int(IFLA_LINKINFO):
                    Self.forEachAttribute($1) { if $0 == Int(IFLA_INFO_KIND) { details.kind = Self.text($1) } }
                default: break
                }
            }
            found = details
        }
        return code == 0 ? found : nil
    }

    // MARK: wire

    private static func link(index: UInt32) -> ifinfomsg {
        var part = ifinfomsg()
        part.ifi_family = UInt8(AF_UNSPEC)
        part.ifi_index = Int32(bitPattern: index)
        return part
    }

    private static func text(_ bytes: UnsafeRawBufferPointer) -> String {
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }

    private static func forEachAttribute(
        _ bytes: UnsafeRawBufferPointer, _ body: (Int, UnsafeRawBufferPointer) -> Void
    ) {
        var at = 0
        while at + 4 <= bytes.count {
            let length = Int(bytes.loadUnaligned(fromByteOffset: at, as: UInt16.self))
            // The two top bits of the type are flags (NLA_F_NESTED, NLA_F_NET_BYTEORDER).
            let type = Int(bytes.loadUnaligned(fromByteOffset: at + 2, as: UInt16.self) & 0x3FFF)
            guard length >= 4, at + length <= bytes.count else { return }
            body(type, UnsafeRawBufferPointer(rebasing: bytes[(at + 4)..<(at + length)]))
            at += (length + 3) & ~3
        }
    }

    /// Sends the request and reads until the kernel's acknowledgement. Returns 0 or an errno value.
    private func transact(
        _ request: NetlinkRequest, _ body: (Int, UnsafeRawBufferPointer) -> Void = { _, _ in }
    ) -> Int32 {
        var request = request
        let bytes = request.finish()
        guard send(descriptor, bytes, bytes.count, 0) == bytes.count else { return errno }
        var buffer = [UInt8](repeating: 0, count: 32 << 10)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { return count == 0 ? EIO : errno }
            var at = 0
            while at + MemoryLayout<nlmsghdr>.size <= count {
                let header = buffer.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: at, as: nlmsghdr.self) }
                let length = Int(header.nlmsg_len)
                guard length >= MemoryLayout<nlmsghdr>.size, at + length <= count else { return EIO }
                let from = at + MemoryLayout<nlmsghdr>.size
                if header.nlmsg_type == UInt16(NLMSG_ERROR) {
                    return -buffer.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: from, as: Int32.self) }
                }
                buffer.withUnsafeBytes {
                    body(Int(header.nlmsg_type), UnsafeRawBufferPointer(rebasing: $0[from..<(at + length)]))
                }
                at += (length + 3) & ~3
            }
        }
    }
}
