import CLinux
import Glibc

/// Why kernel sockets cannot be served: one sentence that says what to do.
public struct ListenError: Error, Equatable, CustomStringConvertible {
    public let description: String
    public init(_ text: String) { description = text }
}

/// Opens listening sockets; a `KernelStack` accepts from them.
public enum KernelListener {
    /// One listening socket for each address and shard; the kernel spreads connections over them (SO_REUSEPORT).
    /// Opened for all shards at once, so that every error is known before the first shard runs.
    ///
    /// - Parameters:
    ///   - bind: IPv4 and IPv6 addresses; `*` is any IPv4, `::*` any IPv6 address; a leading `-` skips the address
    ///     when this machine does not have it.
    ///   - port: 0 takes any free port, the same for all shards and addresses (for tests; see `port(of:)`).
    ///   - backlog: connections that may wait on each socket.
    /// - Returns: for each shard its sockets, non-blocking. The caller owns them.
    public static func open(bind: [String], port: UInt16, shards: Int, backlog: Int) throws(ListenError) -> [[Int32]] {
        var sockets = [[Int32]](repeating: [], count: shards)
        var port = port
        do throws(ListenError) {
            for name in bind {
                let optional = name.hasPrefix("-")
                let text = optional ? String(name.dropFirst()) : name
                guard let address = SocketAddress(text) else {
                    throw ListenError(
                        "cannot listen on '\(text)': not an IPv4 or IPv6 address; names are not looked up, "
                            + "write 127.0.0.1 for localhost")
                }
                do throws(BindFailure) {
                    try openAll(address, port: &port, backlog: backlog, into: &sockets)
                } catch {
                    if optional && error.addressIsMissing { continue }
                    throw ListenError("cannot listen on \(address.text(port: port)): \(error.advice)")
                }
            }
            if !bind.isEmpty && sockets[0].isEmpty {
                throw ListenError(
                    "cannot listen: this machine has none of the addresses \(bind.joined(separator: " "))")
            }
        } catch {
            for descriptor in sockets.joined() { close(descriptor) }
            throw error
        }
        return sockets
    }

    /// The local port of a socket.
    public static func port(of descriptor: Int32) -> UInt16 {
        SocketAddress.read(descriptor, getsockname).1
    }

    private static func openAll(
        _ address: SocketAddress, port: inout UInt16, backlog: Int, into sockets: inout [[Int32]]
    ) throws(BindFailure) {
        // Two servers of one user could share a port by SO_REUSEPORT without knowing. A socket without that option
        // is refused by the kernel when anybody listens there.
        if port != 0 { close(try bound(address, port, shared: false)) }
        for shard in sockets.indices {
            let descriptor = try bound(address, port, shared: true)
            guard Glibc.listen(descriptor, Int32(clamping: backlog)) == 0 else {
                let failure = BindFailure(code: errno)
                close(descriptor)
                throw failure
            }
            if port == 0 { port = Self.port(of: descriptor) }
            sockets[shard].append(descriptor)
        }
    }

    private static func bound(_ address: SocketAddress, _ port: UInt16, shared: Bool) throws(BindFailure) -> Int32 {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.family, type, 0)
        guard descriptor >= 0 else { throw BindFailure(code: errno) }
        setOption(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
        if shared { setOption(descriptor, SOL_SOCKET, SO_REUSEPORT, 1) }
        if address.family == AF_INET6 { setOption(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
        guard address.withRaw(port: port, { Glibc.bind(descriptor, $0, $1) }) == 0 else {
            let failure = BindFailure(code: errno)
            close(descriptor)
            throw failure
        }
        return descriptor
    }
}

/// The errno of socket, bind or listen.
private struct BindFailure: Error {
    let code: Int32

    var addressIsMissing: Bool { code == EADDRNOTAVAIL || code == EAFNOSUPPORT }

    var advice: String {
        switch code {
        case EADDRINUSE:
            "the address is in use, so another server runs there; stop it, or choose another port with --port"
        case EADDRNOTAVAIL:
            "this machine does not have the address; choose one that `ip address` shows, with --bind"
        case EAFNOSUPPORT:
            "this machine has IPv6 turned off; choose another address with --bind"
        case EACCES:
            "permission denied; a port below 1024 needs root or CAP_NET_BIND_SERVICE, or choose another with --port"
        default:
            String(cString: strerror(code))
        }
    }
}

func setOption(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
    var value = value
    _ = setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
}
