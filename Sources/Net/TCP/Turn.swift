import Runtime

/// Fair service within a turn: whoever has little to send does not wait for those who have much. `output` serves the touched
/// connections in order; those with long send queues come after all others, and together send a bounded number of segments:
/// the rest of them comes first in the next turn, which is at once.
extension Stack {
    /// Frames in a send queue up to which a connection is served where it stands.
    static let fewFrames: UInt16 = 4
    /// Segments after which no further connection with a long queue begins to send in a turn. About as many microseconds.
    static let turnSegments = 64

    /// `b` is served at the end of the turn. It counts as touched until then.
    func postpone(_ b: Block) {
        b.pointee.flags.insert(.inTouched)
        b.pointee.nextTouched = nil
        if let tail = postponedTail { tail.pointee.nextTouched = b } else { postponedHead = b }
        postponedTail = b
    }

    /// The end of a turn with postponed connections.
    @inline(never) func outputPostponed() {
        let limit = transmitQueue.count &+ Self.turnSegments
        var next = postponedHead
        let tail = postponedTail
        postponedHead = nil
        postponedTail = nil
        while let b = next {
            if transmitQueue.count >= limit {
                // Before those that have sent something: they are touched by now.
                tail?.pointee.nextTouched = touchedHead
                touchedHead = b
                if touchedTail == nil { touchedTail = tail }
                isBursting = true
                return
            }
            next = b.pointee.nextTouched
            b.pointee.flags.subtract([.inTouched, .starved])
            outputNow(b)
        }
    }
}
