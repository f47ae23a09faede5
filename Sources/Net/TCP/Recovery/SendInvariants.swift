import Runtime

/// Sums over a send queue that `SendState` must agree with.
struct SendScores {
    private(set) var sackedFrames = 0
    private(set) var sackedBytes = 0
    private(set) var lostBytes = 0
    private(set) var linkedFrames = 0
    /// Sent frames of none of these kinds.
    private(set) var otherFrames = 0
    /// Whether the frames that the side block remembers are in the queue, and no lost one lies before the first of them.
    private var (sawLostHint, sawSackHint, sawLost) = (false, false, false)
    private(set) var isHintWrong = false

    /// A sentence when the frame's flags contradict each other.
    mutating func add(_ frame: FrameID, _ info: FrameInfo, _ b: ControlBlock) -> String? {
        let flags = info.flags
        if frame == b.send?.pointee.lostHint {
            sawLostHint = true
            isHintWrong = sawLost
        }
        if frame == b.send?.pointee.sackHint { sawSackHint = true }
        if flags & SendFlags.lost != 0 { sawLost = true }
        let isSent = flags & SendFlags.sent != 0
        if !isSent, flags & ~SendFlags.sent != 0 { return "never sent, and flags \(flags)" }
        let kinds = (flags & (SendFlags.sacked | SendFlags.lost | SendFlags.linked)).nonzeroBitCount
        if kinds > 1 { return "flags \(flags)" }
        if flags & SendFlags.sacked != 0 {
            sackedFrames += 1
            sackedBytes += Int(info.count)
        }
        let start = SequenceNumber(info.sequence)
        let end = start + Int(info.count)
        // Of a frame that was sent in part, nothing may be in flight.
        let outstanding = (b.sndMax < end ? b.sndMax : end) - SequenceNumber.later(start, b.sndUna)
        if flags & SendFlags.lost != 0 { lostBytes += outstanding }
        if flags & SendFlags.linked != 0 { linkedFrames += 1 }
        if isSent, kinds == 0, outstanding > 0 { otherFrames += 1 }
        if kinds > 0, outstanding <= 0 { return "nothing of it is in flight, and flags \(flags)" }
        return nil
    }

    func hintViolation(_ s: SendState) -> String? {
        if s.lostHint != .none, !sawLostHint { return "scoreboard: lostHint \(s.lostHint) is not in the queue" }
        if s.sackHint != .none, !sawSackHint { return "scoreboard: sackHint \(s.sackHint) is not in the queue" }
        return isHintWrong ? "scoreboard: something before lostHint is lost" : nil
    }
}

extension Stack {
    /// The side block's counters and its list agree with the send queue.
    func violationOfScores(_ b: Block, _ scores: SendScores) -> String? {
        guard let s = b.pointee.send?.pointee else {
            let nothing = scores.sackedFrames == 0 && scores.lostBytes == 0 && scores.linkedFrames == 0
            return nothing ? nil : "scores without a side block: \(scores)"
        }
        if Int(s.sackedFrames) != scores.sackedFrames || Int(s.sackedBytes) != scores.sackedBytes {
            return "scoreboard: \(s.sackedFrames) frames and \(s.sackedBytes) bytes sacked, \(scores) found"
        }
        if Int(s.lostBytes) != scores.lostBytes + (s.finLost ? 1 : 0) {
            return "scoreboard: \(s.lostBytes) bytes lost, FIN \(s.finLost), \(scores) found"
        }
        if s.finLost, b.pointee.sndMax != b.pointee.sndEnd + 1 { return "scoreboard: a lost FIN that is not in flight" }
        if scores.otherFrames > 0, !b.pointee.flags.contains(.persisting) {
            return "scoreboard: sent frames without a place: \(scores)"
        }
        if let wrong = scores.hintViolation(s) { return wrong }
        var (count, previous, frame) = (0, FrameID.none, s.sentFirst)
        while frame != .none {
            guard Int(frame) < pool.count, count < pool.count else { return "scoreboard: broken list at \(frame)" }
            let info = pool.info(frame).pointee
            if info.flags & SendFlags.linked == 0 {
                return "scoreboard: frame \(frame) in the list, flags \(info.flags)"
            }
            count += 1
            previous = frame
            frame = FrameID(truncatingIfNeeded: info.extra >> 32)
        }
        if count != scores.linkedFrames { return "scoreboard: \(count) frames in the list, \(scores) found" }
        if previous != s.sentLast { return "scoreboard: the last of the list is not \(s.sentLast)" }
        return violationOfHints(b, s)
    }
}
