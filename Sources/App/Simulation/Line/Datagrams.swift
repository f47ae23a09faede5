import Net

/// What routers do to IPv4 datagrams in Ethernet frames, and a plain checksum beside the stack's own.
enum Datagrams {
    private static let start = 14

    /// The frame carries a whole or partial IPv4 datagram.
    static func isIPv4(_ frame: [UInt8]) -> Bool { frame.count >= 34 && frame[12] == 8 && frame[13] == 0 }

    /// A frame in words.
    static func describe(_ frame: [UInt8]) -> String {
        guard isIPv4(frame), frame.count >= 54, frame[14] == 0x45, frame[23] == 6 else { return "\(frame.count) bytes" }
        func big(_ at: Int, _ count: Int) -> Int { frame[at..<at + count].reduce(0) { $0 << 8 | Int($1) } }
        let header = 34 + Int(frame[46] >> 4) * 4
        let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"]
        let flags = names.indices.filter { frame[47] >> UInt8($0) & 1 != 0 }.map { names[$0] }.joined(separator: ",")
        return "\(big(34, 2)) to \(big(36, 2)) \(flags) seq \(big(38, 4)) ack \(big(42, 4)) window \(big(48, 2)) "
            + "text \(14 + length(frame) - header) options \(frame[54..<min(header, frame.count)].map { $0 })"
    }

    /// Bytes of the datagram.
    static func length(_ frame: [UInt8]) -> Int { Int(frame[16]) << 8 | Int(frame[17]) }

    /// Congestion experienced, if the sender is capable of ECN (RFC 3168 5). False otherwise.
    static func mark(_ frame: inout [UInt8]) -> Bool {
        guard isIPv4(frame), frame[15] & 3 != 0 else { return false }
        frame[15] |= 3
        seal(&frame, at: start + 10, start..<start + headerLength(frame))
        return true
    }

    /// The datagram in pieces of at most `mtu` bytes, whether it allows it or not (RFC 791 3.2).
    static func fragments(_ frame: [UInt8], mtu: Int, identification: UInt16) -> [[UInt8]] {
        let header = headerLength(frame)
        let payload = Array(frame[start + header..<min(frame.count, start + length(frame))])
        let step = (mtu - header) / 8 * 8
        let offset = Int(frame[20] & 0x1F) << 8 | Int(frame[21])
        let more = frame[20] & 0x20 != 0
        return stride(from: 0, to: payload.count, by: step).map { at in
            let piece = payload[at..<min(at + step, payload.count)]
            var bytes = Array(frame[..<(start + header)])
            put(&bytes, at: 16, UInt16(header + piece.count))
            if offset == 0, !more { put(&bytes, at: 18, identification) }
            let flags: UInt16 = more || at + step < payload.count ? 0x2000 : 0
            put(&bytes, at: 20, flags | UInt16(offset + at / 8))
            seal(&bytes, at: start + 10, start..<start + header)
            return bytes + piece
        }
    }

    /// The router's answer to a datagram larger than the next link takes (RFC 1191 4), to the frame's sender.
    static func tooLarge(_ frame: [UInt8], mtu: Int) -> [UInt8] {
        let quoted = Array(frame[start..<min(frame.count, start + headerLength(frame) + 8)])
        var answer = Array(frame[6..<12]) + Array(frame[0..<6]) + [8, 0]
        answer += [0x45, 0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 254] + frame[26..<30]
        answer += [3, 4, 0, 0, 0, 0, 0, 0] + quoted
        put(&answer, at: 16, UInt16(answer.count - start))
        put(&answer, at: 40, UInt16(mtu))
        seal(&answer, at: start + 10, start..<start + 20)
        seal(&answer, at: start + 22, start + 20..<answer.count)
        return answer
    }

    private static func headerLength(_ frame: [UInt8]) -> Int { Int(frame[14] & 0xF) * 4 }

    private static func put(_ frame: inout [UInt8], at index: Int, _ value: UInt16) {
        frame[index] = UInt8(value >> 8)
        frame[index + 1] = UInt8(value & 255)
    }

    /// Puts the Internet checksum of `range` at `index` (RFC 1071).
    private static func seal(_ frame: inout [UInt8], at index: Int, _ range: Range<Int>) {
        put(&frame, at: index, 0)
        var sum: UInt32 = 0
        for at in range { sum += (at - range.lowerBound) % 2 == 0 ? UInt32(frame[at]) << 8 : UInt32(frame[at]) }
        while sum >> 16 != 0 { sum = sum & 0xFFFF + sum >> 16 }
        put(&frame, at: index, UInt16(truncatingIfNeeded: ~sum))
    }
}
