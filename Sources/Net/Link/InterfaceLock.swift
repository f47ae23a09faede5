import CLinux
import Glibc

/// "This process uses that resource": a listening Unix socket with an abstract name. Such names belong to the network
/// namespace, as interface names do, need no writable folder, and vanish with the process however it dies; and whoever
/// connects learns the owner's process id (SO_PEERCRED, unix(7)).
struct InterfaceLock: ~Copyable {
    private let descriptor: Int32

    /// Takes the lock, or says who has it (`.interfaceBusy(resource, owner)`).
    /// - Parameters:
    ///   - resource: what the user knows it by, an interface's name.
    ///   - use: what for; resources with different uses do not exclude each other.
    init(_ resource: String, use: String) throws(LinkError) {
        let name = "apus/\(use)/\(resource)"
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard listener >= 0 else { throw .system(operation: "open a socket", code: errno) }
        let code = Self.withAddress(name) { bind(listener, $0, $1) } == 0 ? 0 : errno
        guard code == 0, listen(listener, 16) == 0 else {
            close(listener)
            guard code == EADDRINUSE else { throw .system(operation: "lock \(resource)", code: code) }
            throw .interfaceBusy(resource, owner: Self.owner(of: name))
        }
        descriptor = listener
    }

    deinit { close(descriptor) }

    /// "process 4711 (apus)", or nil when the owner went away meanwhile or is in another PID namespace.
    private static func owner(of name: String) -> String? {
        let asker = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        defer { close(asker) }
        guard asker >= 0, withAddress(name, { connect(asker, $0, $1) }) == 0 else { return nil }
        // struct ucred is hidden without _GNU_SOURCE: three 32-bit words, the first is the process id.
        var credentials: (pid: Int32, uid: UInt32, gid: UInt32) = (0, 0, 0)
        var size = socklen_t(MemoryLayout.size(ofValue: credentials))
        guard getsockopt(asker, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0, credentials.pid > 0 else {
            return nil
        }
        return processName(credentials.pid)
    }

    static func processName(_ pid: Int32) -> String {
        guard let file = fopen("/proc/\(pid)/comm", "r") else { return "process \(pid)" }
        defer { fclose(file) }
        var buffer = [UInt8](repeating: 0, count: 64)
        let count = fread(&buffer, 1, 63, file)
        let name = String(decoding: buffer.prefix(count).prefix { $0 != 10 }, as: UTF8.self)
        return "process \(pid) (\(name))"
    }

    private static func withAddress(_ name: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(name.utf8)
        let length = withUnsafeMutableBytes(of: &address.sun_path) { path in
            // A leading zero byte makes the name abstract; it ends where the length says.
            let count = min(bytes.count, path.count - 1)
            for i in 0..<count { path[i + 1] = bytes[i] }
            return count + 1
        }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sa_family_t>.size + length))
            }
        }
    }
}
