import Runtime

/// The checker's part of `FragmentTable` and of narrow paths (Stack.findViolation).
extension FragmentTable {
    /// Pieces sorted without overlaps, counts and memory as they are; nil when all is right. O(pieces).
    func violation() -> String? {
        var used = 0
        var bytes = 0
        for index in 0..<Self.capacity where self[index].isUsed {
            let datagram = self[index]
            used += 1
            var count = 0
            var text = 0
            var end = 0
            var next = datagram.pieces
            while let piece = next {
                if piece.pointee.count <= 0 || piece.pointee.offset < end { return "fragments: pieces overlap" }
                end = piece.pointee.offset + piece.pointee.count
                count += 1
                text += piece.pointee.count
                next = piece.pointee.next
            }
            if count != datagram.pieceCount || text != datagram.bytes { return "fragments: pieces are miscounted" }
            if datagram.isRefused && count > 0 { return "fragments: a refused datagram has pieces" }
            if datagram.total >= 0 && (end > datagram.total || text == datagram.total) && !datagram.isRefused {
                return "fragments: a whole datagram waits, or one with too much"
            }
            bytes += text + count * Self.pieceOverhead
        }
        if used != count || bytes != memory || bytes > Self.maxBytes {
            return "fragments: counts \(count) and \(memory) bytes, \(used) and \(bytes) there"
        }
        return nil
    }
}

extension Stack {
    /// Fragments; adds this part's timers.
    func violationOfExtras(_ timers: inout Int) -> String? {
        if let wrong = fragments.violation() { return wrong }
        if fragments.count > 0 && !fragmentTimer.pointee.isScheduled { return "fragments: no timer" }
        timers += narrowPaths.count + (fragmentTimer.pointee.isScheduled ? 1 : 0)
        return nil
    }
}
