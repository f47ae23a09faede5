/// Counters by cause since the stack was made. Frames are counted once, at the first cause that ends their way.
public struct StackStatistics: Sendable {
    // Ethernet
    public var framesReceived: UInt64 = 0
    public var framesSent: UInt64 = 0
    public var ethernetTruncated: UInt64 = 0
    public var ethernetNotForUs: UInt64 = 0
    public var ethernetUnknownType: UInt64 = 0
    // ARP
    public var arpRequestsReceived: UInt64 = 0
    public var arpRepliesReceived: UInt64 = 0
    public var arpRequestsSent: UInt64 = 0
    public var arpRepliesSent: UInt64 = 0
    public var arpMalformed: UInt64 = 0
    /// Somebody else claims our own address.
    public var arpAddressConflicts: UInt64 = 0
    /// An entry in use was contradicted; the old owner is probed first.
    public var arpContradictions: UInt64 = 0
    /// Frames dropped because their next hop did not answer, or too many waited for it.
    public var arpPendingDrops: UInt64 = 0
    public var arpCacheFull: UInt64 = 0
    // IPv4
    public var ipv4Received: UInt64 = 0
    public var ipv4Malformed: UInt64 = 0
    public var ipv4BadChecksum: UInt64 = 0
    public var ipv4NotForUs: UInt64 = 0
    /// Fragments for us. Those refused: impossible lengths, repetitions, such that overlap others (and end their datagram),
    /// of a datagram that was ended so, or one too many of its datagram.
    public var ipv4Fragments: UInt64 = 0
    public var ipv4FragmentsMalformed: UInt64 = 0
    public var ipv4FragmentDuplicates: UInt64 = 0
    public var ipv4FragmentOverlaps: UInt64 = 0
    public var ipv4FragmentsRefused: UInt64 = 0
    public var ipv4FragmentsTooMany: UInt64 = 0
    /// Datagrams made whole; given up after 30 seconds, for want of memory, of frames, or for contradictory ECN marks.
    public var ipv4Reassembled: UInt64 = 0
    public var ipv4ReassemblyTimeouts: UInt64 = 0
    public var ipv4ReassemblyEvictions: UInt64 = 0
    public var ipv4ReassemblyShortages: UInt64 = 0
    public var ipv4ReassemblyMarks: UInt64 = 0
    /// Datagrams in frames to all.
    public var ipv4LinkBroadcasts: UInt64 = 0
    /// Broadcast, multicast, loopback or our own address as the source.
    public var ipv4BadSource: UInt64 = 0
    public var ipv4UnknownProtocol: UInt64 = 0
    // ICMP
    public var icmpReceived: UInt64 = 0
    public var icmpEchoReplies: UInt64 = 0
    public var icmpMalformed: UInt64 = 0
    public var icmpBadChecksum: UInt64 = 0
    public var icmpIgnored: UInt64 = 0
    /// Errors about something we sent: of no connection; quoting what is not in flight, or absurd; believed but without
    /// consequence (RFC 5927); that ended an open; source quench.
    public var icmpErrorsUnrelated: UInt64 = 0
    public var icmpErrorsImplausible: UInt64 = 0
    public var icmpSoftErrors: UInt64 = 0
    public var icmpHardErrors: UInt64 = 0
    public var icmpSourceQuenches: UInt64 = 0
    /// Errors that we sent, and did not send: beyond the rate, or to no single host.
    public var icmpErrorsSent: UInt64 = 0
    public var icmpErrorsSuppressed: UInt64 = 0
    /// Connections whose segments were made smaller for their path, and tried larger again (RFC 1191).
    public var pathMTUReductions: UInt64 = 0
    public var pathMTURaises: UInt64 = 0
    // TCP
    public var tcpSegmentsReceived: UInt64 = 0
    public var tcpSegmentsSent: UInt64 = 0
    public var tcpBytesReceived: UInt64 = 0
    public var tcpBytesSent: UInt64 = 0
    public var tcpMalformed: UInt64 = 0
    public var tcpBadChecksum: UInt64 = 0
    public var tcpActiveOpens: UInt64 = 0
    public var tcpPassiveOpens: UInt64 = 0
    public var tcpEstablished: UInt64 = 0
    public var tcpClosed: UInt64 = 0
    public var tcpResetsReceived: UInt64 = 0
    public var tcpResetsSent: UInt64 = 0
    public var tcpRetransmissions: UInt64 = 0
    public var tcpTimeouts: UInt64 = 0
    public var tcpFastRetransmits: UInt64 = 0
    public var tcpGivenUp: UInt64 = 0
    public var tcpDuplicateAcks: UInt64 = 0
    public var tcpDelayedAcks: UInt64 = 0
    public var tcpWindowProbes: UInt64 = 0
    public var tcpKeepaliveProbes: UInt64 = 0
    public var tcpChallengeAcks: UInt64 = 0
    public var tcpOutOfOrder: UInt64 = 0
    /// Out-of-order segments dropped for want of frames or because a connection holds its share.
    public var tcpOutOfOrderDrops: UInt64 = 0
    public var tcpOutsideWindow: UInt64 = 0
    public var tcpOldTimestamps: UInt64 = 0
    public var tcpConnectionLimitDrops: UInt64 = 0
    /// SYNs to ports nobody listens on.
    public var tcpRefused: UInt64 = 0
    /// Segments of connections that do not exist.
    public var tcpUnknown: UInt64 = 0
    /// Segments with text that came with CE, and reductions of a congestion window because of ECE (RFC 3168).
    public var tcpCongestionMarks: UInt64 = 0
    public var tcpEcnReductions: UInt64 = 0
    /// Bytes of text that had arrived before, and duplicates that were reported to their sender (RFC 2883).
    public var tcpDuplicateBytes: UInt64 = 0
    public var tcpDuplicatesReported: UInt64 = 0
    /// How often a receive window grew.
    public var tcpWindowGrowths: UInt64 = 0
    /// Recoveries that began because SACK and time told of a loss (RFC 8985), and segments sent again in them.
    public var tcpRecoveries: UInt64 = 0
    public var tcpRackRetransmissions: UInt64 = 0
    /// Tail loss probes.
    public var tcpTailProbes: UInt64 = 0
    /// D-SACKs: duplicates that the peer reported of what was sent again.
    public var tcpSpuriousRetransmissions: UInt64 = 0
    /// Recoveries and timeouts that proved to be for nothing.
    public var tcpUndone: UInt64 = 0
    /// SYN cookies (RFC 4987): given away because the backlog was full, come back, and not recognised.
    public var tcpSynCookiesSent: UInt64 = 0
    public var tcpSynCookiesAccepted: UInt64 = 0
    public var tcpSynCookiesFailed: UInt64 = 0
    /// SYNs that opened a connection anew out of TIME-WAIT (RFC 6191).
    public var tcpTimeWaitReused: UInt64 = 0
    /// Suspicious segments that got no challenge ACK, because of the limits (RFC 5961 7).
    public var tcpChallengesSuppressed: UInt64 = 0
    /// No free frame when one was needed to send.
    public var frameShortages: UInt64 = 0
    /// The transmit queue was full when something had to be sent.
    public var transmitQueueFull: UInt64 = 0
    /// Segments that came after their connection had ended, because another shard was late in handing them over.
    public var tcpLate: UInt64 = 0
    /// Frames that may have been another shard's, and found no room in `strays`.
    public var strayDrops: UInt64 = 0
    public init() {}
}
