import Runtime

@testable import Net

/// IPv4 datagrams as the remote host makes them, byte by byte.
enum Datagrams {
    /// A frame with an IPv4 datagram, or a fragment of one.
    static func frame(
        _ payload: [UInt8], protocol number: UInt8, id: UInt16 = 0, offset: Int = 0, more: Bool = false,
        source: IPv4Address = Conversation.remoteAddress, options: [UInt8] = [], service: UInt8 = 0
    ) -> [UInt8] {
        let header = 20 + options.count
        var bytes = [UInt8](repeating: 0, count: 14 + header + payload.count)
        bytes.withUnsafeMutableBytes {
            let p = $0.baseAddress!
            Ethernet.write(
                p, destinationRaw: Ethernet.raw(Conversation.localMAC),
                sourceRaw: Ethernet.raw(Conversation.remoteMAC), type: EtherType.ipv4)
            let ip = p + 14
            ip.put8(0x40 | UInt8(header / 4), 0)
            ip.put8(service, 1)
            ip.putBig16(UInt16(header + payload.count), 2)
            ip.putBig16(id, 4)
            ip.putBig16((more ? 0x2000 : 0) | UInt16(offset / 8), 6)
            ip.put8(64, 8)
            ip.put8(number, 9)
            ip.putBig32(source.bits, 12)
            ip.putBig32(Conversation.localAddress.bits, 16)
            for (index, byte) in options.enumerated() { ip.put8(byte, 20 + index) }
            ip.putRaw16(InternetChecksum.finish(InternetChecksum.sum(ip, header)), 10)
            for (index, byte) in payload.enumerated() { ip.put8(byte, header + index) }
        }
        return bytes
    }

    /// The fragments of a payload, `size` bytes each (a multiple of 8).
    static func fragments(
        _ payload: [UInt8], protocol number: UInt8, id: UInt16, size: Int,
        source: IPv4Address = Conversation.remoteAddress
    ) -> [[UInt8]] {
        stride(from: 0, to: payload.count, by: size).map {
            frame(
                Array(payload[$0..<min($0 + size, payload.count)]), protocol: number, id: id, offset: $0,
                more: $0 + size < payload.count, source: source)
        }
    }

    /// What is behind the IPv4 header of a frame without options.
    static func payload(_ frame: [UInt8]) -> [UInt8] {
        Array(frame[34..<(14 + Int(frame[16]) << 8 + Int(frame[17]))])
    }

    /// An ICMP message with its checksum; `rest` are bytes 4 to 7.
    static func message(_ type: UInt8, _ code: UInt8, rest: [UInt8] = [0, 0, 0, 0], _ data: [UInt8]) -> [UInt8] {
        var bytes = [type, code, 0, 0] + rest + data
        let sum = plainSum(bytes[...]) ^ 0xFFFF
        bytes[2] = UInt8(sum >> 8)
        bytes[3] = UInt8(sum & 255)
        return bytes
    }

    /// RFC 1071 by the definition.
    static func plainSum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        var total: UInt32 = 0
        for (index, byte) in bytes.enumerated() { total += index % 2 == 0 ? UInt32(byte) << 8 : UInt32(byte) }
        while total > 0xFFFF { total = total & 0xFFFF + total >> 16 }
        return total
    }
}

/// One of ours that came back: what an ICMP message told.
struct SentMessage {
    let type: UInt8
    let code: UInt8
    let destination: [UInt8]
    /// Behind the first eight bytes.
    let data: [UInt8]

    /// nil when the frame is not ICMP in one piece with a right checksum.
    init?(_ frame: [UInt8]?) {
        guard let frame, frame.count >= 42, frame[12] == 8, frame[13] == 0, frame[23] == 1 else { return nil }
        let payload = Datagrams.payload(frame)
        guard Datagrams.plainSum(payload[...]) == 0xFFFF, Datagrams.plainSum(frame[14..<34]) == 0xFFFF else {
            return nil
        }
        type = payload[0]
        code = payload[1]
        destination = Array(frame[30..<34])
        data = Array(payload[8...])
    }
}
