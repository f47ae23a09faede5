import Runtime
import Testing

@testable import Net

/// ICMP errors in both directions (RFC 1122 3.2.2, RFC 5927).
@Suite struct ICMPErrors {
    /// An error that quotes a segment of ours: IPv4 header and eight bytes, as routers do.
    static func error(
        _ type: UInt8, _ code: UInt8, about segment: SentSegment, mtu: Int = 0, sequence: UInt32? = nil,
        total: Int? = nil
    ) -> [UInt8] {
        var quoted = Array(segment.bytes[14..<42])
        if let sequence { for index in 0..<4 { quoted[24 + index] = UInt8(sequence >> (24 - 8 * index) & 255) } }
        if let total { (quoted[2], quoted[3]) = (UInt8(total >> 8), UInt8(total & 255)) }
        return Datagrams.frame(
            Datagrams.message(type, code, rest: [0, 0, UInt8(mtu >> 8), UInt8(mtu & 255)], quoted), protocol: 1)
    }

    // MARK: in

    /// RFC 5927 5: nothing ends a connection that is established.
    @Test(arguments: [(3, 0), (3, 1), (3, 2), (3, 3), (3, 5), (3, 13), (11, 0), (11, 1), (12, 0)])
    func errorsAreSoft(_ type: UInt8, _ code: UInt8) {
        let t = Conversation()
        t.establish()
        t.write("hello")
        let segment = t.next()!
        t.input(Self.error(type, code, about: segment))
        #expect(t.stack.statistics.icmpSoftErrors == 1)
        #expect(t.events().isEmpty)
        t.wait(.milliseconds(250))
        t.expect(.ack, seq: 1, ack: 1, Array("hello".utf8))
        t.send(.ack, seq: 1, ack: 6)
        #expect(t.pool.freeCount == t.pool.count)
    }

    /// RFC 6633.
    @Test func sourceQuenchIsIgnored() {
        let t = Conversation()
        t.establish()
        t.write("hello")
        let before = t.connection.block.pointee.cwnd
        t.input(Self.error(4, 0, about: t.next()!))
        #expect(t.connection.block.pointee.cwnd == before)
        #expect(t.stack.statistics.icmpSourceQuenches == 1)
    }

    /// RFC 1122 4.2.3.9: an open that nobody answers otherwise ends; a host that is unreachable now is tried again.
    @Test func hardErrorsEndAnOpen() {
        let t = Conversation()
        let syn = t.connect()
        t.input(Self.error(3, 1, about: syn))
        #expect(t.stack.statistics.icmpSoftErrors == 1 && t.events().isEmpty)
        t.input(Self.error(3, 3, about: syn, sequence: syn.sequence &+ 1))
        #expect(t.stack.statistics.icmpErrorsImplausible == 1 && t.events().isEmpty)
        t.input(Self.error(3, 3, about: syn))
        #expect(t.stack.statistics.icmpHardErrors == 1)
        #expect(t.events() == .closed)
        t.stack.free(t.connection)
        #expect(t.stack.controlBlocks == 0)
    }

    /// RFC 5927 4.1: only what is in flight may be quoted.
    @Test func othersAreNotBelieved() {
        let t = Conversation()
        t.establish()
        t.write("hello")
        let segment = t.next()!
        for sequence in [t.localISS, t.localISS &+ 6, t.localISS &+ 70_000, t.localISS &- 1] {
            t.input(Self.error(3, 4, about: segment, mtu: 600, sequence: sequence))
        }
        #expect(t.stack.statistics.icmpErrorsImplausible == 4)
        var frame = Self.error(3, 4, about: segment)
        // Of somebody else's datagram, another protocol, a fragment that is not the first, cut short: by the quoted bytes.
        func change(_ offset: Int, _ value: UInt8) {
            var message = Array(frame[34...])
            message[8 + offset] = value
            let fixed = Datagrams.message(message[0], message[1], rest: Array(message[4..<8]), Array(message[8...]))
            t.input(Datagrams.frame(fixed, protocol: 1))
        }
        change(12, 11)
        change(9, 17)
        change(7, 1)
        change(0, 0x46)
        change(0, 0x44)
        change(0, 0x65)
        change(16, 11)
        change(23, 0)
        frame = Datagrams.frame(Datagrams.message(3, 4, Array(frame[42..<60])), protocol: 1)
        t.input(frame)
        #expect(t.stack.statistics.icmpErrorsUnrelated == 9)
        #expect(t.frame() == nil)
        #expect(t.connection.block.pointee.mss == 1_460)
    }

    /// With many shards, the quoted flow may be another one's.
    @Test func unknownFlowsAreHandedOn() {
        let t = Conversation { $0.strayHandling = true }
        t.establish()
        t.write("hello")
        let segment = t.next()!
        while let d = t.stack.strays.pop() { t.pool.release(d.frame) }
        t.input(Self.error(3, 4, about: segment, mtu: 1_400))
        #expect(t.stack.strays.isEmpty)
        t.send(.rst, seq: 1)
        t.input(Self.error(3, 4, about: segment, mtu: 1_400))
        #expect(t.stack.strays.count == 1)
        #expect(t.stack.statistics.icmpErrorsUnrelated == 0)
    }

    // MARK: out

    @Test func protocolsAndPortsThatDoNotExist() {
        let t = Conversation()
        let udp = Datagrams.frame([0, 53, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4], protocol: 17, options: [1, 1, 1, 0])
        t.input(udp)
        let port = SentMessage(t.frame())
        #expect(port?.type == 3 && port?.code == 3 && port?.destination == [10, 0, 0, 2])
        #expect(port?.data == Array(udp[14...]))
        let sctp = Datagrams.frame(ramp(1_400), protocol: 132)
        t.input(sctp)
        let unknown = SentMessage(t.frame())
        #expect(unknown?.type == 3 && unknown?.code == 2)
        // 576 bytes at most.
        #expect(unknown?.data == Array(sctp[14..<14 + 548]))
        #expect(t.stack.statistics.icmpErrorsSent == 2 && t.stack.statistics.ipv4UnknownProtocol == 2)
        #expect(t.pool.freeCount == t.pool.count)
    }

    /// RFC 1122 3.2.2 and 3.3.6: never about fragments, broadcasts, or to an address that is no single host's.
    @Test func neverAboutThese() {
        let t = Conversation()
        t.input(Datagrams.frame(ramp(80), protocol: 17, id: 1, offset: 80))
        t.input(Datagrams.frame(ramp(80), protocol: 17, id: 1, more: true))
        var broadcast = Datagrams.frame(ramp(80), protocol: 17)
        for index in 0..<6 { broadcast[index] = 255 }
        t.input(broadcast)
        for last in [0, 255] as [UInt8] {
            t.input(Datagrams.frame(ramp(80), protocol: 17, source: IPv4Address(10, 0, 0, last)))
        }
        #expect(t.frame() == nil)
        #expect(t.stack.statistics.ipv4LinkBroadcasts == 1)
        #expect(t.stack.statistics.icmpErrorsSuppressed == 2)
    }

    /// Fifty at once, a hundred a second in the long run.
    @Test func rateIsBounded() {
        let t = Conversation()
        let udp = Datagrams.frame(ramp(8), protocol: 17)
        var sent = 0
        for _ in 0..<200 {
            t.input(udp)
            if t.frame() != nil { sent += 1 }
        }
        #expect(sent == 50)
        for _ in 0..<500 {
            t.wait(.milliseconds(1))
            t.input(udp)
            if t.frame() != nil { sent += 1 }
        }
        #expect((99...101).contains(sent))
        t.wait(.seconds(100))
        for _ in 0..<100 { t.input(udp) }
        #expect(t.stack.statistics.icmpErrorsSent <= 151)
    }
}
