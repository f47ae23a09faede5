import Runtime
import Testing

@testable import Net

/// Explicit congestion notification (RFC 3168 6.1).
@Suite struct ECNConversations {
    private let capable: UInt8 = 2
    private let congested: UInt8 = 3

    /// The remote asks for ECN and gets it.
    private func capablePeer(timestamps: Bool = false) -> Conversation {
        let t = Conversation { $0.timestamps = timestamps }
        if timestamps { t.timestamp = 1_000 }
        t.send([.syn, .ece, .cwr], seq: 0, options: Conversation.mss(1460), window: 65_535)
        let answer = t.next()
        #expect(answer?.flags == [.syn, .ack, .ece])
        #expect(answer?.typeOfService == 0)
        t.localISS = answer?.sequence ?? 0
        if timestamps { t.timestampEcho = answer?.timestamps?.value ?? 0 }
        t.send(.ack, seq: 1, ack: 1)
        t.connection = t.stack.nextEvent()
        _ = t.stack.takeEvents(t.connection)
        return t
    }

    // MARK: agreement

    @Test func anOrdinarySynGetsAnOrdinaryAnswer() {
        let t = Conversation()
        t.send(.syn, seq: 0)
        #expect(t.next()?.flags == [.syn, .ack])
    }

    /// RFC 3168 6.1.1: one of the two bits is no ECN-setup SYN.
    @Test(arguments: [TCPFlags.ece, .cwr]) func oneBitIsNoOffer(_ bit: TCPFlags) {
        let t = Conversation()
        t.send([.syn, bit], seq: 0)
        #expect(t.next()?.flags == [.syn, .ack])
    }

    @Test func turnedOffItIsNotAgreedOn() {
        let t = Conversation { $0.ecn = .off }
        t.send([.syn, .ece, .cwr], seq: 0)
        #expect(t.next()?.flags == [.syn, .ack])
    }

    /// RFC 3168 6.1.1.1: a peer whose first SYN was lost tries without.
    @Test func aSecondSynWithoutECNTakesItBack() {
        let t = Conversation()
        t.send([.syn, .ece, .cwr], seq: 0)
        #expect(t.next()?.flags == [.syn, .ack, .ece])
        t.send(.syn, seq: 0)
        let answer = t.next()
        #expect(answer?.flags == [.syn, .ack])
        t.localISS = answer?.sequence ?? 0
        t.send(.ack, seq: 1, ack: 1)
        t.connection = t.stack.nextEvent()
        t.write("x")
        #expect(t.next()?.typeOfService == 0)
    }

    @Test func activeOpensDoNotAskByDefault() {
        let t = Conversation()
        #expect(t.connect().flags == .syn)
        // An answer that agrees to what nobody asked for.
        t.send([.syn, .ack, .ece], seq: 0, ack: 1)
        t.expect(.ack, seq: 1, ack: 1)
        t.write("x")
        #expect(t.next()?.typeOfService == 0)
    }

    @Test func activeOpensAskWhenTold() {
        let t = Conversation { $0.ecn = .offer }
        #expect(t.connect().flags == [.syn, .ece, .cwr])
        t.send([.syn, .ack, .ece], seq: 0, ack: 1, [], options: Conversation.mss(1460))
        t.expect(.ack, seq: 1, ack: 1)
        t.write("x")
        #expect(t.next()?.typeOfService == capable)
    }

    /// A SYN,ACK with both bits comes from a stack that mirrors reserved bits; one with none from a stack without ECN.
    @Test(arguments: [[], [.ece, .cwr], .cwr] as [TCPFlags]) func otherAnswersAreNoAgreement(_ bits: TCPFlags) {
        let t = Conversation { $0.ecn = .offer }
        t.connect()
        t.send(bits.union([.syn, .ack]), seq: 0, ack: 1)
        t.expect(.ack, seq: 1, ack: 1)
        t.write("x")
        #expect(t.next()?.typeOfService == 0)
    }

    /// RFC 3168 6.1.1.1: a host that sent one SYN without ECN does not use it.
    @Test func aLostSynIsRepeatedWithoutECN() {
        let t = Conversation { $0.ecn = .offer }
        t.connect()
        t.wait(.milliseconds(1_100))
        t.expect(.syn, seq: 0)
        t.send([.syn, .ack, .ece], seq: 0, ack: 1)
        t.expect(.ack, seq: 1, ack: 1)
        t.write("x")
        #expect(t.next()?.typeOfService == 0)
    }

    @Test func simultaneousOpensAgreeToo() {
        let t = Conversation { $0.ecn = .offer }
        t.connect()
        t.send([.syn, .ece, .cwr], seq: 0)
        #expect(t.next()?.flags == [.syn, .ack, .ece])
        t.send([.syn, .ack, .ece], seq: 0, ack: 1)
        while t.next() != nil {}
        t.write("x")
        #expect(t.next()?.typeOfService == capable)
    }

    // MARK: what is ECT

    @Test(arguments: [false, true]) func onlyNewTextIsCapable(_ timestamps: Bool) {
        let t = capablePeer(timestamps: timestamps)
        t.write("abc")
        #expect(t.expect(.ack, seq: 1)?.typeOfService == capable)
        // Its repetition is not; the next new text of the same length is again.
        t.wait(.milliseconds(250))
        let again = t.expect(.ack, seq: 1)
        #expect(again?.typeOfService == 0)
        t.send(.ack, seq: 1, ack: 4)
        t.write("def")
        #expect(t.expect([.ack, .cwr], seq: 4)?.typeOfService == capable)
        t.send(.ack, seq: 1, ack: 7)
        // An ACK is not, nor is FIN.
        t.send(.ack, seq: 1, ack: 7, "q")
        t.wait(.milliseconds(100))
        #expect(t.expect(.ack, seq: 7, ack: 2)?.typeOfService == 0)
        t.stack.shutdown(t.connection)
        t.turn()
        #expect(t.expect([.fin, .ack], seq: 7)?.typeOfService == 0)
    }

    /// RFC 3168 6.1.6.
    @Test func windowProbesAreNotCapable() {
        let t = capablePeer()
        t.send(.ack, seq: 1, ack: 1, window: 0)
        t.write("abc")
        t.wait(.seconds(3))
        let probe = t.next()
        #expect(probe?.text.isEmpty == false)
        #expect(probe?.typeOfService == 0)
    }

    // MARK: the receiver

    /// RFC 3168 6.1.3: ECE on every ACK from the mark until CWR.
    @Test(arguments: [false, true]) func marksAreEchoedUntilTheyAreHeard(_ timestamps: Bool) {
        let t = capablePeer(timestamps: timestamps)
        t.typeOfService = congested
        t.send(.ack, seq: 1, ack: 1, "a")
        // At once, and on text as well as on ACKs.
        t.expect([.ack, .ece], seq: 1, ack: 2)
        t.typeOfService = capable
        t.send(.ack, seq: 2, ack: 1, "b")
        t.write("reply")
        t.expect([.ack, .ece], seq: 1, ack: 3, Array("reply".utf8))
        t.send(.ack, seq: 3, ack: 6, "c")
        t.write("reply")
        t.expect([.ack, .ece], seq: 6, ack: 4, Array("reply".utf8))
        t.send([.ack, .cwr], seq: 4, ack: 11, "d")
        t.write("reply")
        t.expect(.ack, seq: 11, ack: 5, Array("reply".utf8))
        // A mark on the segment with CWR is a new one.
        t.typeOfService = congested
        t.send([.ack, .cwr], seq: 5, ack: 16, "e")
        t.expect([.ack, .ece], seq: 16, ack: 6)
        #expect(t.stack.statistics.tcpCongestionMarks == 2)
    }

    /// SACK blocks and ECE together.
    @Test func echoesRideOnSelectiveAcks() {
        let t = Conversation()
        t.send([.syn, .ece, .cwr], seq: 0, options: Conversation.mss(1460) + [4, 2], window: 65_535)
        t.localISS = t.next()?.sequence ?? 0
        t.send(.ack, seq: 1, ack: 1)
        t.connection = t.stack.nextEvent()
        t.typeOfService = congested
        t.send(.ack, seq: 11, ack: 1, "later")
        t.typeOfService = 0
        var last = t.next()
        while let more = t.next() { last = more }
        #expect(last?.flags.contains(.ece) == true)
        t.send(.ack, seq: 21, ack: 1, "later")
        let answer = t.next()
        #expect(answer?.flags == [.ack, .ece])
        #expect(answer?.sackBlocks.isEmpty == false)
    }

    /// Without agreement a mark means nothing (and its segment is served as any other).
    @Test func marksWithoutAgreementAreIgnored() {
        let t = Conversation()
        t.establish()
        t.typeOfService = congested
        t.send(.ack, seq: 1, ack: 1, "a")
        t.wait(.milliseconds(100))
        t.expect(.ack, seq: 1, ack: 2)
        #expect(t.read() == Array("a".utf8))
        #expect(t.stack.statistics.tcpCongestionMarks == 0)
    }

    /// RFC 3168 6.1.5: a mark on what is outside the window does not count.
    @Test func marksOutsideTheWindowAreIgnored() {
        let t = capablePeer()
        t.send(.ack, seq: 1, ack: 1, "a")
        t.wait(.milliseconds(100))
        t.expect(.ack, seq: 1, ack: 2)
        t.typeOfService = congested
        t.send(.ack, seq: 1, ack: 1, "a")
        t.expect(.ack, seq: 1, ack: 2)
    }

    // MARK: the sender

    private var block: (Conversation) -> Block { { $0.connection.block } }

    /// RFC 3168 6.1.2: one reduction a window, told by CWR on the next new text.
    @Test func echoesReduceTheWindowOnceAWindow() {
        let t = capablePeer()
        t.write(ramp(20 * 1460))
        for index in 0..<10 { t.expect(.ack, seq: 1 + index * 1460) }
        let before = block(t).pointee.cwnd
        t.send([.ack, .ece], seq: 1, ack: 1461)
        let after = block(t).pointee.cwnd
        #expect(after == before / 10 * 7)
        #expect(t.stack.statistics.tcpEcnReductions == 1)
        t.expectNothing()
        // More echoes of the same window.
        for index in 2...9 { t.send([.ack, .ece], seq: 1, ack: 1 + index * 1460) }
        #expect(block(t).pointee.cwnd == after)
        #expect(t.stack.statistics.tcpEcnReductions == 1)
        let first = t.next()
        #expect(first?.flags.subtracting(.psh) == [.ack, .cwr])
        #expect(first?.typeOfService == capable)
        // Only the first.
        while let more = t.next() { #expect(!more.flags.contains(.cwr)) }
        // The window of the reduction is over: another echo counts.
        let end = 1 + 11 * 1460
        t.send(.ack, seq: 1, ack: end)
        t.write(ramp(1460))
        t.send([.ack, .ece], seq: 1, ack: end + 1460)
        #expect(t.stack.statistics.tcpEcnReductions == 2)
    }

    @Test func anEchoWithNothingInFlightIsIgnored() {
        let t = capablePeer()
        t.send([.ack, .ece], seq: 1, ack: 1)
        #expect(t.stack.statistics.tcpEcnReductions == 0)
    }

    @Test func anEchoWithoutAgreementIsIgnored() {
        let t = Conversation()
        t.establish()
        t.write("x")
        _ = t.next()
        t.send([.ack, .ece], seq: 1, ack: 2)
        #expect(t.stack.statistics.tcpEcnReductions == 0)
    }

    /// A timeout has reduced the window for what is in flight: an echo of it says nothing new.
    @Test func anEchoAfterATimeoutIsNoSecondReduction() {
        let t = capablePeer()
        t.write(ramp(10 * 1460))
        while t.next() != nil {}
        t.wait(.milliseconds(250))
        let threshold = block(t).pointee.ssthresh
        #expect(block(t).pointee.cwnd == 1460)
        t.send([.ack, .ece], seq: 1, ack: 1461)
        #expect(t.stack.statistics.tcpEcnReductions == 0)
        #expect(block(t).pointee.ssthresh == threshold)
    }

    /// RFC 3168 6.1.2: CWR also after a reduction because of loss.
    @Test func aTimeoutIsToldByCWR() {
        let t = capablePeer()
        t.write("x")
        t.expect(.ack, seq: 1)
        t.wait(.milliseconds(250))
        t.expect(.ack, seq: 1)
        t.send(.ack, seq: 1, ack: 2)
        t.write("y")
        #expect(t.next()?.flags == [.ack, .psh, .cwr])
    }

    /// A small reply with an echo of an earlier one takes the long way and says CWR.
    @Test func smallRepliesSayCWRToo() {
        let t = capablePeer(timestamps: true)
        t.write("one")
        t.expect(.ack, seq: 1)
        t.send([.ack, .ece], seq: 1, ack: 4, "q")
        t.write("two")
        t.expect([.ack, .cwr], seq: 4, ack: 2)
        t.send(.ack, seq: 2, ack: 7, "q")
        t.write("three")
        t.expect(.ack, seq: 7, ack: 3)
        #expect(t.stack.statistics.tcpEcnReductions == 1)
    }
}
