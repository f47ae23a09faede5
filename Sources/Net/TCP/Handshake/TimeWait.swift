import Runtime

/// TIME-WAIT keeps a connection's name until nothing of it can be on the way any more. A SYN that is surely newer than
/// everything of the old incarnation may have the name earlier.
extension Stack {
    /// A new incarnation of a connection in TIME-WAIT. The old block goes; our sequence numbers start beyond the old ones
    /// (RFC 9293 3.4.1, 3.6.1). False when the SYN may be an old one: the segment goes through the usual steps then.
    func reopen(_ b: Block, _ segment: TCPSegment) -> Bool {
        guard segment.flags.intersection([.syn, .ack, .rst, .fin]) == .syn, ports.contains(segment.base.big16(2)),
            isNewIncarnation(b, segment)
        else { return false }
        let key = b.pointee.key
        let previous = b.pointee.sndMax
        let hardwareRaw = b.pointee.nextHopRaw
        destroy(b)
        statistics.tcpTimeWaitReused &+= 1
        passiveOpen(segment, key: key, hardwareRaw: hardwareRaw, after: previous)
        return true
    }

    /// RFC 6191 2: timestamps tell, if both incarnations have them; where they do not, sequence numbers. A timestamp that
    /// is not older makes PAWS hold across the incarnations, too: what is left of the old one is older.
    private func isNewIncarnation(_ b: Block, _ segment: TCPSegment) -> Bool {
        let laterSequence = segment.sequence > b.pointee.rcvNxt
        guard segment.hasTimestamp, configuration.timestamps else { return laterSequence }
        guard b.pointee.flags.contains(.timestamps) else { return true }
        let advance = Int32(bitPattern: segment.timestampValue &- b.pointee.tsRecent)
        return advance > 0 || advance == 0 && laterSequence
    }
}
