import Net
import Runtime

/// Two ends and all that can happen between them, in virtual time and from a seed. What the line does changes now and then.
struct RoughLine {
    /// Probabilities are per frame, 0...1.
    struct Conditions {
        var loss = 0.0
        /// Of losing a frame after one that was lost.
        var lossAgain = 0.0
        var duplication = 0.0
        var corruption = 0.0
        var reordering = 0.0
        var reorderSpan: Nanoseconds = 1
        var delay: Nanoseconds = 0
        /// Bytes a second; 0: any. What waits for longer than `queue` is marked or, if that cannot be, dropped.
        var rate = 0
        var queue: Nanoseconds = .milliseconds(50)
        var marking = 0.0
        /// Largest datagram; larger ones are divided, or dropped with the router's answer.
        var mtu = 1_500
        var divides = false
        /// Nothing arrives.
        var isDark = false
    }

    private struct Packet {
        let due: Nanoseconds
        let serial: Int
        let target: Int
        let bytes: [UInt8]
    }

    private(set) var conditions: Conditions
    private let worst: Conditions
    private var entropy: Entropy
    private var packets: [Packet] = []
    private var serial = 0
    private var wasLost = [false, false]
    /// When each direction's slow link is free again.
    private var freeAt: [Nanoseconds] = [0, 0]
    private var changeAt: Nanoseconds = 0
    private(set) var isPerfect = false

    init(entropy: Entropy) {
        self.entropy = entropy
        worst = Self.draw(&self.entropy)
        conditions = worst
    }

    private static func draw(_ entropy: inout Entropy) -> Conditions {
        var c = Conditions()
        let strength = Double(entropy.next(below: 5)) / 4
        c.loss = 0.1 * strength * strength
        c.lossAgain = entropy.chance(0.3) ? 0.6 : c.loss
        c.duplication = entropy.chance(0.5) ? 0.08 * strength : 0
        c.corruption = entropy.chance(0.4) ? 0.05 * strength : 0
        c.reordering = entropy.chance(0.6) ? 0.3 * strength : 0
        c.reorderSpan = .microseconds(Int64(1 + entropy.next(below: 20_000)))
        c.delay = .microseconds(Int64(entropy.chance(0.7) ? entropy.next(below: 3_000) : entropy.next(below: 120_000)))
        if entropy.chance(0.3) { c.rate = 20_000 << entropy.next(below: 8) }
        c.marking = entropy.chance(0.4) ? 0.1 * strength : 0
        c.divides = entropy.chance(0.5)
        if entropy.chance(0.3) { c.mtu = [576, 600, 900, 1_280, 1_400][entropy.next(below: 5)] }
        return c
    }

    var description: String { "\(worst)" }

    /// From now on the line does nothing to frames.
    mutating func becomePerfect() {
        isPerfect = true
        conditions = Conditions()
    }

    /// When something happens next; nil: nothing is on the way.
    var nextDeadline: Nanoseconds? { packets.first?.due }

    // MARK: frames

    /// A frame leaves the end `source` (0 or 1).
    mutating func carry(_ bytes: [UInt8], from source: Int, now: Nanoseconds) {
        if now >= changeAt, !isPerfect { change(now) }
        let target = 1 - source
        let isLost = conditions.isDark || entropy.chance(wasLost[target] ? conditions.lossAgain : conditions.loss)
        wasLost[target] = isLost
        if isLost { return }
        guard Datagrams.isIPv4(bytes) else { return send([bytes], to: target, after: conditions.delay, now: now) }
        var bytes = bytes
        var delay = conditions.delay
        if conditions.rate > 0 {
            let free = max(freeAt[target], now)
            if free - now > conditions.queue, !Datagrams.mark(&bytes) || free - now > 4 * conditions.queue { return }
            freeAt[target] = free + Int64(bytes.count) * 1_000_000_000 / Int64(conditions.rate)
            delay += freeAt[target] - now
        }
        if entropy.chance(conditions.marking) { _ = Datagrams.mark(&bytes) }
        if Datagrams.length(bytes) > conditions.mtu {
            if !conditions.divides {
                return send([Datagrams.tooLarge(bytes, mtu: conditions.mtu)], to: source, after: 1_000, now: now)
            }
            let name = UInt16(truncatingIfNeeded: entropy.next())
            return send(
                Datagrams.fragments(bytes, mtu: conditions.mtu, identification: name), to: target, after: delay,
                now: now)
        }
        send([bytes], to: target, after: delay, now: now)
    }

    private mutating func send(_ frames: [[UInt8]], to target: Int, after delay: Nanoseconds, now: Nanoseconds) {
        for frame in frames {
            for _ in 0..<(entropy.chance(conditions.duplication) ? 2 : 1) {
                var due = now + delay
                if entropy.chance(conditions.reordering) {
                    due += Int64(entropy.next(below: Int(conditions.reorderSpan) + 1))
                }
                var copy = frame
                // ARP has no checksum.
                if Datagrams.isIPv4(copy), entropy.chance(conditions.corruption) {
                    copy[entropy.next(below: copy.count)] ^= 1 << UInt8(entropy.next(below: 8))
                }
                insert(Packet(due: due, serial: serial, target: target, bytes: copy))
                serial += 1
            }
        }
    }

    /// Better, worse, dark for a while, another path with another largest size.
    private mutating func change(_ now: Nanoseconds) {
        changeAt = now + .milliseconds(Int64(10 + entropy.next(below: 4_000)))
        conditions = worst
        switch entropy.next(below: 8) {
        case 0:
            conditions.isDark = true
            changeAt = now + .milliseconds(Int64(entropy.next(below: 3_000)))
        case 1: conditions.delay = worst.delay * 3 + 1_000
        case 2: conditions.delay = worst.delay / 4
        case 3: (conditions.loss, conditions.lossAgain, conditions.corruption) = (0, 0, 0)
        case 4 where worst.mtu < 1_500: conditions.mtu = 1_500
        case 5 where worst.mtu < 1_500: conditions.mtu = 576
        default: break
        }
    }

    // MARK: heap, earliest first

    /// The next frame that is due, and the end it arrives at.
    mutating func next(now: Nanoseconds) -> (target: Int, bytes: [UInt8])? {
        guard let first = packets.first, first.due <= now else { return nil }
        let last = packets.removeLast()
        if !packets.isEmpty {
            packets[0] = last
            sink()
        }
        return (first.target, first.bytes)
    }

    private func isBefore(_ a: Packet, _ b: Packet) -> Bool { (a.due, a.serial) < (b.due, b.serial) }

    private mutating func insert(_ packet: Packet) {
        packets.append(packet)
        var index = packets.count - 1
        while index > 0, isBefore(packets[index], packets[(index - 1) / 2]) {
            packets.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private mutating func sink() {
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < packets.count {
                if isBefore(packets[child], packets[least]) { least = child }
            }
            if least == index { return }
            packets.swapAt(index, least)
            index = least
        }
    }
}
