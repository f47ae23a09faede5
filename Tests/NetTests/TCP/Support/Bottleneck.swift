import Runtime

@testable import Net

/// One sender and several receivers whose frames pass a router with a queue: a rate, a delay, a bound on what waits, loss by
/// chance, and marks instead of drops for those who understand them. Virtual time; the sender is a real stack, so are the
/// receivers. What comes back is only delayed.
final class Bottleneck {
    /// Bits a second through the router; 0: no bound.
    var rate = 0
    /// One way.
    var delay: Nanoseconds = .milliseconds(10)
    /// Frames that may wait at the router.
    var queueLimit = 1_000
    /// Each frame of the sender is lost with this probability.
    var loss = 0.0
    /// Each frame of the sender is held back with this probability, for up to so long.
    var reordering = 0.0
    var reorderSpan: Nanoseconds = .milliseconds(2)
    /// Frames that wait already when a capable one comes: it is marked. .max: never.
    var markAbove = Int.max
    /// What the sender's processor needs for each frame it takes or makes: its frames leave so much apart, and its turn lasts
    /// as long as all of them.
    var frameCost: Nanoseconds = 0
    private(set) var dropped = 0
    private(set) var marked = 0
    private(set) var longestQueue = 0

    private(set) var now: Nanoseconds = .seconds(10)
    let sender: Host
    let receivers: [Host]
    private var entropy: Entropy
    /// When the router has sent all that waits.
    private var busyUntil: Nanoseconds = 0
    private var wire: [Packet] = []

    private struct Packet {
        let due: Nanoseconds
        let to: Int
        let bytes: [UInt8]
    }

    final class Host {
        let pool: FramePool
        let stack: Stack
        let burst = FrameQueue(capacity: 4_096)
        let number: UInt8

        init(_ number: UInt8, frames: Int, now: Nanoseconds, _ change: (inout Stack.Configuration) -> Void) {
            self.number = number
            pool = FramePool(count: frames)
            var configuration = Stack.Configuration(
                hardwareAddress: MACAddress(bits: 0x0200_0000_0000 | UInt64(number)),
                address: IPv4Address(10, 0, 0, number), prefixLength: 24)
            change(&configuration)
            stack = Stack(configuration: configuration, pool: pool, entropy: Entropy(seed: UInt64(number)), now: now)
        }

        func arrive(_ bytes: [UInt8]) {
            guard burst.room > 0, let frame = pool.allocate() else { return }
            bytes.withUnsafeBytes { (pool.address(frame) + 64).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
            _ = burst.push(FrameDescriptor(frame: frame, offset: 64, length: bytes.count))
        }
    }

    init(receivers count: Int = 1, seed: UInt64 = 1, _ change: (inout Stack.Configuration) -> Void = { _ in }) {
        entropy = Entropy(seed: seed)
        sender = Host(1, frames: 16_384, now: now, change)
        receivers = (0..<count).map { index in
            Host(UInt8(2 + index), frames: 8_192, now: .seconds(10)) {
                change(&$0)
                $0.receiveWindow = 8 << 20
            }
        }
    }

    /// One turn of everybody, then on to the next instant at which something happens, `step` later at least.
    func turn(step: Nanoseconds = .microseconds(50), serveSender: (Stack) -> Void, serveReceiver: (Int, Stack) -> Void)
    {
        deliver()
        let work = Nanoseconds(sender.burst.count + run(sender, serveSender)) * frameCost
        for (index, host) in receivers.enumerated() { _ = run(host) { serveReceiver(index, $0) } }
        var next = wire.first?.due ?? .max
        for host in [sender] + receivers { next = min(next, host.stack.nextDeadline ?? .max) }
        now = max(now + max(step, work), min(next, now + .milliseconds(10)))
    }

    /// How many frames left.
    private func run(_ host: Host, _ serve: (Stack) -> Void) -> Int {
        var count = 0
        host.stack.input(host.burst, now: now)
        host.stack.advanceTimers(now: now)
        serve(host.stack)
        host.stack.output(now: now)
        while let d = host.stack.transmitQueue.pop() {
            let bytes = [UInt8](
                UnsafeRawBufferPointer(start: host.pool.address(d.frame) + Int(d.offset), count: Int(d.length)))
            host.pool.release(d.frame)
            count += 1
            if host === sender {
                forward(bytes, at: now + Nanoseconds(count) * frameCost)
            } else {
                insert(Packet(due: now + delay, to: 1, bytes: bytes))
            }
        }
        return count
    }

    private func forward(_ frame: [UInt8], at now: Nanoseconds) {
        var bytes = frame
        let to = bytes[0] & 1 == 1 ? 0 : Int(bytes[5])
        guard rate > 0 else {
            if entropy.chance(loss) {
                dropped += 1
            } else {
                insert(Packet(due: now + delay + hold(), to: to, bytes: bytes))
            }
            return
        }
        let span = Nanoseconds(bytes.count * 8) * 1_000_000_000 / Nanoseconds(rate)
        let waiting = max(0, Int((busyUntil - now) / (12_000 * 1_000_000_000 / Nanoseconds(rate))))
        longestQueue = max(longestQueue, waiting)
        if entropy.chance(loss) || waiting >= queueLimit {
            dropped += 1
            return
        }
        if waiting > markAbove, bytes[12] == 8, bytes[13] == 0, bytes[15] & 3 == 2 { mark(&bytes) }
        busyUntil = max(busyUntil, now) + span
        insert(Packet(due: busyUntil + delay + hold(), to: to, bytes: bytes))
    }

    private func hold() -> Nanoseconds {
        reordering > 0 && entropy.chance(reordering) ? Nanoseconds(entropy.next(below: Int(reorderSpan))) : 0
    }

    /// ECT(0) becomes CE: one bit more in a word of the header, one less in its checksum (RFC 1624).
    private func mark(_ bytes: inout [UInt8]) {
        marked += 1
        bytes[15] |= 1
        bytes.withUnsafeMutableBytes {
            let ip = $0.baseAddress! + 14
            ip.putRaw16(0, 10)
            ip.putRaw16(InternetChecksum.finish(InternetChecksum.sum(ip, 20, 0)), 10)
        }
    }

    /// Sorted by time, first come first in the queue among equals.
    private func insert(_ packet: Packet) {
        var (low, high) = (0, wire.count)
        while low < high {
            let middle = (low + high) / 2
            if wire[middle].due <= packet.due { low = middle + 1 } else { high = middle }
        }
        wire.insert(packet, at: low)
    }

    private func deliver() {
        var count = 0
        while count < wire.count, wire[count].due <= now {
            let packet = wire[count]
            if packet.to == 0 {
                sender.arrive(packet.bytes)
                for host in receivers { host.arrive(packet.bytes) }
            } else if packet.to == 1 {
                sender.arrive(packet.bytes)
            } else if packet.to - 2 < receivers.count {
                receivers[packet.to - 2].arrive(packet.bytes)
            }
            count += 1
        }
        wire.removeFirst(count)
    }
}
