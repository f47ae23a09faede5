import Runtime
import Testing

@testable import Net

@Suite struct IPv4 {
    /// An echo request with `text`, as a frame; `change` works on the IPv4 header before its checksum is written.
    private func echo(
        _ text: [UInt8], options: [UInt8] = [], _ change: (UnsafeMutableRawPointer) -> Void = { _ in }
    ) -> [UInt8] {
        let header = 20 + options.count
        var bytes = [UInt8](repeating: 0, count: 14 + header + 8 + text.count)
        let total = header + 8 + text.count
        bytes.withUnsafeMutableBytes {
            let p = $0.baseAddress!
            Ethernet.write(
                p, destinationRaw: Ethernet.raw(Conversation.localMAC),
                sourceRaw: Ethernet.raw(Conversation.remoteMAC), type: EtherType.ipv4)
            let ip = p + 14
            ip.put8(0x40 | UInt8(header / 4), 0)
            ip.putBig16(UInt16(total), 2)
            ip.put8(64, 8)
            ip.put8(1, 9)
            ip.putBig32(Conversation.remoteAddress.bits, 12)
            ip.putBig32(Conversation.localAddress.bits, 16)
            for (index, byte) in options.enumerated() { ip.put8(byte, 20 + index) }
            change(ip)
            ip.putRaw16(InternetChecksum.finish(InternetChecksum.sum(ip, header)), 10)
            let icmp = ip + header
            icmp.put8(8, 0)
            icmp.putBig16(0x1234, 4)
            icmp.putBig16(7, 6)
            for (index, byte) in text.enumerated() { icmp.put8(byte, 8 + index) }
            icmp.putRaw16(InternetChecksum.finish(InternetChecksum.sum(icmp, 8 + text.count)), 2)
        }
        return bytes
    }

    private func plainSum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        var total: UInt32 = 0
        for (index, byte) in bytes.enumerated() { total += index % 2 == 0 ? UInt32(byte) << 8 : UInt32(byte) }
        while total > 0xFFFF { total = total & 0xFFFF + total >> 16 }
        return total
    }

    @Test(arguments: [0, 1, 2, 3, 17, 56, 1_000, 1_471, 1_472]) func echoOfAnySize(_ size: Int) {
        let t = Conversation()
        t.input(echo(ramp(size)))
        let reply = t.frame()!
        #expect(reply.count == 14 + 28 + size)
        #expect(reply[0..<6].elementsEqual([2, 0, 0, 0, 0, 2]) && reply[6..<12].elementsEqual([2, 0, 0, 0, 0, 1]))
        #expect(reply[26..<30].elementsEqual([10, 0, 0, 1]) && reply[30..<34].elementsEqual([10, 0, 0, 2]))
        #expect(reply[34] == 0 && reply[38..<42].elementsEqual([0x12, 0x34, 0, 7]))
        #expect(Array(reply[42...]) == ramp(size))
        #expect(plainSum(reply[14..<34]) == 0xFFFF)
        #expect(plainSum(reply[34...]) == 0xFFFF)
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test func optionsAreSkipped() {
        let t = Conversation()
        t.input(echo(ramp(10), options: [1, 1, 1, 0, 0, 0, 0, 0]))
        let reply = t.frame()!
        #expect(reply[14] == 0x45 && reply.count == 14 + 28 + 10)
        #expect(Array(reply[42...]) == ramp(10))
    }

    @Test func reasonsAreCounted() {
        let t = Conversation()
        t.input(echo([]) { $0.put8(0x65, 0) })
        t.input(echo([]) { $0.put8(0x44, 0) })
        t.input(echo([]) { $0.put8(0x4F, 0) })
        t.input(echo([]) { $0.putBig16(19, 2) })
        t.input(echo([]) { $0.putBig16(29, 2) })
        #expect(t.stack.statistics.ipv4Malformed == 5)
        t.input(echo([]) { $0.putBig16(0x2000, 6) })
        t.input(echo([]) { $0.putBig16(0x0002, 6) })
        #expect(t.stack.statistics.ipv4Fragments == 2)
        t.input(echo([]) { $0.put8(99, 19) })
        #expect(t.stack.statistics.ipv4NotForUs == 1)
        for first in [0, 127, 224, 255] { t.input(echo([]) { $0.put8(UInt8(first), 12) }) }
        t.input(echo([]) { $0.putBig32(Conversation.localAddress.bits, 12) })
        #expect(t.stack.statistics.ipv4BadSource == 5)
        t.input(echo([]) { $0.put8(17, 9) })
        #expect(t.stack.statistics.ipv4UnknownProtocol == 1)
        #expect(SentMessage(t.frame())?.code == 3)
        var bad = echo([])
        bad[24] ^= 1
        t.input(bad)
        #expect(t.stack.statistics.ipv4BadChecksum == 1)
        bad = echo([1, 2, 3])
        bad[43] ^= 1
        t.input(bad)
        #expect(t.stack.statistics.icmpBadChecksum == 1)
        #expect(t.frame() == nil)
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test func ethernetReasonsAreCounted() {
        let t = Conversation()
        t.input(Array(echo([])[..<14]), [])
        #expect(t.stack.statistics.ethernetTruncated == 2)
        var frame = echo([])
        frame[5] = 9
        t.input(frame)
        #expect(t.stack.statistics.ethernetNotForUs == 1)
        frame = echo([])
        frame[12] = 0x86
        t.input(frame)
        #expect(t.stack.statistics.ethernetUnknownType == 1)
    }

    @Test func paddingIsNotText() {
        let t = Conversation()
        t.establish()
        t.input(t.segment(.ack, seq: 1, ack: 1, [65]) + [0xFF, 0xFF, 0xFF, 0xFF, 0xFF])
        #expect(t.read() == [65])
    }

    @Test func badTCPIsCounted() {
        let t = Conversation()
        t.establish()
        var frame = t.segment(.ack, seq: 1, ack: 1, [65, 66])
        frame[55] ^= 4
        t.input(frame)
        #expect(t.stack.statistics.tcpBadChecksum == 1)
        frame = t.segment(.ack, seq: 1, ack: 1)
        frame[46] = 0x40
        t.input(frame)
        frame[46] = 0x60
        t.input(frame)
        #expect(t.stack.statistics.tcpMalformed == 2)
        #expect(t.read().isEmpty)
    }

    @Test(arguments: 0..<8) func checksumEqualsTheDefinition(_ seed: UInt64) {
        var entropy = Entropy(seed: seed)
        for _ in 0..<200 {
            let bytes = (0..<entropy.next(below: 200)).map { _ in UInt8(truncatingIfNeeded: entropy.next()) }
            let offset = min(bytes.count, entropy.next(below: 4))
            let expected = plainSum(bytes[offset...])
            let sum = bytes.withUnsafeBytes {
                bytes.isEmpty ? 0 : InternetChecksum.sum($0.baseAddress! + offset, bytes.count - offset)
            }
            let folded = UInt32(InternetChecksum.fold(sum).byteSwapped)
            // Zero has two representations.
            #expect(folded == expected || folded % 0xFFFF == expected % 0xFFFF)
        }
    }
}
