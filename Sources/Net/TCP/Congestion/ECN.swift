import Runtime

/// The codepoints in the two low bits of IPv4's type of service (RFC 3168 5).
enum ECN {
    static let mask: UInt8 = 3
    /// ECT(0): the endpoints understand marks.
    static let capable: UInt8 = 2
    /// CE: a router would have dropped the datagram, had it not been capable.
    static let congested: UInt8 = 3
}

/// When a stack uses explicit congestion notification (RFC 3168).
public enum ExplicitCongestionNotification: String, CaseIterable, Sendable {
    /// Never.
    case off = "no"
    /// When the peer's SYN asks for it; own SYNs do not.
    case answer
    /// Own SYNs ask for it too.
    case offer
}

/// Explicit congestion notification: agreed on by both SYNs; then new text leaves with ECT(0), CE is answered with ECE on
/// every ACK until the peer says CWR, and ECE reduces the congestion window, once a window, which CWR then tells.
extension Stack {
    // MARK: agreement (RFC 3168 6.1.1)

    /// The control bits of the SYN, or in SYN-RECEIVED of the SYN,ACK. A SYN that was lost is repeated without ECN: some
    /// firewalls drop SYNs with bits they do not know (6.1.1.1).
    func synFlags(_ b: Block) -> TCPFlags {
        if b.pointee.state == .synReceived {
            return b.pointee.flags.contains(.ecn) ? [.syn, .ack, .ece] : [.syn, .ack]
        }
        return offersECN(b) ? [.syn, .ece, .cwr] : .syn
    }

    private func offersECN(_ b: Block) -> Bool {
        configuration.ecn == .offer && !b.pointee.flags.contains(.synRetransmitted)
    }

    /// Whether the peer's SYN or SYN,ACK completes an agreement. Who has sent one SYN without ECN does not use it.
    func agreesOnECN(_ b: Block, _ segment: TCPSegment) -> Bool {
        let marks = segment.flags.intersection([.ece, .cwr])
        if b.pointee.state == .synSent, !offersECN(b) { return false }
        // Both bits on a SYN,ACK are an old stack's that mirrors what it does not know.
        return segment.flags.contains(.ack) ? marks == .ece : configuration.ecn != .off && marks == [.ece, .cwr]
    }

    /// The peer's SYN came again. If it does without ECN now, so do we.
    func checkECNAgain(_ b: Block, _ segment: TCPSegment) {
        let marks = segment.flags.intersection([.ece, .cwr])
        if marks != (segment.flags.contains(.ack) ? .ece : [.ece, .cwr]) { b.pointee.flags.remove(.ecn) }
    }

    // MARK: what comes in

    /// `segment` is acceptable; it was neither trimmed to nothing nor looked at for its ACK.
    @inline(never) func noteCongestionMarks(_ b: Block, _ segment: TCPSegment) {
        if segment.flags.contains(.cwr) { b.pointee.flags.remove(.echoesCongestion) }
        if segment.isMarked, segment.count > 0 {
            statistics.tcpCongestionMarks &+= 1
            if !b.pointee.flags.contains(.echoesCongestion) {
                // The sender should know soon.
                b.pointee.flags.formUnion([.echoesCongestion, .ackNow])
                touch(b)
            }
        }
        if segment.flags.contains([.ece, .ack]), segment.acknowledgement >= b.pointee.sndUna,
            segment.acknowledgement <= b.pointee.sndMax
        {
            congestionEchoed(b)
        }
    }

    // MARK: what goes out

    /// With ECE while it is owed.
    @inline(__always) func echo(_ b: Block, _ flags: TCPFlags) -> TCPFlags {
        b.pointee.flags.contains(.echoesCongestion) ? flags.union(.ece) : flags
    }

    /// ECT(0) on text only: not on SYNs, ACKs, FIN and RST (RFC 3168 6.1.4).
    @inline(__always) func typeOfService(_ b: Block, count: Int) -> UInt8 {
        guard b.pointee.flags.contains(.ecn), !b.pointee.flags.contains(.notCapable) else { return 0 }
        return count > TCPSegment.minimumHeader &+ Int(b.pointee.optionsLength) ? ECN.capable : 0
    }

    /// `emit` for text of a connection with ECN. What was sent before, and a probe of a closed window, is not ECT: a router
    /// that marks where it would have dropped would let an attacker's copies count as the original (RFC 3168 6.1.5, 6.1.6).
    @inline(never) func emitCapable(
        _ b: Block, _ frame: FrameID, count: Int, sequence: SequenceNumber, flags: TCPFlags
    ) {
        var flags = echo(b, flags)
        guard sequence >= b.pointee.sndMax, !b.pointee.flags.contains(.persisting) else {
            b.pointee.flags.insert(.notCapable)
            b.pointee.headerCount = 0
            emit(b, frame, count: count, sequence: sequence, flags: flags)
            b.pointee.flags.remove(.notCapable)
            b.pointee.headerCount = 0
            return
        }
        if b.pointee.flags.contains(.owesCWR) {
            b.pointee.flags.remove(.owesCWR)
            flags.insert(.cwr)
        }
        emit(b, frame, count: count, sequence: sequence, flags: flags)
    }
}
