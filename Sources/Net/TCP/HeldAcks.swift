import Runtime

/// When a burst is acknowledged. On a short path each turn sends one ACK for what it brought, and each segment behind a gap
/// has its own. On a long path the ACK waits until the burst is over: nothing has come for `Configuration.burstGap`.
///
/// A burst is what one ACK let the sender send, and a sender whose window grows by the octets that an ACK covers (RFC 3465)
/// grows most evenly by whole bursts; Linux's CUBIC loses some percent of its rate when every second segment is
/// acknowledged by itself. Behind a gap one ACK with all blocks tells what one for each segment tells.
///
/// RFC 5681 4.2 asks for an ACK for every second full segment, and at once behind a gap. What is kept of it: the first three
/// segments behind a gap are answered each at once, by which a sender finds the loss; so is what fills a gap, and everything
/// to a sender without SACK, which must count. All else waits not longer than a twentieth of the round trip or a
/// millisecond, and not for more than 45 segments. (Linux puts segments that come together into one before its TCP sees them,
/// up to 64 KiB, and holds back ACKs from the fourth segment behind a gap on for as long.)
enum HeldAcks {
    /// Segments behind a gap with an ACK each: the sender's threshold (RFC 5681 3.2, RFC 6675 5).
    static let atOnce: UInt8 = 3
    /// Segments that one ACK waits for at most: 64 KiB.
    static let most = 45
    /// The longest wait, and how much of a round trip it may be.
    static let longest: Nanoseconds = .milliseconds(1)
    static let partsOfRoundTrip: Nanoseconds = 20
    /// The gap that ends a burst is not longer than such a part of the round trip.
    static let gapsInRoundTrip: Nanoseconds = 64
    /// The shortest round trip of a long path.
    static let longPath: Nanoseconds = .milliseconds(1)
}

extension Stack {
    /// Full segments in order are to be acknowledged.
    @inline(never) func acknowledgeBurst(_ b: Block) {
        if startHolding(b), waitsForBurst(b) { return }
        tuneReceiveWindow(b)
        sendAck(b)
    }

    /// A segment behind a gap was kept, or dropped.
    func acknowledgeBehindGap(_ b: Block) {
        let held = b.pointee.flags.contains(.holdsAck)
        if !held { b.pointee.gapSegments = min(b.pointee.gapSegments, HeldAcks.atOnce) }
        if b.pointee.gapSegments < HeldAcks.atOnce {
            b.pointee.gapSegments &+= 1
            return sendAck(b)
        }
        guard b.pointee.flags.contains(.sackPermitted), !hasDuplicate(b),
            b.pointee.gapSegments < HeldAcks.atOnce &+ UInt8(HeldAcks.most), startHolding(b)
        else { return sendAck(b) }
        b.pointee.gapSegments &+= 1
    }

    /// RFC 5681 4.2: at once. On a long path even before the rest of its burst, which so has an ACK of its own: were there only
    /// one and it got lost, the sender, which does not probe during a recovery, would have to time out.
    func acknowledgeFilledGap(_ b: Block) {
        b.pointee.gapSegments = 0
        if isLongPath(b) {
            sendAck(b)
        } else {
            b.pointee.flags.insert(.ackNow)
        }
    }

    /// `output` is at a connection whose ACK is held back.
    @inline(never) func outputHeldAck(_ b: Block) {
        if b.pointee.delayedAckAt == .max {
            // Text has carried it, but for the blocks.
            if hasSackBlocks(b) { sendAck(b) } else { b.pointee.flags.remove(.holdsAck) }
            return
        }
        if waitsForBurst(b) { return }
        if b.pointee.rcvNxt != b.pointee.lastAckSent { tuneReceiveWindow(b) }
        sendAck(b)
    }

    /// SRTT; 0 before the first sample.
    private func smoothedRoundTrip(_ b: Block) -> Nanoseconds {
        Nanoseconds(b.pointee.estimator.smoothed >> 3) &* 1_000
    }

    private func isLongPath(_ b: Block) -> Bool {
        configuration.burstGap > 0 && smoothedRoundTrip(b) >= HeldAcks.longPath
    }

    /// From now on the ACK is held back. False on a short path.
    private func startHolding(_ b: Block) -> Bool {
        if b.pointee.flags.contains(.holdsAck) { return true }
        guard isLongPath(b) else { return false }
        b.pointee.flags.insert(.holdsAck)
        let span = min(HeldAcks.longest, smoothedRoundTrip(b) / HeldAcks.partsOfRoundTrip)
        b.pointee.delayedAckAt = min(b.pointee.delayedAckAt, now &+ span)
        armTimer(b, b.pointee.delayedAckAt)
        return true
    }

    /// The burst goes on: `output` looks again. Not when the window has opened, for which the sender may wait.
    private func waitsForBurst(_ b: Block) -> Bool {
        let gap = min(configuration.burstGap, smoothedRoundTrip(b) / HeldAcks.gapsInRoundTrip)
        let end = min(b.pointee.lastReceived &+ gap, b.pointee.delayedAckAt)
        guard now < end, b.pointee.rcvNxt - b.pointee.lastAckSent < HeldAcks.most &* Int(b.pointee.mss),
            !isWindowUpdateDue(b)
        else { return false }
        touch(b)
        heldUntil = heldUntil <= now ? end : min(heldUntil, end)
        return true
    }
}
