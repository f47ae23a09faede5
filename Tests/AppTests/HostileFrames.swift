import Net
import Runtime

@testable import App

/// Makes frames that nobody well-meaning sends, in all degrees of plausibility. Bytes are in network order.
struct HostileFrames {
    var entropy: Entropy
    /// Addresses (low byte) and ports of well-behaved clients, whose names are abused.
    var victims: [(address: UInt8, port: UInt16)] = []

    static let server: [UInt8] = [2, 0, 0, 0, 0, 1]
    static let attacker: [UInt8] = [2, 0, 0, 0, 9, 9]

    mutating func next() -> [UInt8] {
        switch entropy.next(below: 12) {
        case 0: return bytes(entropy.next(below: 1515))
        case 1: return Self.server + bytes(entropy.next(below: 1508))
        case 2: return Self.server + Self.attacker + [8, 0] + bytes(entropy.next(below: 1500))
        case 3: return arp()
        case 4: return datagram(protocol: 1, payload: echo())
        case 5: return datagram(protocol: UInt8(entropy.next(below: 256)), payload: bytes(entropy.next(below: 1480)))
        case 6: return Array(tcp().prefix(entropy.next(below: 90)))
        default: return tcp()
        }
    }

    private mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: entropy.next()) }
    }

    /// 10.0.0.x: often of somebody who is there.
    private mutating func source() -> (address: UInt8, port: UInt16) {
        if entropy.chance(0.5), !victims.isEmpty { return victims[entropy.next(below: victims.count)] }
        return (UInt8(truncatingIfNeeded: entropy.next()), UInt16(truncatingIfNeeded: entropy.next()))
    }

    private mutating func arp() -> [UInt8] {
        let sender = source().address
        let operation: UInt8 = entropy.chance(0.5) ? 1 : UInt8(entropy.next(below: 4))
        var packet: [UInt8] = [0, 1, 8, 0, 6, 4, 0, operation] + Self.attacker + [10, 0, 0, sender]
        packet += bytes(6) + [10, 0, 0, entropy.chance(0.7) ? 1 : 9]
        if entropy.chance(0.2) { packet[entropy.next(below: 8)] = UInt8(truncatingIfNeeded: entropy.next()) }
        let target = entropy.chance(0.5) ? Self.server : [UInt8](repeating: 255, count: 6)
        return target + Self.attacker + [8, 6] + packet + bytes(entropy.next(below: 19))
    }

    private mutating func echo() -> [UInt8] {
        var message: [UInt8] = [entropy.chance(0.7) ? 8 : UInt8(entropy.next(below: 20)), 0, 0, 0] + bytes(4)
        message += bytes(entropy.next(below: 1472))
        return entropy.chance(0.8) ? Self.sealed(message, at: 2) : message
    }

    private mutating func tcp() -> [UInt8] {
        let from = source()
        let port: UInt16 = entropy.chance(0.9) ? SimulatedServer.port : UInt16(truncatingIfNeeded: entropy.next())
        let optionWords = entropy.chance(0.5) ? 0 : entropy.next(below: 11)
        let flags: UInt8 =
            entropy.chance(0.5)
            ? [2, 4, 16, 17, 24, 18, 20][entropy.next(below: 7)] : UInt8(truncatingIfNeeded: entropy.next())
        var segment =
            Self.big(from.port) + Self.big(port) + bytes(8) + [UInt8(5 + optionWords) << 4, flags] + bytes(2) + [
                0, 0, 0, 0,
            ]
        segment += options(optionWords * 4)
        if entropy.chance(0.1) { segment[12] = UInt8(truncatingIfNeeded: entropy.next()) }
        if entropy.chance(0.5) { segment += bytes(entropy.next(below: 1400)) }
        return datagram(from: from.address, protocol: 6, payload: segment)
    }

    /// Kinds that mean something, with lengths that may not.
    private mutating func options(_ count: Int) -> [UInt8] {
        var all: [UInt8] = []
        while all.count < count {
            let kind = UInt8(entropy.next(below: 10))
            all += [
                kind,
                entropy.chance(0.8) ? [0, 0, 4, 3, 2, 10, 0, 0, 10, 0][Int(kind)] : UInt8(entropy.next(below: 45)),
            ]
            all += bytes(entropy.next(below: 9))
        }
        return Array(all.prefix(count))
    }

    private mutating func datagram(from: UInt8? = nil, protocol number: UInt8, payload: [UInt8]) -> [UInt8] {
        let sender = from ?? source().address
        let destination: [UInt8] = [10, 0, 0, entropy.chance(0.97) ? 1 : 77]
        var payload = payload
        if number == 6 && payload.count >= 20 && !entropy.chance(0.03) {
            payload = Self.sealed(
                payload, at: 16, pseudo: [10, 0, 0, sender] + destination + [0, 6] + Self.big(UInt16(payload.count)))
        }
        payload = Array(payload.prefix(1480))
        var header: [UInt8] = [0x45, 0] + Self.big(UInt16(20 + payload.count)) + bytes(2) + [0, 0, 64, number, 0, 0]
        header += [10, 0, 0, sender] + destination
        if entropy.chance(0.05) { header[6] = UInt8(truncatingIfNeeded: entropy.next()) }
        if entropy.chance(0.05) { header[entropy.next(below: 4)] = UInt8(truncatingIfNeeded: entropy.next()) }
        if entropy.chance(0.9) { header = Self.sealed(header, at: 10) }
        if entropy.chance(0.02) { header[10] ^= 1 }
        return Self.server + Self.attacker + [8, 0] + header + payload
    }

    static func big(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 255)] }

    /// With the right checksum in the field at `place`.
    static func sealed(_ bytes: [UInt8], at place: Int, pseudo: [UInt8] = []) -> [UInt8] {
        var bytes = bytes
        bytes[place] = 0
        bytes[place + 1] = 0
        var sum: UInt32 = 0
        for part in [pseudo, bytes] {
            for (index, byte) in part.enumerated() { sum &+= index % 2 == 0 ? UInt32(byte) << 8 : UInt32(byte) }
        }
        while sum >> 16 != 0 { sum = (sum & 0xFFFF) + (sum >> 16) }
        bytes[place] = UInt8(~sum >> 8 & 255)
        bytes[place + 1] = UInt8(~sum & 255)
        return bytes
    }

    /// Changes a TCP frame somewhere behind Ethernet, and puts its checksums right again.
    mutating func mutate(_ frame: inout [UInt8]) {
        guard frame.count >= 54, frame[12] == 8, frame[13] == 0, frame[14] == 0x45, frame[23] == 6 else { return }
        for _ in 0..<(1 + entropy.next(below: 3)) {
            // Flags, offsets and windows more often than text.
            let place = entropy.chance(0.7) ? 38 + entropy.next(below: 16) : 38 + entropy.next(below: frame.count - 38)
            frame[place] ^= UInt8(1 << entropy.next(below: 8))
        }
        if entropy.chance(0.1) { frame.removeLast(entropy.next(below: frame.count - 54 + 1)) }
        let total = UInt16(frame.count - 14)
        frame.replaceSubrange(16..<18, with: Self.big(total))
        let header = Self.sealed(Array(frame[14..<34]), at: 10)
        let pseudo = Array(header[12..<20]) + [0, 6] + Self.big(total - 20)
        frame = Array(frame[0..<14]) + header + Self.sealed(Array(frame[34...]), at: 16, pseudo: pseudo)
    }
}
