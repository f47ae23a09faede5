import Net
import Runtime

/// The other side of many connections without any state for them: SYNs from ever new ports, an ACK for each SYN,ACK that
/// comes, RSTs. Frames are patched templates, so that what is measured is the server. Connection `n` is from address
/// `n / portsPerAddress` and port `n % portsPerAddress`; its initial sequence number is `n`.
final class RawPeer {
    static let portsPerAddress = 60_000
    static let firstPort = 2_000
    private static let hardware = MACAddress(bits: 0x0200_0000_0100)
    private static let ethernet = 14
    private static let tcp = 34
    /// MSS 1460, SACK permitted, timestamps, window scale 7: what Linux offers.
    private static let synOptions: [UInt8] = [
        2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7,
    ]

    private let pool: FramePool
    private let link: MemoryLink
    private let sending: FrameQueue
    private let arrived: FrameQueue
    /// What has come for us, by kind.
    private(set) var synAcks = 0
    private(set) var resets = 0
    private(set) var acks = 0
    /// Numbers and sequence numbers (what we expect next) of connections whose SYN,ACK came and was not answered.
    private(set) var unanswered: [(number: Int, next: UInt32)] = []

    init(wire: MemoryWire) {
        pool = FramePool(count: 2048)
        link = wire.attach(hardwareAddress: Self.hardware, pool: pool)
        sending = FrameQueue(capacity: 1024)
        arrived = FrameQueue(capacity: 1024)
    }

    func deallocate() {
        link.close()
        while let d = arrived.pop() { pool.release(d.frame) }
        sending.deallocate()
        arrived.deallocate()
        pool.deallocate()
    }

    static func address(_ number: Int) -> IPv4Address {
        IPv4Address(bits: SimulatedServer.address.bits + 1 + UInt32(number / portsPerAddress))
    }
    static func port(_ number: Int) -> UInt16 { UInt16(firstPort + number % portsPerAddress) }

    // MARK: sending

    func open(_ number: Int) {
        send(number, sequence: UInt32(truncatingIfNeeded: number), ack: 0, flags: 0x02, options: Self.synOptions)
    }

    /// Answers the SYN,ACKs that have come.
    func answer() {
        for (number, next) in unanswered {
            let sequence = UInt32(truncatingIfNeeded: number) &+ 1
            send(number, sequence: sequence, ack: next, flags: 0x10, options: Self.timestamps)
        }
        unanswered.removeAll(keepingCapacity: true)
    }

    func dropUnanswered() { unanswered.removeAll() }

    func reset(_ number: Int) {
        send(number, sequence: UInt32(truncatingIfNeeded: number) &+ 1, ack: 0, flags: 0x04, options: [])
    }

    /// Timestamps of a segment after the SYN.
    private static let timestamps: [UInt8] = [1, 1, 8, 10, 0, 0, 0, 2, 0, 0, 0, 0]

    private func send(_ number: Int, sequence: UInt32, ack: UInt32, flags: UInt8, options: [UInt8]) {
        guard let frame = pool.allocate() else { preconditionFailure("the peer has no frame") }
        let p = pool.address(frame)
        let source = Self.address(number).bits
        let length = 20 + options.count
        writeEthernet(p, type: 0x0800)
        put16(p, 14, 0x4500)
        put16(p, 16, UInt16(20 + length))
        put32(p, 18, 0x0000_4000)
        put16(p, 22, 0x4006)
        put16(p, 24, 0)
        put32(p, 26, source)
        put32(p, 30, SimulatedServer.address.bits)
        put16(p, 24, ~fold(sum(p + 14, 20)))
        let tcp = p + Self.tcp
        put16(tcp, 0, Self.port(number))
        put16(tcp, 2, SimulatedServer.port)
        put32(tcp, 4, sequence)
        put32(tcp, 8, ack)
        put16(tcp, 12, UInt16(length / 4) << 12 | UInt16(flags))
        put16(tcp, 14, 0xFFFF)
        put32(tcp, 16, 0)
        for (index, byte) in options.enumerated() { tcp.storeBytes(of: byte, toByteOffset: 20 + index, as: UInt8.self) }
        let pseudo = sum(p + 26, 8) + 6 + UInt64(length)
        put16(tcp, 16, ~fold(sum(tcp, length) + pseudo))
        push(frame, length: Self.tcp + length)
    }

    /// Puts on the wire what was sent.
    func flush() {
        link.reclaim()
        if !sending.isEmpty { _ = link.transmit(from: sending) }
    }

    private func push(_ frame: FrameID, length: Int) {
        if sending.room == 0 { flush() }
        _ = sending.push(FrameDescriptor(frame: frame, offset: 0, length: length))
    }

    // MARK: receiving

    func receive() {
        while link.receive(into: arrived, limit: 256) > 0 {
            while let d = arrived.pop() {
                let p = pool.address(d.frame) + Int(d.offset)
                if get16(p, 12) == 0x0806 { answerQuestion(p) } else { take(p) }
                pool.release(d.frame)
            }
        }
    }

    private func take(_ p: UnsafeMutableRawPointer) {
        let tcp = p + Self.tcp
        let flags = (tcp + 13).load(as: UInt8.self)
        let host = Int(get32(p, 30) - SimulatedServer.address.bits) - 1
        let number = host * Self.portsPerAddress + Int(get16(tcp, 2)) - Self.firstPort
        if flags & 0x04 != 0 {
            resets += 1
        } else if flags & 0x02 != 0 {
            synAcks += 1
            unanswered.append((number, get32(tcp, 4) &+ 1))
        } else {
            acks += 1
        }
    }

    /// ARP: who has one of our addresses is told.
    private func answerQuestion(_ p: UnsafeMutableRawPointer) {
        guard get16(p, 20) == 1, let frame = pool.allocate() else { return }
        let reply = pool.address(frame)
        writeEthernet(reply, type: 0x0806)
        put32(reply, 14, 0x0001_0800)
        put32(reply, 18, 0x0604_0002)
        writeHardware(reply + 22, Self.hardware)
        put32(reply, 28, get32(p, 38))
        writeHardware(reply + 32, SimulatedServer.hardwareAddress)
        put32(reply, 38, get32(p, 28))
        push(frame, length: 42)
    }

    // MARK: bytes

    private func writeEthernet(_ p: UnsafeMutableRawPointer, type: UInt16) {
        writeHardware(p, SimulatedServer.hardwareAddress)
        writeHardware(p + 6, Self.hardware)
        put16(p, 12, type)
    }

    private func writeHardware(_ p: UnsafeMutableRawPointer, _ address: MACAddress) {
        put16(p, 0, UInt16(truncatingIfNeeded: address.bits >> 32))
        put32(p, 2, UInt32(truncatingIfNeeded: address.bits))
    }

    private func put16(_ p: UnsafeMutableRawPointer, _ offset: Int, _ value: UInt16) {
        p.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
    }
    private func put32(_ p: UnsafeMutableRawPointer, _ offset: Int, _ value: UInt32) {
        p.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
    }
    private func get16(_ p: UnsafeMutableRawPointer, _ offset: Int) -> UInt16 {
        UInt16(bigEndian: p.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }
    private func get32(_ p: UnsafeMutableRawPointer, _ offset: Int) -> UInt32 {
        UInt32(bigEndian: p.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    /// Of an even number of bytes, as 16-bit words (RFC 1071).
    private func sum(_ p: UnsafeMutableRawPointer, _ count: Int) -> UInt64 {
        var total: UInt64 = 0
        for offset in stride(from: 0, to: count, by: 2) { total &+= UInt64(get16(p, offset)) }
        return total
    }
    private func fold(_ sum: UInt64) -> UInt16 {
        var sum = sum
        while sum > 0xFFFF { sum = (sum & 0xFFFF) + sum >> 16 }
        return UInt16(sum)
    }
}
