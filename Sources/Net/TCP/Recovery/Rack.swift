import Runtime

/// Loss detection by time: RACK (RFC 8985 6). A frame is lost when one that was sent later has arrived, and a reordering
/// window has passed since it should have.
extension Stack {
    /// As many sacked frames stand for a loss when reordering was never seen (RFC 8985 6.2 step 4, RFC 6675).
    static let duplicateThreshold = 3
    /// Recoveries for which a larger reordering window stays (RFC 8985 6.2 step 4).
    static let windowPersistence: UInt8 = 16
    /// How long a least round trip is believed.
    static let leastRoundTripAge: Nanoseconds = .seconds(300)

    /// Step 2: what has arrived last of those sent last. Step 1 is in `sampleRoundTrip`.
    @inline(__always) func updateRack(_ s: SendStatePointer, _ sample: AckSample) {
        guard sample.rackStamp != .min else { return }
        s.pointee.rackRoundTrip = now &- sample.rackStamp
        if sample.rackStamp > s.pointee.rackStamp
            || sample.rackStamp == s.pointee.rackStamp && sample.rackEnd > s.pointee.rackEnd
        {
            s.pointee.rackStamp = sample.rackStamp
            s.pointee.rackEnd = sample.rackEnd
        }
    }

    /// Step 4: a quarter of the least round trip, more of them while duplicates are reported, and none at all while nothing
    /// speaks for reordering and much for a loss.
    private func reorderingWindow(_ b: Block, _ s: SendStatePointer) -> Nanoseconds {
        if !s.pointee.hasReordering,
            !b.pointee.flags.isDisjoint(with: [.fastRecovery, .timeoutRecovery])
                || Int(s.pointee.sackedFrames) >= Self.duplicateThreshold
        {
            return 0
        }
        guard s.pointee.leastRoundTrip != .max else { return 0 }
        let smoothed = Nanoseconds(b.pointee.estimator.smoothed >> 3) &* 1_000
        return min(s.pointee.leastRoundTrip / 4 &* Nanoseconds(s.pointee.windowFactor), smoothed)
    }

    /// A duplicate was reported: the window was too small. At most once a round trip.
    func enlargeReorderingWindow(_ b: Block, _ s: SendStatePointer) {
        if s.pointee.hasFactorRound, b.pointee.sndUna < s.pointee.factorRound { return }
        s.pointee.hasFactorRound = true
        s.pointee.factorRound = b.pointee.sndMax
        s.pointee.windowPersists = Self.windowPersistence
        if s.pointee.windowFactor < 64 { s.pointee.windowFactor &+= 1 }
    }

    /// A recovery has ended.
    func ageReorderingWindow(_ s: SendStatePointer) {
        guard s.pointee.windowPersists > 0 else { return }
        s.pointee.windowPersists &-= 1
        if s.pointee.windowPersists == 0 { s.pointee.windowFactor = 1 }
    }

    /// Step 5: takes for lost what was sent so long before RACK's latest that it should have arrived. The time after which
    /// to look again is in `wait`, 0: no need. `again`: something was lost that had been sent again. Returns whether
    /// anything was. Amortized O(1) a frame: a frame is looked at until it is lost, or the first time it is not yet.
    @inline(never) func detectLoss(
        _ b: Block, _ s: SendStatePointer, wait: inout Nanoseconds, again: inout Bool
    ) -> Bool {
        wait = 0
        guard s.pointee.rackStamp != .min else { return false }
        let window = reorderingWindow(b, s)
        var isLost = false
        var frame = s.pointee.sentFirst
        while frame != .none {
            let info = pool.info(frame)
            let stamp = info.pointee.stamp
            let end = SequenceNumber(info.pointee.sequence) + Int(info.pointee.count)
            guard stamp < s.pointee.rackStamp || stamp == s.pointee.rackStamp && end < s.pointee.rackEnd else { break }
            let next = sentAfter(info)
            let remaining = stamp &+ s.pointee.rackRoundTrip &+ window &- now
            if remaining <= 0 {
                if info.pointee.flags & SendFlags.retransmitted != 0 { again = true }
                markLost(b, s, frame)
                isLost = true
            } else {
                wait = max(wait, remaining)
            }
            frame = next
        }
        return isLost
    }

    /// The reordering window of something has passed.
    func reorderingTimerFired(_ b: Block) {
        guard let s = b.pointee.send else { return restartLossTimer(b) }
        var wait: Nanoseconds = 0
        var again = false
        if detectLoss(b, s, wait: &wait, again: &again) { lossDetected(b, s, AckSample(), again: again) }
        if wait > 0 {
            setLossTimer(b, .reorderTimer, now &+ wait)
        } else {
            restartLossTimer(b)
        }
        touch(b)
    }
}
