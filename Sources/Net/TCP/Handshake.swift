import Runtime

/// What both kinds of open share.
extension Stack {
    /// The initial window in segments (RFC 6928), and the least segment size believed: a peer that asks for less makes
    /// headers the larger part of the traffic.
    static let initialSegments = 10
    static let leastSegmentSize = 88

    /// The largest text of a segment without options that we take (RFC 6691).
    var ownSegmentSize: Int { configuration.mtu - IPv4Header.minimumLength - TCPSegment.minimumHeader }

    /// The window that our SYN and SYN,ACK advertise, which are never scaled (RFC 7323 2.2).
    var synWindow: UInt16 { UInt16(min(configuration.receiveWindow, 65_535)) }

    /// Takes over what the peer's SYN (or SYN,ACK) says: its sequence number, window and options.
    func acceptSyn(_ b: Block, _ segment: TCPSegment) {
        takeSyn(
            b, SynOptions(segment.base, from: TCPSegment.minimumHeader, to: segment.headerLength),
            sequence: segment.sequence, acknowledgement: segment.acknowledgement, window: segment.window)
        if agreesOnECN(b, segment) { b.pointee.flags.insert(.ecn) }
    }

    /// `sequence` is the SYN's, `window` as it is on the wire.
    func takeSyn(
        _ b: Block, _ options: SynOptions, sequence: SequenceNumber, acknowledgement: SequenceNumber, window: UInt16
    ) {
        b.pointee.rcvNxt = sequence + 1
        b.pointee.lastAckSent = b.pointee.rcvNxt
        b.pointee.rcvEdge = b.pointee.rcvNxt + Int(synWindow)
        // The window of a SYN is never scaled (RFC 7323 2.2).
        b.pointee.sndWnd = UInt32(window)
        b.pointee.sndWndMax = b.pointee.sndWnd
        b.pointee.sndWl1 = sequence
        b.pointee.sndWl2 = acknowledgement
        if let scale = options.windowScale {
            b.pointee.flags.insert(.windowScaling)
            b.pointee.sndScale = scale
            b.pointee.rcvScale = offeredScale
            setReceiveLimit(b)
        }
        if options.sackPermitted { b.pointee.flags.insert(.sackPermitted) }
        if let timestamp = options.timestamp, configuration.timestamps {
            b.pointee.flags.insert(.timestamps)
            b.pointee.optionsLength = UInt8(TCPOptions.timestampsLength)
            b.pointee.tsRecent = timestamp
        }
        let size = min(max(options.maximumSegmentSize, Self.leastSegmentSize), ownSegmentSize)
        b.pointee.mss = UInt16(size - Int(b.pointee.optionsLength))
    }

    /// Our SYN is acknowledged. The segment that did it says the window (scaled, unless it is a SYN,ACK itself).
    func establish(_ b: Block, _ segment: TCPSegment) {
        let mss = UInt32(b.pointee.mss)
        b.pointee.state = .established
        statistics.tcpEstablished &+= 1
        if !segment.flags.contains(.syn) {
            b.pointee.sndWnd = UInt32(segment.window) << UInt32(b.pointee.sndScale)
            b.pointee.sndWl1 = segment.sequence
            b.pointee.sndWl2 = segment.acknowledgement
        }
        b.pointee.sndWndMax = max(b.pointee.sndWndMax, b.pointee.sndWnd)
        if b.pointee.flags.contains(.synRetransmitted) {
            b.pointee.cwnd = mss
            b.pointee.estimator.startOverAfterLostSyn()
        } else {
            b.pointee.cwnd = initialWindow(b)
            if b.pointee.retransmitAt != .max {
                let sentAt = b.pointee.retransmitAt &- b.pointee.estimator.timeout(floor: configuration.minimumRTO)
                b.pointee.estimator.sample(now &- sentAt)
            }
        }
        b.pointee.backoff = 0
        b.pointee.retransmitAt = .max
        if b.pointee.flags.contains(.passive) {
            b.pointee.flags.remove(.released)
            // From here on frames go where ARP says, not where the SYN came from.
            b.pointee.nextHopGeneration = 0
        }
        signal(b, .opened)
        // What the user committed before goes out in this turn.
        touch(b)
        if configuration.keepalive > 0 { armTimer(b, now &+ configuration.keepalive) }
    }
}
