import Net
import Runtime
import Testing

@testable import App

/// Frames thrown at a working server. Nobody else may be disturbed, nothing may be left, and INFO shows the drops.
@Suite struct HostileWireTests {
    @Test(arguments: 1...12)
    func randomFramesBesideWorkingClients(seed: UInt64) {
        let crowd = Crowd(seed: seed, shards: 1 + Int(seed % 3))
        let pool = FramePool(count: 512)
        defer { pool.deallocate() }
        let link = crowd.s.server.wire.attach(hardwareAddress: MACAddress(bits: 0x0200_0000_0909), pool: pool)
        let queue = FrameQueue(capacity: 64)
        let trash = FrameQueue(capacity: 64)
        var frames = HostileFrames(entropy: Entropy(seed: seed))
        frames.victims = crowd.names
        for _ in 0..<300 {
            for _ in 0..<8 {
                let bytes = frames.next()
                guard let frame = pool.allocate() else { break }
                bytes.withUnsafeBytes { pool.address(frame).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
                if bytes.isEmpty {
                    pool.release(frame)
                } else {
                    _ = queue.push(FrameDescriptor(frame: frame, offset: 0, length: bytes.count))
                }
            }
            _ = link.transmit(from: queue)
            link.reclaim()
            while link.receive(into: trash, limit: 64) > 0 { while let d = trash.pop() { pool.release(d.frame) } }
            crowd.work()
        }
        crowd.expectGood()
        let client = crowd.s.connect()
        // Somebody may have claimed its address: that is cleared up within seconds.
        crowd.s.run(.seconds(10))
        for name in [
            "ipv4_bad_checksum", "ipv4_fragments", "arp_malformed", "tcp_malformed",
            "tcp_bad_checksum", "icmp_bad_checksum", "ipv4_unknown_protocol", "tcp_refused",
        ] {
            #expect(crowd.s.info(client, name) ?? 0 > 0, "\(name)")
        }
        link.close()
        queue.deallocate()
        trash.deallocate()
        crowd.expectNothingLeft()
    }

    /// An address that moves to another owner is cleared up by every shard, although ARP is heard by one.
    @Test func claimedAddresses() {
        let s = Scenario(shards: 3)
        let pool = FramePool(count: 64)
        defer { pool.deallocate() }
        let link = s.server.wire.attach(hardwareAddress: MACAddress(bits: 0x0200_0000_0909), pool: pool)
        let queue = FrameQueue(capacity: 16)
        for operation: UInt8 in [1, 2] {
            for address: UInt8 in 2...9 {
                let frame = pool.allocate()!
                var bytes = HostileFrames.server + HostileFrames.attacker + [8, 6, 0, 1, 8, 0, 6, 4, 0, operation]
                bytes += HostileFrames.attacker + [10, 0, 0, address, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1]
                bytes.withUnsafeBytes { pool.address(frame).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
                _ = queue.push(FrameDescriptor(frame: frame, offset: 0, length: bytes.count))
            }
            _ = link.transmit(from: queue)
            s.run()
        }
        let clients = (0..<8).map { _ in s.begin() }
        s.run(.seconds(8))
        for client in clients { #expect(s.ask(client, "PING") == "+PONG\r\n") }
        link.close()
        queue.deallocate()
    }

    /// Each frame of some clients may be changed on the way, with checksums put right: what they say is anything.
    @Test(arguments: 1...12)
    func mutatedSegmentsBesideWorkingClients(seed: UInt64) {
        let crowd = Crowd(seed: seed, shards: 1 + Int(seed % 3))
        var frames = HostileFrames(entropy: Entropy(seed: seed))
        var entropy = Entropy(seed: seed &+ 1000)
        let first = crowd.s.clients.count
        crowd.s.server.wire.tamper = { frame in
            // Clients are told apart by their hardware address.
            guard frame.count >= 54, Int(frame[11]) >= first, frame[10] == 1, entropy.chance(0.3) else { return }
            frames.mutate(&frame)
        }
        var bad: [SimulatedClient] = []
        for round in 0..<300 {
            if round % 40 == 0 { bad += [crowd.s.begin(frames: 256), crowd.s.begin(frames: 256)] }
            for client in bad where entropy.chance(0.3) {
                crowd.s.say(
                    client, ["SET k v", "GET k", "SETRANGE k 20000 x", "DBSIZE", "INFO"][entropy.next(below: 5)])
            }
            crowd.work()
        }
        for client in bad { client.isSilent = true }
        crowd.expectGood()
        crowd.expectNothingLeft()
    }
}

/// A server with well-behaved clients, each with a workload whose replies are known.
private final class Crowd {
    let s: Scenario
    private let good: [SimulatedClient]
    private var workloads: [Workload]

    init(seed: UInt64, shards: Int) {
        var faults = MemoryWire.Faults()
        faults.delay = .microseconds(50)
        s = Scenario(
            shards: shards, seed: seed, faults: faults, frames: 2048, config: try! Config(["timeout": "10"]))
        let s = s
        good = (0..<3).map { _ in s.connect() }
        workloads = (0..<3).map { Workload(client: $0, entropy: Entropy(seed: seed &+ UInt64($0))) }
        for client in good { client.keepsReplies = false }
    }

    var names: [(address: UInt8, port: UInt16)] {
        s.server.shards.flatMap { shard in
            var found: [(address: UInt8, port: UInt16)] = []
            var walk = shard.state.sessions.first
            while let session = walk {
                let remote = session.state.pointee.remote
                found.append((UInt8(truncatingIfNeeded: remote.address.bits), remote.port))
                walk = shard.state.sessions.next(after: session)
            }
            return found
        }
    }

    func work() {
        for index in good.indices where good[index].isSettled {
            for _ in 0..<3 {
                let (request, reply) = workloads[index].next()
                good[index].send(request, expecting: reply)
            }
        }
        s.run(.microseconds(200))
    }

    func expectGood() {
        for _ in 0..<200 where !good.allSatisfy(\.isSettled) { s.run(.milliseconds(100)) }
        for (index, client) in good.enumerated() {
            #expect(client.failure == nil, "client \(index)")
            #expect(client.isSettled, "client \(index) waits for ever")
            #expect(!client.isClosed, "client \(index) was disconnected")
        }
    }

    func expectNothingLeft() {
        for client in s.clients where !client.isSilent { client.close() }
        for _ in 0..<400 where s.leak() != nil { s.run(.seconds(1)) }
        #expect(s.leak() == nil)
    }
}

/// Nonsense in place of requests.
@Suite struct HostileRequestTests {
    @Test(arguments: 1...10)
    func randomBytes(seed: UInt64) {
        let s = Scenario(shards: 2)
        var entropy = Entropy(seed: seed)
        let good = s.connect()
        let alphabet = Array("*$:+-0123456789\r\n\r\n\"'\\ xSETGETPING".utf8)
        for _ in 0..<20 {
            let client = s.connect(frames: 256)
            let isText = entropy.chance(0.7)
            client.send(
                (0..<entropy.next(below: 3000)).map { _ in
                    isText ? alphabet[entropy.next(below: alphabet.count)] : UInt8(truncatingIfNeeded: entropy.next())
                })
            #expect(s.ask(good, "PING") == "+PONG\r\n")
            if entropy.chance(0.5) { client.close() } else { client.abort() }
        }
        good.close()
        s.run(.seconds(1))
        for client in s.clients { client.abort() }
        s.run(.seconds(1))
        #expect(s.leak() == nil)
    }

    /// The reply, and whether the server closes.
    private func expect(
        _ request: [UInt8], _ reply: String, closed: Bool, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let s = Scenario(shards: 1)
        let client = s.connect()
        client.send(request)
        s.run(.seconds(1))
        #expect(s.heard(client) == reply, sourceLocation: sourceLocation)
        #expect(client.isClosed == closed, sourceLocation: sourceLocation)
        if closed { #expect(s.info(s.connect(), "protocol_errors") == 1, sourceLocation: sourceLocation) }
        for client in s.clients { client.abort() }
        s.run()
        #expect(s.leak() == nil, sourceLocation: sourceLocation)
    }

    @Test func declaredLengths() {
        let invalid = "-ERR Protocol error: invalid bulk length\r\n"
        for length in ["-2", "-1", "9223372036854775808", "1073741824", "x", "18446744073709551616"] {
            expect(Array("*2\r\n$3\r\nGET\r\n$\(length)\r\n".utf8), invalid, closed: true)
        }
        for count in ["9223372036854775808", "2147483648", "x"] {
            expect(Array("*\(count)\r\n".utf8), "-ERR Protocol error: invalid multibulk length\r\n", closed: true)
        }
        // Declared, never sent: no memory is touched for it, and nothing is left.
        expect(Array("*2\r\n$4\r\nECHO\r\n$536870912\r\nabc".utf8), "", closed: false)
        expect(Array("*2147483647\r\n$4\r\nECHO\r\n".utf8), "", closed: false)
        expect(Array("*1000000\r\n$4\r\nECHO\r\n".utf8), "", closed: false)
        expect(Array("*-1\r\nPING\r\n".utf8), "+PONG\r\n", closed: false)
    }

    @Test func endlessLines() {
        let x = [UInt8](repeating: UInt8(ascii: "x"), count: 1_000_000)
        expect(x, "-ERR Protocol error: too big inline request\r\n", closed: true)
        expect(Array("*".utf8) + x, "-ERR Protocol error: too big mbulk count string\r\n", closed: true)
        expect(Array("*1\r\n$".utf8) + x, "-ERR Protocol error: too big bulk count string\r\n", closed: true)
    }

    @Test func manyTinyArguments() {
        let s = Scenario(shards: 2, config: try! Config(["client-query-buffer-limit": "1mb"]))
        let client = s.connect()
        client.send(
            Array("*1000000\r\n".utf8) + Array(repeatElement(Array("$0\r\n\r\n".utf8), count: 500_000).joined()))
        s.run(.seconds(2))
        #expect(client.isClosed)
        #expect(s.ask(s.connect(), "PING") == "+PONG\r\n")
    }
}
