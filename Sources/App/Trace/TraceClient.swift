import CLinux
import Glibc

/// Sends one command to a running server and fetches its way through it: a client over a blocking kernel socket.
public final class TraceClient {
    /// A sentence for people.
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    private let descriptor: Int32
    /// Received and not used yet.
    private var input: [UInt8] = []

    /// Connects within five seconds; no answer may take longer than that either.
    public init(host: String, port: String) throws(Failure) {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, port, &hints, &found)
        guard code == 0, let address = found else {
            throw Failure(description: "'\(host):\(port)' is no address: \(String(cString: gai_strerror(code)))")
        }
        defer { freeaddrinfo(found) }
        descriptor = socket(address.pointee.ai_family, address.pointee.ai_socktype, 0)
        guard descriptor >= 0 else { throw Failure(description: "no socket: \(String(cString: strerror(errno)))") }
        var limit = timeval(tv_sec: 5, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
        guard Glibc.connect(descriptor, address.pointee.ai_addr, address.pointee.ai_addrlen) == 0 else {
            let reason = String(cString: strerror(errno))
            close(descriptor)
            throw Failure(description: "nobody could be reached at \(host):\(port): \(reason)")
        }
    }

    deinit { close(descriptor) }

    /// The way of `command`, and its reply as text. It is sent `repeats` times; the last one is traced, when everything is
    /// warm.
    public func trace(_ command: [String], repeats: Int) throws(Failure) -> (timeline: TraceTimeline, reply: String) {
        let id = try ask(["CLIENT", "ID"])
        for _ in 1..<max(1, repeats) { _ = try ask(command) }
        try expectOK(["DEBUG", "TRACE", "ON", "CLIENT", id])
        let reply = try ask(command)
        try expectOK(["DEBUG", "TRACE", "OFF"])
        return (TraceTimeline(try ask(["DEBUG", "TRACE", "GET", "4096"])), reply)
    }

    public func authenticate(_ words: [String]) throws(Failure) { try expectOK(["AUTH"] + words) }

    private func expectOK(_ command: [String]) throws(Failure) {
        let reply = try ask(command)
        guard reply == "OK" else {
            throw Failure(description: "the server answered \(command.prefix(3).joined(separator: " ")) with: \(reply)")
        }
    }

    /// The reply as redis-cli would print it, errors as they are.
    private func ask(_ command: [String]) throws(Failure) -> String {
        var bytes = Array("*\(command.count)\r\n".utf8)
        for word in command { bytes += Array("$\(word.utf8.count)\r\n".utf8) + Array(word.utf8) + [13, 10] }
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else {
                throw Failure(description: "the server took nothing: \(String(cString: strerror(errno)))")
            }
            sent += count
        }
        return try reply()
    }

    private func reply() throws(Failure) -> String {
        let line = try line()
        let rest = String(line.dropFirst())
        switch line.first {
        case "+", "-", ":": return rest
        case "$":
            guard let count = Int(rest), count >= 0 else { return "(nil)" }
            let bytes = try take(count + 2)
            return String(decoding: bytes.dropLast(2), as: UTF8.self)
        case "*":
            guard let count = Int(rest), count >= 0 else { return "(nil)" }
            var parts: [String] = []
            for _ in 0..<count { parts.append(try reply()) }
            return parts.joined(separator: "\n")
        default: throw Failure(description: "the server answered with what is no reply of Redis's protocol: \(line)")
        }
    }

    private func line() throws(Failure) -> String {
        while true {
            if let end = input.firstIndex(of: 10) {
                return String(decoding: try take(end + 1).dropLast(2), as: UTF8.self)
            }
            try fill()
        }
    }

    private func take(_ count: Int) throws(Failure) -> [UInt8] {
        while input.count < count { try fill() }
        defer { input.removeFirst(count) }
        return Array(input.prefix(count))
    }

    private func fill() throws(Failure) {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else {
            let reason = count == 0 ? "it closed the connection" : String(cString: strerror(errno))
            throw Failure(description: "the server did not answer: \(reason)")
        }
        input += buffer.prefix(count)
    }
}
