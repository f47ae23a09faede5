import CLinux
import Glibc

/// An IPv4 or IPv6 address literal of a kernel socket, without a port.
public struct SocketAddress: Sendable {
    /// AF_INET or AF_INET6.
    let family: Int32
    /// 4 or 16 bytes in network order.
    private let bytes: [UInt8]

    /// nil: not an address literal. `*` and `::*` are the unspecified addresses, as in redis.conf.
    public init?(_ text: String) {
        var four = in_addr()
        var six = in6_addr()
        if inet_pton(AF_INET, text == "*" ? "0.0.0.0" : text, &four) == 1 {
            family = AF_INET
            bytes = withUnsafeBytes(of: &four) { Array($0) }
        } else if inet_pton(AF_INET6, text == "::*" ? "::" : text, &six) == 1 {
            family = AF_INET6
            bytes = withUnsafeBytes(of: &six) { Array($0) }
        } else {
            return nil
        }
    }

    /// "127.0.0.1:6379", "[::1]:6379".
    func text(port: UInt16) -> String {
        "\(Self.text(family, bytes)):\(port)"
    }

    /// IPv6 addresses in brackets.
    static func text(_ family: Int32, _ address: UnsafeRawPointer) -> String {
        var characters = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(family, address, &characters, socklen_t(characters.count)) != nil else { return "?" }
        let text = String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return family == AF_INET6 ? "[\(text)]" : text
    }

    func withRaw<R>(port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        var storage = sockaddr_storage()
        let size = family == AF_INET ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
        return withUnsafeMutableBytes(of: &storage) { raw in
            raw.storeBytes(of: sa_family_t(family), as: sa_family_t.self)
            raw.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
            // sin_addr follows the port; sin6_addr follows the port and the flow label.
            raw.baseAddress!.advanced(by: family == AF_INET ? 4 : 8).copyMemory(from: bytes, byteCount: bytes.count)
            return body(raw.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(size))
        }
    }

    typealias NameCall = (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32

    /// Address and port of one end of a socket, by getsockname or getpeername; ("?", 0) when it has none.
    static func read(_ descriptor: Int32, _ call: NameCall) -> (String, UInt16) {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutableBytes(of: &storage) { raw in
            let address = raw.baseAddress!
            guard call(descriptor, address.assumingMemoryBound(to: sockaddr.self), &length) == 0 else {
                return ("?", 0)
            }
            let family = Int32(address.load(as: sa_family_t.self))
            let port = UInt16(bigEndian: address.load(fromByteOffset: 2, as: UInt16.self))
            return (text(family, address + (family == AF_INET ? 4 : 8)), port)
        }
    }
}
