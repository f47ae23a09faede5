import Runtime
import Testing

@testable import Net

/// The states of RFC 9293 3.3.2 with a control block behind them. SYN-RECEIVED is two: it remembers how it was opened.
enum Start: CaseIterable, CustomTestStringConvertible {
    case synSent, synReceivedPassive, synReceivedActive, established, finWait1, finWait2, closeWait, closing, lastAck,
        timeWait

    var testDescription: String { "\(self)" }

    static let synReceived: [Start] = [.synReceivedPassive, .synReceivedActive]
    static let synchronized: [Start] = [
        .established, .finWait1, .finWait2, .closeWait, .closing, .lastAck, .timeWait,
    ]
    /// The peer has not sent FIN yet.
    static let receiving: [Start] = [.established, .finWait1, .finWait2]
    /// The peer has sent FIN.
    static let ended: [Start] = [.closeWait, .closing, .lastAck, .timeWait]
    /// Our FIN is sent and not acknowledged.
    static let finUnacknowledged: [Start] = [.finWait1, .closing, .lastAck]
}

/// A conversation that was brought to a state, with all frames and events so far taken. Numbers are relative, as in
/// `Conversation`.
struct Situation {
    let t: Conversation
    let start: Start
    /// RCV.NXT: what the remote sends next. In SYN-SENT what its SYN would have.
    let next: Int
    /// SND.UNA and SND.NXT.
    let una: Int
    let nxt: Int

    init(_ start: Start, _ change: (inout Stack.Configuration) -> Void = { _ in }) {
        let t = Conversation(change)
        self.t = t
        self.start = start
        var (next, una, nxt) = (1, 1, 1)
        switch start {
        case .synSent:
            t.connect()
            (next, una) = (0, 0)
        case .synReceivedPassive:
            t.send(.syn, seq: 0, options: Conversation.mss(1460), window: 65_535)
            t.localISS = t.next()!.sequence
            una = 0
        case .synReceivedActive:
            t.connect()
            t.send(.syn, seq: 0, options: Conversation.mss(1460), window: 65_535)
            una = 0
        case .established: t.establish()
        case .finWait1:
            Self.close(t)
            nxt = 2
        case .finWait2:
            Self.close(t)
            t.send(.ack, seq: 1, ack: 2)
            (una, nxt) = (2, 2)
        case .closeWait:
            t.establish()
            t.send([.ack, .fin], seq: 1, ack: 1)
            next = 2
        case .closing:
            Self.close(t)
            t.send([.ack, .fin], seq: 1, ack: 1)
            (next, nxt) = (2, 2)
        case .lastAck:
            t.establish()
            t.send([.ack, .fin], seq: 1, ack: 1)
            t.stack.shutdown(t.connection)
            t.turn()
            (next, nxt) = (2, 2)
        case .timeWait:
            Self.close(t)
            t.send([.ack, .fin], seq: 1, ack: 2)
            (next, una, nxt) = (2, 2, 2)
        }
        (self.next, self.una, self.nxt) = (next, una, nxt)
        while t.next() != nil {}
        if t.connection != nil, let c = t.stack.nextEvent() { _ = t.stack.takeEvents(c) }
        #expect(state == start.name, "the way to \(start) leads elsewhere")
    }

    private static func close(_ t: Conversation) {
        t.establish()
        t.stack.shutdown(t.connection)
        t.turn()
    }

    /// The state now; CLOSED when there is no block.
    var state: TCPState {
        let ports = UInt32(t.remotePort.bigEndian) | UInt32(t.localPort.bigEndian) << 16
        let key = ConnectionTable.key(remoteRaw: Conversation.remoteAddress.bits.bigEndian, portsRaw: ports)
        return t.stack.table.find(key)?.pointee.state ?? .closed
    }

    /// What the peer may send: RCV.WND.
    var window: Int { Int(t.stack.info(t.connection).receiveWindow) }

    // MARK: what is expected

    enum Answer {
        case nothing
        /// <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>
        case ack
        /// <SEQ=SEG.ACK><CTL=RST>
        case reset(Int)
        /// <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>
        case synAck
        /// The FIN again.
        case fin
    }

    /// What left since the last look, and the state that was reached. `received`: RCV.NXT then, when it has moved.
    func expect(
        _ answer: Answer, _ after: TCPState, received: Int? = nil, _ at: SourceLocation = #_sourceLocation
    ) {
        let next = received ?? self.next
        switch answer {
        case .nothing: break
        case .ack: t.expect(.ack, seq: nxt, ack: next, [], at)
        case .reset(let seq): t.expect(.rst, seq: seq, at)
        case .synAck: t.expect([.syn, .ack], seq: 0, ack: 1, [], at)
        case .fin: t.expect([.fin, .ack], seq: nxt - 1, ack: next, [], at)
        }
        t.expectNothing(at)
        #expect(state == after, "\(start)", sourceLocation: at)
    }

    /// What the user hears, if there is one: a connection that was never accepted has none.
    func expectEvents(_ events: StreamEvents, _ at: SourceLocation = #_sourceLocation) {
        #expect((t.connection == nil ? [] : t.events()) == events, "\(start)", sourceLocation: at)
    }
}

extension Start {
    var name: TCPState {
        switch self {
        case .synSent: .synSent
        case .synReceivedPassive, .synReceivedActive: .synReceived
        case .established: .established
        case .finWait1: .finWait1
        case .finWait2: .finWait2
        case .closeWait: .closeWait
        case .closing: .closing
        case .lastAck: .lastAck
        case .timeWait: .timeWait
        }
    }
}

extension Conversation {
    fileprivate func expect(
        _ flags: TCPFlags, seq: Int, ack: Int, _ text: [UInt8], _ location: SourceLocation
    ) { _ = expect(flags, seq: seq, ack: ack, text, window: nil, location) }

    fileprivate func expect(_ flags: TCPFlags, seq: Int, _ location: SourceLocation) {
        _ = expect(flags, seq: seq, ack: nil, nil, window: nil, location)
    }
}
