import Runtime
import Testing

@testable import Net

/// Segments for CLOSED and LISTEN: RFC 9293 3.10.7.1 and 3.10.7.2. CLOSED is a port that nobody listens on.
@Suite struct StateNone {
    private func conversation(listening: Bool) -> Conversation {
        let t = Conversation()
        if !listening { t.stack.stopListening(port: t.localPort) }
        return t
    }

    /// First: a RST is dropped, in both.
    @Test(arguments: [true, false], [TCPFlags.rst, [.rst, .ack], [.rst, .syn], [.rst, .fin], [.rst, .syn, .ack]])
    func reset(listening: Bool, flags: TCPFlags) {
        let t = conversation(listening: listening)
        t.send(flags, seq: 5, ack: 9, [1, 2])
        t.expectNothing()
        #expect(t.stack.controlBlocks == 0)
    }

    /// An ACK of something: <SEQ=SEG.ACK><CTL=RST>, in both, whatever else the segment is.
    @Test(
        arguments: [true, false],
        [TCPFlags.ack, [.syn, .ack], [.fin, .ack], [.ack, .psh], [.ack, .urg], [.syn, .fin, .ack]])
    func acknowledgement(listening: Bool, flags: TCPFlags) {
        let t = conversation(listening: listening)
        t.send(flags, seq: 5, ack: 900, [1, 2])
        t.expect(.rst, seq: 900)
        t.expectNothing()
        #expect(t.stack.controlBlocks == 0)
    }

    /// CLOSED: <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>; SYN and FIN count in the length.
    @Test(arguments: zip([TCPFlags.syn, .fin, [], .psh, [.syn, .fin]], [8, 8, 7, 7, 9]))
    func closedWithoutAck(flags: TCPFlags, end: Int) {
        let t = conversation(listening: false)
        t.send(flags, seq: 5, [1, 2])
        t.expect([.rst, .ack], seq: 0, ack: end)
        #expect(t.stack.controlBlocks == 0)
    }

    @Test func listenWithSyn() {
        let t = conversation(listening: true)
        t.send(.syn, seq: 0)
        t.localISS = t.next()!.sequence
        #expect(t.stack.controlBlocks == 1)
        #expect(t.stack.nextEvent() == nil)
    }

    /// Text on a SYN is not kept: the SYN,ACK acknowledges the SYN alone, and the peer sends it again.
    @Test func listenWithSynAndText() {
        let t = conversation(listening: true)
        t.send(.syn, seq: 0, Array("early".utf8))
        let answer = t.next()!
        #expect(answer.flags == [.syn, .ack])
        #expect(answer.acknowledgement == t.remoteISS &+ 1)
        t.localISS = answer.sequence
        t.send(.ack, seq: 1, ack: 1, Array("early".utf8))
        t.connection = t.stack.nextEvent()
        #expect(t.read() == Array("early".utf8))
    }

    /// Neither SYN, RST nor ACK: LISTEN drops it, says the RFC ("this should not be reached"); there is no connection, so
    /// a RST is right as well (docs/tcp.md).
    @Test(arguments: [TCPFlags([]), .fin, .psh, .urg])
    func listenWithNothingOfUse(flags: TCPFlags) {
        let t = conversation(listening: true)
        t.send(flags, seq: 5, [1, 2])
        if let answer = t.next() { #expect(answer.flags == [.rst, .ack]) }
        #expect(t.stack.controlBlocks == 0)
    }

    @Test(arguments: [true, false])
    func nothingIsLeft(listening: Bool) {
        let t = conversation(listening: listening)
        for flags in 0..<64 { t.send(TCPFlags(rawValue: UInt8(flags)), seq: 5, ack: 7, [1]) }
        while t.next() != nil {}
        t.wait(.seconds(400))
        while t.next() != nil {}
        #expect(t.stack.controlBlocks == 0)
        #expect(t.pool.freeCount == t.pool.count)
    }
}
