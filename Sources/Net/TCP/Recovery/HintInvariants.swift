import Runtime

extension Stack {
    /// What is lost adds up, and the places where walks begin lie in the queue.
    func violationOfHints(_ b: Block, _ s: SendState) -> String? {
        var lost = s.finLost ? 1 : 0
        var (hasLostHint, hasSackHint) = (s.lostHint == .none, s.sackHint == .none)
        var frame = b.pointee.sndHead
        while frame != .none {
            let info = pool.info(frame)
            if frame == s.lostHint { hasLostHint = true }
            if frame == s.sackHint { hasSackHint = true }
            if info.pointee.flags & SendFlags.lost != 0 {
                if !hasLostHint { return "scoreboard: frame \(frame) is lost before the hint \(s.lostHint)" }
                let count = outstanding(b, info)
                if count <= 0 { return "scoreboard: frame \(frame) is lost, \(count) octets of it in flight" }
                lost += count
            }
            frame = info.pointee.next
        }
        if !hasLostHint || !hasSackHint { return "scoreboard: hints \(s.lostHint) \(s.sackHint) not in the queue" }
        return lost == Int(s.lostBytes) ? nil : "scoreboard: \(s.lostBytes) bytes lost, \(lost) found"
    }
}
