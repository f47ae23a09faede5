import CLinux
import Foundation
import Glibc
import Runtime
import Testing

@testable import Net

/// Tests of drivers make interfaces: they need root, and are skipped without.
let mayMakeInterfaces = geteuid() == 0
let needsRoot = "makes network interfaces, which needs root"

/// Interface names and a subnet that nobody else uses: from the process id and a number for each test.
struct TestNames {
    let host: String
    let stack: String
    let hostAddress: IPv4Address
    let stackAddress: IPv4Address

    init(_ number: Int) {
        let pid = Int(getpid())
        host = "lt\(pid % 100_000)h\(number)"
        stack = "lt\(pid % 100_000)s\(number)"
        let subnet = UInt32(pid % 1024) * 32 + UInt32(number)
        let base = UInt32(10) << 24 | (200 + (subnet >> 8) % 55) << 16 | (subnet & 255) << 8
        hostAddress = IPv4Address(bits: base | 1)
        stackAddress = IPv4Address(bits: base | 2)
    }
}

/// The smallest thing that a kernel can talk to: answers ARP requests and ICMP echo requests for one address.
/// It changes the received frame in place and sends that, so it also exercises frames with references from outside.
struct Responder<L: Link> {
    let link: L
    let address: IPv4Address
    let received = FrameQueue(capacity: 256)
    let outgoing = FrameQueue(capacity: 256)
    var answered = 0
    var ignored = 0

    init(_ link: L, _ address: IPv4Address) {
        self.link = link
        self.address = address
    }

    mutating func turn() {
        _ = link.receive(into: received, limit: 64)
        while let frame = received.pop() {
            let bytes = link.pool.address(frame.frame) + Int(frame.offset)
            if answer(bytes, Int(frame.length)), outgoing.push(frame) {
                answered += 1
            } else {
                ignored += 1
                link.pool.release(frame.frame)
            }
        }
        _ = link.transmit(from: outgoing)
        link.reclaim()
    }

    /// Turns a request into its answer. False for everything else.
    private func answer(_ p: UnsafeMutableRawPointer, _ length: Int) -> Bool {
        let type = UInt16(bigEndian: p.loadUnaligned(fromByteOffset: 12, as: UInt16.self))
        let sender = MACAddress(at: p + 6)
        if type == 0x0806, length >= 42, p.load(fromByteOffset: 21, as: UInt8.self) == 1 {
            let asker = p.loadUnaligned(fromByteOffset: 28, as: UInt32.self)
            (p + 20).storeBytes(of: UInt16(2).bigEndian, as: UInt16.self)
            sender.store(at: p + 32)
            (p + 38).storeBytes(of: asker, as: UInt32.self)
            link.hardwareAddress.store(at: p + 22)
            (p + 28).storeBytes(of: address.bits.bigEndian, as: UInt32.self)
        } else if type == 0x0800, length >= 42, p.load(fromByteOffset: 23, as: UInt8.self) == 1,
            p.load(fromByteOffset: 34, as: UInt8.self) == 8
        {
            let asker = p.loadUnaligned(fromByteOffset: 26, as: UInt32.self)
            (p + 26).storeBytes(of: address.bits.bigEndian, as: UInt32.self)
            (p + 30).storeBytes(of: asker, as: UInt32.self)
            // Type 8 becomes 0: the one's complement sum grows by 0x0800 (RFC 1624).
            p.storeBytes(of: 0, toByteOffset: 34, as: UInt8.self)
            let sum = UInt32(UInt16(bigEndian: p.loadUnaligned(fromByteOffset: 36, as: UInt16.self))) + 0x0800
            (p + 36).storeBytes(of: UInt16(truncatingIfNeeded: sum + sum >> 16).bigEndian, as: UInt16.self)
        } else {
            return false
        }
        sender.store(at: p)
        link.hardwareAddress.store(at: p + 6)
        return true
    }

    /// Runs the loop until `process` has ended or `seconds` have passed; sleeps on the link's descriptor in between.
    mutating func serve(until process: Process, seconds: Double) {
        let end = Date(timeIntervalSinceNow: seconds)
        while process.isRunning && Date() < end {
            turn()
            var wait = pollfd(fd: link.descriptor, events: Int16(POLLIN), revents: 0)
            _ = poll(&wait, 1, 5)
        }
        if process.isRunning { process.terminate() }
        process.waitUntilExit()
    }

    func deallocate() {
        received.deallocate()
        outgoing.deallocate()
    }
}

/// Starts a program found through PATH.
func start(_ arguments: String...) -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try! process.run()
    return process
}

/// A raw packet socket on one interface: sends frames as they are, and sees what the kernel behind it sees.
final class RawSocket {
    let descriptor: Int32

    init(_ interface: String) throws {
        descriptor = socket(AF_PACKET, Int32(SOCK_RAW.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        #expect(descriptor >= 0)
        var size = Int32(8 << 20)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, 4)
        // PACKET_IGNORE_OUTGOING
        var one: Int32 = 1
        setsockopt(descriptor, 263, 23, &one, 4)
        // struct sockaddr_ll: family, protocol (ETH_P_ALL), index, the rest zero.
        var name: (UInt16, UInt16, UInt32, UInt64, UInt32) = (
            UInt16(AF_PACKET), UInt16(3).bigEndian, if_nametoindex(interface), 0, 0
        )
        let code = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, 20) }
        }
        #expect(code == 0)
    }

    deinit { close(descriptor) }

    func send(_ bytes: [UInt8]) { _ = Glibc.send(descriptor, bytes, bytes.count, 0) }

    /// The next frame, waiting for it for up to `milliseconds`.
    func receive(within milliseconds: Int32 = 0) -> [UInt8]? {
        var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&wait, 1, milliseconds) > 0 else { return nil }
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        return count > 0 ? Array(buffer[..<count]) : nil
    }
}

/// Frames by hand: Ethernet header to `destination` from an address of no importance, then `body`, padded to `size`.
func ethernet(to destination: MACAddress = .broadcast, _ type: UInt16, _ body: [UInt8], size: Int = 60) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 12)
    bytes.withUnsafeMutableBytes {
        destination.store(at: $0.baseAddress!)
        MACAddress(bits: 0x0200_0000_0099).store(at: $0.baseAddress! + 6)
    }
    bytes += [UInt8(type >> 8), UInt8(type & 255)] + body
    if bytes.count < size { bytes += [UInt8](repeating: 0, count: size - bytes.count) }
    return bytes
}

func octets(_ address: IPv4Address) -> [UInt8] { (0..<4).map { UInt8(address.bits >> (24 - 8 * $0) & 255) } }

/// An ARP packet without hardware addresses, from 0.0.0.0 (a probe, RFC 5227).
func arp(_ operation: UInt8, target: IPv4Address) -> [UInt8] {
    [0, 1, 8, 0, 6, 4, 0, operation] + [UInt8](repeating: 0, count: 16) + octets(target)
}

/// An IPv4 header to `destination` with protocol 253 (experiments), no valid checksum.
func ipv4(to destination: IPv4Address) -> [UInt8] {
    [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0, 0, 192, 0, 2, 1] + octets(destination)
}
