import Runtime

/// Sums over a send queue that `SendState` must agree with.
struct SendScores {
    private(set) var sackedFrames = 0
    private(set) var sackedBytes = 0
    private(set) var lostBytes = 0
    private(set) var linkedFrames = 0

    /// A sentence when the frame's flags contradict each other.
    mutating func add(_ frame: FrameID, _ info: FrameInfo, sndMax: SequenceNumber) -> String? {
        let flags = info.flags
        let isSent = flags & SendFlags.sent != 0
        if !isSent, flags & ~SendFlags.sent != 0 { return "never sent, and flags \(flags)" }
        let kinds = [SendFlags.sacked, SendFlags.lost, SendFlags.linked].count { flags & $0 != 0 }
        if kinds > 1 { return "flags \(flags)" }
        if flags & SendFlags.sacked != 0 {
            sackedFrames += 1
            sackedBytes += Int(info.count)
        }
        if flags & SendFlags.lost != 0 { lostBytes += Int(info.count) }
        if flags & SendFlags.linked != 0 { linkedFrames += 1 }
        return nil
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
