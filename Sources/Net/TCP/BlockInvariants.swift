import Runtime

/// What must hold of one control block between any two calls of the stack. Called by `findViolation` only.
extension Stack {
    /// A connection that is over: out of everything but the lists of `output` and of events.
    func violationOfDead(_ b: Block, _ owners: inout FrameOwners) -> String? {
        let flags = b.pointee.flags
        if b.pointee.state != .closed { return "dead and in a state" }
        if b.pointee.timer.isScheduled { return "dead with a timer" }
        if b.pointee.sndHead != .none || b.pointee.openFrame != .none || b.pointee.sndChunks.head != nil {
            return "dead with output"
        }
        if b.pointee.oooHead != .none { return "dead with text behind gaps" }
        if b.pointee.send != nil || b.pointee.receive != nil { return "dead with a side block" }
        if flags.contains(.released), flags.isDisjoint(with: [.inReady, .inTouched]) { return "dead and forgotten" }
        if flags.contains(.released), b.pointee.rcvHead != .none || b.pointee.rcvChunks.head != nil {
            return "dead and released with unread text"
        }
        return violationOfReceived(b, &owners)
    }

    /// A connection that is in the table.
    func violation(_ b: Block, _ owners: inout FrameOwners) -> String? {
        if b.pointee.state == .closed { return "closed and not dead" }
        if b.pointee.flags.contains(.scored) != (b.pointee.send != nil) { return "side block and its flag disagree" }
        return violationOfSendSpace(b) ?? violationOfSendQueue(b, &owners) ?? violationOfReceiveSpace(b)
            ?? violationOfReceived(b, &owners) ?? violationOfGaps(b, &owners) ?? violationOfTimers(b)
            ?? violationOfProgress(b) ?? violationOfAnswered(b)
    }

    /// What a request need not ask for when the flag `answered` is set.
    private func violationOfAnswered(_ b: Block) -> String? {
        let c = b.pointee
        guard c.flags.contains(.answered) else { return nil }
        if c.state != .established || c.optionsLength != 12 { return "answered and \(c.state)" }
        if !c.flags.isDisjoint(with: .unanswered.union([.inTouched, .ackNow])) { return "answered: flags \(c.flags)" }
        if c.rcvHead != .none || c.rcvChunks.head != nil || c.oooHead != .none { return "answered: text is there" }
        if c.sndFrames != 1 || c.sndUnsent != .none || c.sndMax != c.sndEnd || c.sndChunks.head != nil {
            return "answered: not one frame in flight"
        }
        if pool.info(c.sndHead).pointee.flags != SendFlags.sent { return "answered: not sent once" }
        if c.writableMark != 0 || c.delayedAckAt != .max || c.backoff != 0 {
            return "answered: a mark, an ACK, backoff"
        }
        if 2 * c.flight >= Int(c.cwnd) { return "answered: the congestion window would grow" }
        let window = UInt32(c.sndWndField.bigEndian) &<< UInt32(c.sndScale)
        return c.sndWnd == window ? nil : "answered: sndWnd \(c.sndWnd) of field \(window)"
    }

    // MARK: sending

    private func violationOfSendSpace(_ b: Block) -> String? {
        let c = b.pointee
        let finOctet = c.flags.contains(.finSent) ? 1 : 0
        let una = c.sndUna
        let (most, end) = (c.sndMax - una, c.sndEnd + finOctet - una)
        if most < 0 { return "sndMax \(most) from sndUna" }
        // TIME-WAIT has dropped its queue, but not its numbers.
        if most > end { return "from sndUna: sndMax \(most), sndEnd and FIN \(end)" }
        if c.flags.contains(.finSent), !c.flags.contains(.finQueued) { return "FIN sent, but not asked for" }
        if c.state.isSynchronized {
            let mss = Int(c.mss)
            if mss < 1 || mss > configuration.mtu - 40 { return "mss \(mss)" }
            if Int(c.cwnd) < mss { return "cwnd \(c.cwnd) below mss \(mss)" }
            if Int(c.ssthresh) < 2 * mss { return "ssthresh \(c.ssthresh) below two of mss \(mss)" }
            if c.sndWnd > c.sndWndMax { return "sndWnd \(c.sndWnd) above the largest ever \(c.sndWndMax)" }
            if c.optionsLength != (c.flags.contains(.timestamps) ? 12 : 0) { return "options of \(c.optionsLength)" }
        }
        if c.sndScale > 14 || c.rcvScale > 14 { return "scales \(c.sndScale) \(c.rcvScale)" }
        switch c.state {
        case .established, .closeWait: return c.flags.contains(.finSent) ? "FIN sent" : nil
        case .finWait1, .closing, .lastAck: return most > end ? "FIN acknowledged" : nil
        case .finWait2, .timeWait:
            return c.flags.contains(.finSent) && end == 0 ? nil : "FIN not acknowledged: \(end)"
        case .closed, .synSent, .synReceived: return most == 1 ? nil : "SYN: \(most)"
        }
    }

    /// Frames contiguous up to sndEnd, none wholly acknowledged, what was sent flagged so.
    private func violationOfSendQueue(_ b: Block, _ owners: inout FrameOwners) -> String? {
        let c = b.pointee
        var at: SequenceNumber?
        var frame = c.sndHead
        var (frames, last, holder) = (0, FrameID.none, FrameID.none)
        var scores = SendScores()
        while frame != .none {
            guard frames < pool.count, owners.add(frame) else { return "send queue: broken chain at \(frame)" }
            let info = pool.info(frame).pointee
            let start = SequenceNumber(info.sequence)
            let end = start + Int(info.count)
            // A text is made only of what is wrong: this runs after every step of a fuzzer.
            var name: String { "send queue: frame \(frames) at \(start - c.sndUna) of \(info.count)" }
            if let at, at != start { return "\(name) does not continue \(at - c.sndUna)" }
            if info.count == 0 || Int(info.count) > pool.frameSize - Self.payloadOffset { return "\(name) size" }
            if frames == 0, start > c.sndUna, c.state.isSynchronized { return "\(name) behind sndUna" }
            if end <= c.sndUna { return "\(name) is acknowledged" }
            let wasSent = info.flags & SendFlags.sent != 0
            if wasSent != (start < c.sndMax) { return "\(name): flags \(info.flags), sndMax \(c.sndMax - c.sndUna)" }
            if start <= c.sndMax, c.sndMax < end { holder = frame }
            if let wrong = scores.add(frame, info, c) { return "\(name): \(wrong)" }
            at = end
            last = frame
            frames += 1
            frame = info.next
        }
        if last != c.sndTail { return "send queue: tail \(c.sndTail) is not the last \(last)" }
        if frames != Int(c.sndFrames) { return "send queue: counts \(c.sndFrames), \(frames) frames" }
        if let at, at != c.sndEnd { return "send queue: ends at \(at - c.sndUna), sndEnd \(c.sndEnd - c.sndUna)" }
        if last == .none, c.state.isSynchronized, c.sndEnd > c.sndUna {
            return "send queue: empty, sndEnd \(c.sndEnd - c.sndUna)"
        }
        if holder != c.sndUnsent { return "send queue: sndUnsent \(c.sndUnsent), sndMax lies in \(holder)" }
        if c.openFrame != .none, !owners.add(c.openFrame) { return "open frame \(c.openFrame)" }
        return violation(of: c.sndChunks, "output") ?? violationOfScores(b, scores)
    }

    private func violation(of chunks: ChunkQueue, _ name: String) -> String? {
        var bytes = 0
        var last: UnsafeMutablePointer<ChunkQueue.Header>?
        var chunk = chunks.head
        while let current = chunk {
            let c = current.pointee
            if c.start > c.end || c.end > ChunkQueue.capacity { return "\(name): chunk \(c.start)..<\(c.end)" }
            bytes += c.end - c.start
            last = current
            chunk = c.next
        }
        if last != chunks.head?.pointee.tail { return "\(name): the tail is not the last chunk" }
        return bytes == chunks.count ? nil : "\(name): counts \(chunks.count) in chunks, \(bytes) there"
    }

    // MARK: receiving

    private func violationOfReceiveSpace(_ b: Block) -> String? {
        let c = b.pointee
        guard c.state.isSynchronized || c.state == .synReceived else { return nil }
        if c.rcvNxt > c.rcvEdge { return "rcvNxt beyond rcvEdge by \(c.rcvNxt - c.rcvEdge)" }
        if c.lastAckSent > c.rcvNxt { return "lastAckSent beyond rcvNxt by \(c.lastAckSent - c.rcvNxt)" }
        if c.flags.contains(.finSeen), c.state.canReceive, c.rcvFin < c.rcvNxt { return "rcvNxt beyond the peer's FIN" }
        if c.flags.contains(.finSeen), !c.state.canReceive, c.rcvFin + 1 != c.rcvNxt { return "FIN is not the last" }
        return nil
    }

    private func violationOfReceived(_ b: Block, _ owners: inout FrameOwners) -> String? {
        let c = b.pointee
        var frame = c.rcvHead
        var (frames, bytes, last) = (0, 0, FrameID.none)
        while frame != .none {
            guard frames < pool.count, owners.add(frame) else { return "receive queue: broken chain at \(frame)" }
            let info = pool.info(frame).pointee
            if info.count == 0 || Int(info.start) + Int(info.count) > pool.frameSize {
                return "receive queue: frame \(frames) has \(info.start) and \(info.count)"
            }
            bytes += Int(info.count)
            frames += 1
            last = frame
            frame = info.next
        }
        if frames != Int(c.rcvFrames) { return "receive queue: counts \(c.rcvFrames) frames, \(frames) there" }
        if last != .none, last != c.rcvTail { return "receive queue: the tail is not the last" }
        if bytes + c.rcvChunks.count != Int(c.rcvBytes) {
            return "receive queue: counts \(c.rcvBytes) bytes, \(bytes) in frames, \(c.rcvChunks.count) in chunks"
        }
        return violation(of: c.rcvChunks, "input")
    }

    /// Text behind gaps: runs sorted, with something missing between any two, contiguous inside, within the window.
    private func violationOfGaps(_ b: Block, _ owners: inout FrameOwners) -> String? {
        let c = b.pointee
        var first = c.oooHead
        var (runs, frames, last) = (0, 0, FrameID.none)
        var end = c.rcvNxt
        while first != .none {
            guard runs < pool.count, Int(first) < pool.count else { return "gaps: broken chain at \(first)" }
            if runStart(first) <= end {
                return "gaps: run \(runs) at \(runStart(first) - c.rcvNxt), not behind \(end - c.rcvNxt)"
            }
            end = runStart(first)
            var frame = first
            var lastOfRun = FrameID.none
            while frame != .none {
                guard frames < pool.count, owners.add(frame) else { return "gaps: broken run at \(frame)" }
                let info = pool.info(frame).pointee
                var name: String {
                    "gaps: run \(runs), frame of \(info.count) at \(SequenceNumber(info.sequence) - c.rcvNxt)"
                }
                if SequenceNumber(info.sequence) != end { return "\(name) does not continue \(end - c.rcvNxt)" }
                if info.count == 0 || Int(info.start) + Int(info.count) > pool.frameSize { return "\(name): size" }
                end += Int(info.count)
                frames += 1
                lastOfRun = frame
                frame = info.next
            }
            if runEnd(first) != end || FrameID(truncatingIfNeeded: pool.info(first).pointee.extra) != lastOfRun {
                return "gaps: run \(runs) does not end with its last frame"
            }
            runs += 1
            last = first
            first = runNext(first)
        }
        if end > c.rcvEdge { return "gaps: text to \(end - c.rcvNxt), the window ends at \(c.rcvEdge - c.rcvNxt)" }
        if frames != Int(c.oooFrames) || runs != Int(c.oooRuns) {
            return "gaps: counts \(c.oooFrames) frames in \(c.oooRuns) runs, \(frames) in \(runs) there"
        }
        return last == c.oooTail ? nil : "gaps: the tail is not the last run"
    }

    // MARK: timers and progress

    /// The node in the wheel is not later than any of the block's deadlines.
    private func violationOfTimers(_ b: Block) -> String? {
        let c = b.pointee
        let earliest = min(c.retransmitAt, c.delayedAckAt, c.orphanUntil)
        if earliest != .max {
            guard c.timer.isScheduled else { return "a deadline and no timer" }
            if c.timer.deadline > earliest {
                return "timer \(c.timer.deadline - earliest) ns behind the first deadline"
            }
        }
        if c.flags.contains(.released), c.state.isSynchronized, c.state != .timeWait, c.orphanUntil == .max {
            return "released without an end to patience"
        }
        return nil
    }

    /// Nobody waits for ever: whatever is owed has a timer, or `output` will look.
    private func violationOfProgress(_ b: Block) -> String? {
        let c = b.pointee
        if !c.state.isSynchronized || c.state == .timeWait {
            return c.retransmitAt == .max ? "\(c.state) without an end" : nil
        }
        let touched = c.flags.contains(.inTouched)
        if c.sndMax != c.sndUna, c.retransmitAt == .max, !touched { return "in flight without a timer" }
        if c.flags.contains(.persisting), c.retransmitAt == .max { return "persisting without a timer" }
        let owes =
            c.sndUnsent != .none || c.sndChunks.count > 0 || c.flags.contains(.finQueued) && !c.flags.contains(.finSent)
        if owes, c.sndMax == c.sndUna, !touched, c.retransmitAt == .max { return "output that nothing will send" }
        if c.rcvNxt != c.lastAckSent, c.delayedAckAt == .max, !touched {
            return "an ACK that nothing will send"
        }
        if c.flags.contains(.holdsAck), c.delayedAckAt == .max, !touched { return "an ACK held back without an end" }
        if c.writableMark != 0, c.backlog <= Int(c.writableMark) / 2 {
            return "backlog \(c.backlog) below half of \(c.writableMark), and the user does not know"
        }
        return nil
    }
}
