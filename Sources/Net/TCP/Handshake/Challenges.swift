import Runtime

/// Answers to segments that may be forged, or an echo of our own answers. Both limits keep us from being an amplifier, and
/// two confused peers from answering each other for ever.
extension Stack {
    /// One connection is answered at most once in this time (milliseconds), as Linux does it.
    static let suspectInterval: UInt32 = 500

    /// An ACK that asks the peer for proof (RFC 5961 3.2, 4.2, 5.2): at most one in half a second to one connection, and a
    /// bounded number a second over all of them (RFC 5961 7).
    func sendChallengeAck(_ b: Block) {
        let second = now / 1_000_000_000
        if second != challengeSecond {
            challengeSecond = second
            challengeBudget = isn.challengeBudget(second, limit: configuration.challengeAcks)
        }
        guard challengeBudget > 0, maySuspectBeAnswered(b) else {
            statistics.tcpChallengesSuppressed &+= 1
            return
        }
        challengeBudget -= 1
        statistics.tcpChallengeAcks &+= 1
        sendAck(b)
    }

    /// A segment outside of the window, or with an old timestamp, is answered by an ACK (RFC 9293 3.10.7.4, first; RFC 7323
    /// 5.3). With text or FIN it is a peer that has not got our ACK: each one is answered. Without, it may be a keepalive
    /// probe, or an answer to an ACK of ours that the peer did not like: not too often.
    func answerUnacceptable(_ b: Block, _ segment: TCPSegment) {
        if segment.flags.contains(.rst) { return }
        if segment.flags.contains(.syn) { return sendChallengeAck(b) }
        if b.pointee.state == .timeWait, segment.flags.contains(.fin), segment.end == b.pointee.rcvNxt {
            // The peer's FIN again: our ACK of it got lost (RFC 9293 3.10.7.4, eighth).
            b.pointee.retransmitAt = now &+ timeWaitTime
        }
        if segment.length > 0 || maySuspectBeAnswered(b) { acknowledgeDuplicate(b, segment) }
    }

    /// True once in `suspectInterval`.
    private func maySuspectBeAnswered(_ b: Block) -> Bool {
        guard nowMilliseconds &- b.pointee.suspectAnsweredAt >= Self.suspectInterval else { return false }
        b.pointee.suspectAnsweredAt = nowMilliseconds
        return true
    }
}

extension SequenceGenerator {
    /// Challenge ACKs of one second: a secret number between half and one and a half of `limit`. If it were known, who can
    /// use it up could find out by counting whether a forged segment had cost one (CVE-2016-5696).
    func challengeBudget(_ second: Int64, limit: Int) -> Int {
        limit / 2 + Int(challengeHash(second).multipliedFullWidth(by: UInt64(limit + 1)).high)
    }
}
