import Runtime

/// What one connection looks like from our side, as Linux's `struct tcp_info` tells it of a socket. A copy: it does not
/// change afterwards. Bytes are bytes of text (headers are not in them), times are microseconds.
public struct ConnectionInfo: BitwiseCopyable, Sendable, Equatable {
    /// RFC 9293 3.3.2.
    public enum State: UInt8, BitwiseCopyable, Sendable {
        case closed, synSent, synReceived, established, finWait1, finWait2, closeWait, closing, lastAck, timeWait

        /// In small letters with hyphens, as ss(8) writes it.
        public var name: String {
            switch self {
            case .closed: "closed"
            case .synSent: "syn-sent"
            case .synReceived: "syn-recv"
            case .established: "established"
            case .finWait1: "fin-wait-1"
            case .finWait2: "fin-wait-2"
            case .closeWait: "close-wait"
            case .closing: "closing"
            case .lastAck: "last-ack"
            case .timeWait: "time-wait"
            }
        }
    }

    public var state = State.closed
    /// SRTT and RTTVAR (RFC 6298 2), in microseconds; both 0 before the first sample.
    public var roundTrip: UInt32 = 0
    public var roundTripVariation: UInt32 = 0
    /// The retransmission timeout now, backoff included, in microseconds.
    public var retransmissionTimeout: UInt64 = 0
    /// Congestion window in bytes (RFC 5681).
    public var congestionWindow: UInt32 = 0
    /// Slow start threshold in bytes; nil: none was found yet (it is "arbitrarily high").
    public var slowStartThreshold: UInt32?
    /// Octets sent and not acknowledged, a FIN among them.
    public var unacknowledged: UInt64 = 0
    /// Bytes that the user has written and that were never sent.
    public var unsent: UInt64 = 0
    /// Segments sent again since the connection began, SYN and FIN among them; at 65,535 it stays there for a connection
    /// of our own stack.
    public var retransmissions: UInt32 = 0
    /// Timeouts (or probes of a closed window) since the last progress.
    public var backoff: UInt8 = 0
    /// The largest text of a segment that we send, in bytes.
    public var maximumSegmentSize: UInt32 = 0
    /// SND.WND and RCV.WND in bytes; the second as last advertised.
    public var sendWindow: UInt32 = 0
    public var receiveWindow: UInt32 = 0
    /// Bytes received that the user has not taken.
    public var unread: UInt32 = 0
    /// Frames kept behind a gap; nil where the kernel keeps them and does not tell.
    public var outOfOrder: UInt32?

    public init() {}
}

extension Stack {
    /// How the connection does. O(1). Valid as long as the handle is.
    public func info(_ c: TCPConnection) -> ConnectionInfo {
        let b = c.block
        var info = ConnectionInfo()
        // Both enumerations follow the RFC's order.
        info.state = ConnectionInfo.State(rawValue: b.pointee.state.rawValue) ?? .closed
        let estimator = b.pointee.estimator
        if estimator.smoothed != 0 {
            info.roundTrip = estimator.smoothed >> 3
            info.roundTripVariation = estimator.variation >> 2
        }
        info.retransmissionTimeout = UInt64(
            estimator.timeout(floor: configuration.minimumRTO, backoff: b.pointee.backoff) / 1_000)
        info.congestionWindow = b.pointee.cwnd
        if b.pointee.ssthresh < Self.maxCongestionWindow { info.slowStartThreshold = b.pointee.ssthresh }
        info.unacknowledged = UInt64(max(0, b.pointee.sndMax - b.pointee.sndUna))
        // A FIN that was sent lies behind sndEnd.
        info.unsent = UInt64(max(0, b.pointee.sndEnd - b.pointee.sndMax) &+ b.pointee.sndChunks.count)
        info.retransmissions = UInt32(b.pointee.retransmits)
        info.backoff = b.pointee.backoff
        info.maximumSegmentSize = UInt32(b.pointee.mss)
        info.sendWindow = b.pointee.sndWnd
        info.receiveWindow = UInt32(max(0, b.pointee.rcvWindow))
        info.unread = b.pointee.rcvBytes
        info.outOfOrder = UInt32(b.pointee.oooFrames)
        return info
    }

    /// A segment of the connection leaves again, for whatever cause.
    @inline(never) func countRetransmission(_ b: Block) {
        statistics.tcpRetransmissions &+= 1
        if b.pointee.retransmits < .max { b.pointee.retransmits &+= 1 }
    }
}
