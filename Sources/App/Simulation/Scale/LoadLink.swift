import CLinux
import Net
import Runtime

/// A device whose other end is many clients, in the shard's own thread: `receive` writes their requests into frames, and
/// `transmit` reads the replies and lets those clients ask again that have theirs. So a core that runs a shard over it makes
/// the load for it as well, and two shards are two cores of servers and of load.
///
/// Clients are a few words each and frames are patched templates. Nothing is ever lost, so no client sends again. Replies are
/// checked by their length and their place in the stream.
final class LoadLink: Link {
    static let firstPort = 2_000
    private static let ethernet = 14
    private static let tcp = 34
    /// Headers of a segment with timestamps.
    private static let headers = tcp + 32
    /// Where frames begin in the pool's, as with AF_XDP.
    private static let offset = 256

    let pool = FramePool(count: 4096)
    let hardwareAddress = SimulatedServer.hardwareAddress
    let mtu = 1500
    let descriptor: Int32 = -1
    let driver = "load"
    private(set) var statistics = LinkStatistics()
    /// Requests that were answered, for who watches from another thread. Who made the link owns it.
    private let completed: UnsafeMutablePointer<UInt64>
    /// Replies that were not as expected.
    private(set) var wrong = 0

    private struct Client {
        /// Our next sequence number, and the server's.
        var sequence: UInt32
        var expected: UInt32 = 0
        /// The server's last timestamp.
        var timestamp: UInt32 = 0
        /// Reply bytes that have not come yet.
        var due = 0
    }
    private let clients: UnsafeMutablePointer<Client>
    private let count: Int
    /// Clients that have sent their SYN.
    private var opened = 0
    /// Clients whose SYN was answered.
    private(set) var established = 0
    /// The server was asked for its hardware address, which tells it ours: what it had to ask for before it could send would
    /// be lost in part.
    private var hasIntroducedItself = false
    /// Those that may ask: a queue of at most `count`, as free-running positions.
    private let ready: UnsafeMutablePointer<Int>
    private var readyHead = 0
    private var readyTail = 0
    /// A neighbour question to answer: who asks is told at the next `receive`.
    private var question: (asker: UInt32, target: UInt32)?
    private let address: IPv4Address
    private let hardware: MACAddress

    private let requests: RequestTable
    private let pipeline: Int
    private var entropy: Entropy
    /// The requests that are asked next, from `position` on in a circle: chosen ahead, so that they do not have to be waited
    /// for in memory.
    private var upcoming = InlineArray<16, Int>(repeating: 0)
    private var position = 0
    /// Headers as they are sent, but for ports, numbers and checksums.
    private let template: UnsafeMutableRawPointer
    /// Of what never changes in the TCP checksum.
    private let fixedSum: UInt64

    init(
        shard: Int, clients count: Int, pipeline: Int, requests: RequestTable,
        completed: UnsafeMutablePointer<UInt64>
    ) {
        self.count = count
        self.pipeline = pipeline
        self.requests = requests
        entropy = Entropy(seed: UInt64(shard + 1))
        address = IPv4Address(bits: SimulatedServer.address.bits + 1 + UInt32(shard))
        hardware = MACAddress(bits: 0x0200_0000_0100 + UInt64(shard))
        self.completed = completed
        clients = .allocate(capacity: count)
        for index in 0..<count { (clients + index).initialize(to: Client(sequence: UInt32(index) &* 1_000_003)) }
        ready = .allocate(capacity: count)
        ready.initialize(repeating: 0, count: count)
        template = .allocate(byteCount: Self.headers, alignment: 64)
        template.initializeMemory(as: UInt8.self, repeating: 0, count: Self.headers)
        fixedSum = Self.write(
            template, hardware, address, payload: pipeline * RequestTable.length, flags: 0x8018)
    }

    deinit {
        clients.deallocate()
        ready.deallocate()
        template.deallocate()
        pool.deallocate()
    }

    // MARK: towards the server

    var hasReceived: Bool { readyHead != readyTail || opened < count || question != nil }

    func receive(into queue: FrameQueue, limit: Int) -> Int {
        var left = min(limit, queue.room)
        let wanted = left
        if !hasIntroducedItself, left > 0 {
            hasIntroducedItself = true
            left -= tell(operation: 1, address.bits, SimulatedServer.address.bits, queue)
        }
        if let (asker, target) = question, left > 0 {
            question = nil
            left -= tell(operation: 2, target, asker, queue)
        }
        while left > 0, opened < count, let frame = pool.allocateReserved() {
            queue.append(FrameDescriptor(frame: frame, offset: Self.offset, length: open(opened, frame)))
            opened += 1
            left -= 1
        }
        while left > 0, readyHead != readyTail, let frame = pool.allocateReserved() {
            let client = ready[readyHead % count]
            readyHead += 1
            queue.append(FrameDescriptor(frame: frame, offset: Self.offset, length: ask(client, frame)))
            left -= 1
        }
        statistics.receivedFrames &+= UInt64(wanted - left)
        return wanted - left
    }

    /// A segment with the client's next requests, which acknowledges all that came.
    private func ask(_ index: Int, _ frame: FrameID) -> Int {
        let p = pool.address(frame) + Self.offset
        let client = clients + index
        p.copyMemory(from: template, byteCount: Self.headers)
        var sum = fixedSum
        sum &+= put16(p, Self.tcp, UInt16(Self.firstPort + index))
        sum &+= put32(p, Self.tcp + 4, client.pointee.sequence)
        sum &+= put32(p, Self.tcp + 8, client.pointee.expected)
        sum &+= put32(p, Self.tcp + 28, client.pointee.timestamp)
        var place = p + Self.headers
        for _ in 0..<pipeline {
            sum &+= requests.copy(upcoming[position], to: place)
            upcoming[position] = requests.random(&entropy)
            position = (position &+ 1) & 15
            place += RequestTable.length
        }
        _ = put16(p, Self.tcp + 16, ~fold(sum))
        client.pointee.sequence &+= UInt32(pipeline * RequestTable.length)
        client.pointee.due = pipeline * RequestTable.replyLength
        return place - p
    }

    private func open(_ index: Int, _ frame: FrameID) -> Int {
        let p = pool.address(frame) + Self.offset
        var sum = Self.write(p, hardware, address, payload: 4, flags: 0x9002)
        // MSS 1460: the options take one word more.
        sum &+= put32(p, Self.headers, 0x0204_05B4)
        sum &+= put16(p, Self.tcp, UInt16(Self.firstPort + index))
        sum &+= put32(p, Self.tcp + 4, clients[index].sequence)
        _ = put16(p, Self.tcp + 16, ~fold(sum))
        clients[index].sequence &+= 1
        return Self.headers + 4
    }

    /// ARP for our address: a question (1) or an answer (2).
    private func tell(operation: UInt32, _ sender: UInt32, _ target: UInt32, _ queue: FrameQueue) -> Int {
        guard let frame = pool.allocateReserved() else { return 0 }
        let p = pool.address(frame) + Self.offset
        Self.writeEthernet(p, from: hardware, type: 0x0806)
        _ = put32(p, 14, 0x0001_0800)
        _ = put32(p, 18, 0x0604_0000 | operation)
        hardware.store(at: p + 22)
        _ = put32(p, 28, sender)
        hardwareAddress.store(at: p + 32)
        _ = put32(p, 38, target)
        queue.append(FrameDescriptor(frame: frame, offset: Self.offset, length: 42))
        return 1
    }

    // MARK: from the server

    func transmit(from queue: FrameQueue) -> Int {
        var taken = 0
        while let d = queue.pop() {
            take(pool.address(d.frame) + Int(d.offset))
            pool.release(d.frame)
            taken += 1
        }
        statistics.transmittedFrames &+= UInt64(taken)
        return taken
    }

    private func take(_ p: UnsafeMutableRawPointer) {
        if get16(p, 12) == 0x0806 {
            if get16(p, 20) == 1 { question = (get32(p, 28), get32(p, 38)) }
            return
        }
        let client = clients + (Int(get16(p, Self.tcp + 2)) - Self.firstPort)
        let (offset, flags) = (Int(get16(p, Self.tcp + 12) >> 12) * 4, get16(p, Self.tcp + 12))
        if flags & 0x02 != 0 {
            if client.pointee.expected != 0 { return }
            established += 1
            client.pointee.expected = get32(p, Self.tcp + 4) &+ 1
            client.pointee.timestamp = synTimestamp(p + Self.tcp, offset)
            becomeReady(client - clients)
            return
        }
        let bytes = Int(get16(p, 16)) - 20 - offset
        guard bytes > 0 else { return }
        client.pointee.timestamp = get32(p, Self.tcp + 24)
        // A thread that is off its core for long lets a reply be sent again.
        let ahead = Int32(bitPattern: get32(p, Self.tcp + 4) &- client.pointee.expected)
        if ahead < 0 { return }
        if ahead > 0 || bytes > client.pointee.due {
            wrong += 1
            return
        }
        client.pointee.expected &+= UInt32(bytes)
        client.pointee.due -= bytes
        guard client.pointee.due == 0 else { return }
        apus_store_release_u64(completed, completed.pointee &+ UInt64(pipeline))
        becomeReady(client - clients)
    }

    private func becomeReady(_ index: Int) {
        ready[readyTail % count] = index
        readyTail += 1
    }

    private func synTimestamp(_ tcp: UnsafeMutableRawPointer, _ end: Int) -> UInt32 {
        var place = 20
        while place < end {
            let kind = tcp.load(fromByteOffset: place, as: UInt8.self)
            if kind == 8 { return get32(tcp, place + 2) }
            place += kind <= 1 ? 1 : max(2, Int(tcp.load(fromByteOffset: place + 1, as: UInt8.self)))
        }
        return 0
    }

    func reclaim() {}
    func close() {}

    // MARK: bytes

    private static func writeEthernet(_ p: UnsafeMutableRawPointer, from hardware: MACAddress, type: UInt16) {
        SimulatedServer.hardwareAddress.store(at: p)
        hardware.store(at: p + 6)
        _ = put16(p, 12, type)
    }

    /// All headers, with timestamps (value 2) as the only option; without port, numbers and TCP checksum. `flags` with the
    /// header's length in front. Returns the sum of what is there.
    private static func write(
        _ p: UnsafeMutableRawPointer, _ hardware: MACAddress, _ address: IPv4Address, payload: Int, flags: UInt16
    ) -> UInt64 {
        writeEthernet(p, from: hardware, type: 0x0800)
        var header = put16(p, 14, 0x4500) &+ put16(p, 16, UInt16(52 + payload)) &+ put32(p, 18, 0x0000_4000)
        header &+= put16(p, 22, 0x4006)
        let addresses = put32(p, 26, address.bits) &+ put32(p, 30, SimulatedServer.address.bits)
        _ = put16(p, 24, ~fold(header &+ addresses))
        let tcp = p + tcp
        tcp.initializeMemory(as: UInt8.self, repeating: 0, count: 20)
        var sum = addresses &+ 6 &+ UInt64(32 + payload)
        sum &+= put16(tcp, 2, SimulatedServer.port) &+ put16(tcp, 12, flags) &+ put16(tcp, 14, 0xFFFF)
        sum &+= put32(tcp, 20, 0x0101_080A) &+ put32(tcp, 24, 2) &+ put32(tcp, 28, 0)
        return sum
    }
}

/// Requests for keys of 16 bytes whose values have 64: `GET key:000000000042` ready to be sent, with their sums.
struct RequestTable: BitwiseCopyable, @unchecked Sendable {
    /// Bytes of a request: even, so that the sums of several add up. And of its reply.
    static let length = 36
    static let replyLength = 71
    /// 36 bytes, then the sum as 32 bits, in a cache line.
    private static let stride = 64
    private let memory: UnsafeMutableRawPointer
    let count: Int

    init(_ keys: [[UInt8]]) {
        count = keys.count
        memory = .allocate(byteCount: keys.count * Self.stride, alignment: 64)
        for (index, key) in keys.enumerated() {
            let bytes = encode([Array("GET".utf8), key])
            precondition(bytes.count == Self.length, "keys have 16 bytes")
            let place = memory + index * Self.stride
            place.copyMemory(from: bytes, byteCount: Self.length)
            var sum: UInt64 = 0
            for offset in Swift.stride(from: 0, to: Self.length, by: 2) { sum &+= UInt64(get16(place, offset)) }
            place.storeBytes(of: UInt32(sum), toByteOffset: Self.length, as: UInt32.self)
        }
    }

    func deallocate() { memory.deallocate() }

    /// One of them, whose memory is on its way afterwards.
    @inline(__always) func random(_ entropy: inout Entropy) -> Int {
        let index = entropy.next(below: count)
        apus_prefetch(memory + index &* Self.stride)
        return index
    }

    /// Returns the request's sum.
    @inline(__always) func copy(_ index: Int, to place: UnsafeMutableRawPointer) -> UInt64 {
        let request = memory + index &* Self.stride
        copyBytes(request, to: place, Self.length)
        return UInt64(request.load(fromByteOffset: Self.length, as: UInt32.self))
    }
}

/// Big-endian fields; each returns its part of an Internet checksum (RFC 1071), by 16-bit words as numbers.
@inline(__always)
private func put16(_ p: UnsafeMutableRawPointer, _ offset: Int, _ value: UInt16) -> UInt64 {
    p.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
    return UInt64(value)
}
@inline(__always)
private func put32(_ p: UnsafeMutableRawPointer, _ offset: Int, _ value: UInt32) -> UInt64 {
    p.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
    return UInt64(value >> 16) &+ UInt64(value & 0xFFFF)
}
@inline(__always)
private func get16(_ p: UnsafeMutableRawPointer, _ offset: Int) -> UInt16 {
    UInt16(bigEndian: p.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
}
@inline(__always)
private func get32(_ p: UnsafeMutableRawPointer, _ offset: Int) -> UInt32 {
    UInt32(bigEndian: p.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
}
@inline(__always)
private func fold(_ sum: UInt64) -> UInt16 {
    let once = (sum & 0xFFFF) &+ (sum >> 16)
    let twice = (once & 0xFFFF) &+ (once >> 16)
    return UInt16(truncatingIfNeeded: (twice & 0xFFFF) &+ (twice >> 16))
}
