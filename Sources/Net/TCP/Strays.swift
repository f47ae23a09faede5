import Runtime

/// Segments whose connection may live on another shard, because its sender changed the queue it uses (Linux does after a
/// timeout, net.core.txrehash). A SYN always opens where it arrives, so two shards may know the same 4-tuple: the SYN went
/// to one and, sent again, to the other; or the old incarnation is in TIME-WAIT on one and the new one lives on the other.
extension Stack {
    /// Whether a segment that this block cannot have been meant for should be shown to the other shards, before it is
    /// answered as RFC 9293 says (which the last of them does, if none knows better).
    @inline(never) func mayBelongElsewhere(_ b: Block, _ segment: TCPSegment) -> Bool {
        guard configuration.strayHandling else { return false }
        let flags = segment.flags
        switch b.pointee.state {
        case .synReceived:
            // The peer has taken the SYN,ACK of another shard: a reset from here would end that connection.
            return flags.contains(.ack) && flags.isDisjoint(with: [.syn, .rst])
                && segment.acknowledgement != b.pointee.iss + 1
        case .timeWait:
            // Behind the peer's FIN nothing of the old incarnation can come.
            return flags.isDisjoint(with: [.syn, .rst]) && segment.sequence > b.pointee.rcvNxt
        case .closed, .synSent, .established, .finWait1, .finWait2, .closeWait, .closing, .lastAck: return false
        }
    }

    /// Passes on a segment that was received here. Whoever knows it counts it.
    func strayTCP(_ d: FrameDescriptor) {
        statistics.framesReceived &-= 1
        statistics.ipv4Received &-= 1
        statistics.tcpSegmentsReceived &-= 1
        pushStray(d)
    }

    /// The same for an ICMP error about a flow that is not known here.
    func strayICMP(_ d: FrameDescriptor) {
        statistics.framesReceived &-= 1
        statistics.ipv4Received &-= 1
        statistics.icmpReceived &-= 1
        pushStray(d)
    }
}
