import Runtime

/// What a SYN cookie is made of (RFC 4987 3.6). With a full backlog a SYN leaves nothing behind: the SYN,ACK's sequence
/// number says all that must not be lost, and the peer's ACK brings it back.
///
/// The sequence number is a keyed hash of the connection's name, the peer's sequence number and a counter of 64 seconds;
/// its high three bits are exclusive-ored with the index of the segment size. A blind ACK passes once in 2^28. What RFC 7323
/// and RFC 2018 agree on does not fit; it lies in the low six bits of our timestamp, which the peer echoes. A peer without
/// timestamps gets neither window scaling nor SACK nor ECN, because the SYN,ACK must not offer what will be forgotten.
enum SynCookie {
    static let period: Nanoseconds = .seconds(64)
    /// A cookie is good in the period in which it was made and in the next one.
    static let periods: UInt32 = 2
    static let lifetime = Nanoseconds(periods) * period
    /// Bits of a timestamp that carry options: 0...3 the peer's window shift (15: none), 4 SACK, 5 ECN.
    static let optionBits: UInt32 = 0x3F
    private static let noScale: UInt32 = 15
    private static let sackBit: UInt32 = 0x10
    static let ecnBit: UInt32 = 0x20

    static func counter(_ now: Nanoseconds) -> UInt32 { UInt32(truncatingIfNeeded: now / period) }

    /// The segment sizes that a cookie can name: those of usual paths (Ethernet, PPPoE, tunnels, IPv6's least MTU, IPv4's).
    static func segmentSize(_ index: UInt32) -> Int {
        switch index {
        case 7: 1_460
        case 6: 1_440
        case 5: 1_400
        case 4: 1_360
        case 3: 1_220
        case 2: 536
        case 1: 256
        default: Stack.leastSegmentSize
        }
    }

    /// The largest of them that does not exceed `size`.
    static func index(of size: Int) -> UInt32 {
        var index: UInt32 = 7
        while index > 0, segmentSize(index) > size { index &-= 1 }
        return index
    }

    /// A timestamp not later than `clock`, at most 63 ms before it, whose low bits say what the peer offered.
    static func timestamp(_ clock: UInt32, _ offered: SynOptions, ecn: Bool) -> UInt32 {
        let bits =
            (offered.windowScale.map { UInt32($0) } ?? noScale) | (offered.sackPermitted ? sackBit : 0)
            | (ecn ? ecnBit : 0)
        let value = clock & ~optionBits | bits
        return Int32(bitPattern: value &- clock) > 0 ? value &- (optionBits &+ 1) : value
    }

    /// What `timestamp` put into the value that the peer echoes.
    static func readOptions(_ echo: UInt32, into options: inout SynOptions) {
        let scale = echo & 0xF
        options.windowScale = scale == noScale ? nil : UInt8(truncatingIfNeeded: scale)
        options.sackPermitted = echo & sackBit != 0
    }
}

extension SequenceGenerator {
    /// The cookie of a connection for the segment size with this index.
    func cookie(_ key: UInt64, peer: SequenceNumber, counter: UInt32, index: UInt32) -> SequenceNumber {
        SequenceNumber(cookieHash(key, UInt64(peer.raw) | UInt64(counter) << 32) ^ index << 29)
    }

    /// The index that the cookie was made with, or nil when it is none of ours or too old.
    func cookieIndex(_ cookie: SequenceNumber, _ key: UInt64, peer: SequenceNumber, counter: UInt32) -> UInt32? {
        for age in 0..<SynCookie.periods {
            let bits = cookie.raw ^ cookieHash(key, UInt64(peer.raw) | UInt64(counter &- age) << 32)
            if bits & 0x1FFF_FFFF == 0 { return bits >> 29 }
        }
        return nil
    }
}

extension Stack {
    /// Turns the frame of a SYN into the SYN,ACK that answers it, and keeps nothing. It goes to the station that the SYN
    /// came from, so that a forged source costs no ARP request.
    @inline(never) func sendCookie(_ d: FrameDescriptor, _ segment: TCPSegment, key: UInt64) {
        let ethernet = pool.address(d.frame) + Int(d.offset)
        let tcp = ethernet + Ethernet.headerLength + IPv4Header.minimumLength
        guard Int(d.offset) &+ Ethernet.headerLength &+ IPv4Header.minimumLength &+ 60 <= pool.frameSize else {
            return pool.release(d.frame)
        }
        let offered = SynOptions(segment.base, from: TCPSegment.minimumHeader, to: segment.headerLength)
        let askerRaw = UnsafeRawPointer(ethernet).raw64(6) & Ethernet.addressMask
        let cookie = isn.cookie(
            key, peer: segment.sequence, counter: SynCookie.counter(now),
            index: SynCookie.index(of: min(offered.maximumSegmentSize, ownSegmentSize)))
        // Everything of the SYN that is needed was read: from here on it is overwritten.
        var options = SynOptions()
        var flags: TCPFlags = [.syn, .ack]
        options.maximumSegmentSize = ownSegmentSize
        if let timestamp = offered.timestamp, configuration.timestamps {
            let usesECN = configuration.ecn != .off && segment.flags.contains([.ece, .cwr])
            if usesECN { flags.insert(.ece) }
            options.timestamp = SynCookie.timestamp(
                nowMilliseconds &+ isn.timestampOffset(key), offered, ecn: usesECN)
            options.timestampEcho = timestamp
            options.sackPermitted = offered.sackPermitted
            if offered.windowScale != nil { options.windowScale = offeredScale }
        }
        let headerLength = TCPSegment.minimumHeader &+ options.write(tcp + TCPSegment.minimumHeader)
        writeTCP(
            tcp, portsRaw: UInt32(truncatingIfNeeded: key), sequence: cookie,
            acknowledgement: (segment.sequence + 1).raw, flags: flags, headerLength: headerLength,
            window: synWindow)
        finishSegment(tcp, count: headerLength, destinationRaw: UInt32(truncatingIfNeeded: key >> 32))
        Ethernet.write(ethernet, destinationRaw: askerRaw, sourceRaw: hardwareSelfRaw, type: EtherType.ipv4)
        cookiesUntil = now &+ SynCookie.lifetime
        statistics.tcpSynCookiesSent &+= 1
        statistics.tcpSegmentsSent &+= 1
        pushTransmit(
            FrameDescriptor(
                frame: d.frame, offset: Int(d.offset),
                length: Ethernet.headerLength &+ IPv4Header.minimumLength &+ headerLength))
    }

    /// Whether a segment of no connection may be the answer to a cookie: others are not worth a hash.
    func mayAnswerCookie(_ segment: TCPSegment) -> Bool {
        now < cookiesUntil && segment.flags.intersection([.syn, .ack, .rst]) == .ack
            && ports.contains(segment.base.big16(2))
    }

    /// The ACK of a cookie makes the connection that the SYN would have made, and goes through it as the third segment of
    /// the handshake: window, timestamps, text and FIN on it count. True when the frame was taken over.
    ///
    /// Each stack has a secret of its own: where flows are spread over shards, a cookie is only good at the shard that gave
    /// it away, which is where a connection of that flow would be. So an ACK that strays can not open a second one.
    @inline(never) func inputCookie(_ d: FrameDescriptor, _ segment: TCPSegment, key: UInt64) -> Bool {
        var segment = segment
        let cookie = segment.acknowledgement - 1
        guard mayAnswerCookie(segment),
            let index = isn.cookieIndex(
                cookie, key, peer: segment.sequence - 1, counter: SynCookie.counter(now))
        else { return false }
        var options = SynOptions()
        options.maximumSegmentSize = SynCookie.segmentSize(index)
        var sentAt: Nanoseconds?
        if segment.hasTimestamp, configuration.timestamps {
            let elapsed = nowMilliseconds &+ isn.timestampOffset(key) &- segment.timestampEcho
            // Not the echo of what went with the cookie: what was agreed on is unknown.
            guard elapsed <= UInt32(SynCookie.lifetime / 1_000_000) &+ SynCookie.optionBits else { return false }
            options.timestamp = segment.timestampValue
            SynCookie.readOptions(segment.timestampEcho, into: &options)
            sentAt = now &- .milliseconds(Int64(elapsed))
        }
        guard let b = makeBlock(key) else {
            pool.release(d.frame)
            return true
        }
        statistics.tcpSynCookiesAccepted &+= 1
        statistics.tcpPassiveOpens &+= 1
        restore(b, cookie, segment, options, sentAt: sentAt)
        if !segmentArrives(b, &segment, d.frame) { pool.release(d.frame) }
        return true
    }

    /// The block as it were if SYN and SYN,ACK had gone through it.
    private func restore(
        _ b: Block, _ cookie: SequenceNumber, _ segment: TCPSegment, _ options: SynOptions, sentAt: Nanoseconds?
    ) {
        b.pointee.state = .synReceived
        b.pointee.flags = [.passive, .released]
        setInitialSequence(b, cookie)
        b.pointee.sndMax = cookie + 1
        takeSyn(b, options, sequence: segment.sequence - 1, acknowledgement: cookie, window: segment.window)
        // Where the SYN,ACK's timer would stand: `establish` takes the first round trip from it. Without timestamps nobody
        // knows when it left.
        if let sentAt {
            if segment.timestampEcho & SynCookie.ecnBit != 0 { b.pointee.flags.insert(.ecn) }
            b.pointee.retransmitAt = sentAt &+ b.pointee.estimator.timeout(floor: configuration.minimumRTO)
        }
        halfOpen.append(b)
    }
}
