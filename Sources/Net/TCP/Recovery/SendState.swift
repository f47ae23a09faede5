import Runtime

@usableFromInline typealias SendStatePointer = UnsafeMutablePointer<SendState>

/// What a sender must know beyond one small segment in flight: the scoreboard, loss detection, recovery, and congestion
/// control's state of the moment. A connection owns one (`ControlBlock.send`) from the time it sends a second segment into
/// the flight of a first, or anything again, until all it sent is acknowledged: an idle connection owns none. What must
/// outlive idleness is in the control block.
@usableFromInline
struct SendState: BitwiseCopyable {
    // MARK: recovery
    /// Frames in flight, neither sacked nor taken for lost, in the order of their last transmission, chained both ways
    /// through `FrameInfo.extra`. They are those with `SendFlags.linked`.
    var sentFirst: FrameID = .none
    var sentLast: FrameID = .none
    /// Bytes in sent frames of the queue that are sacked.
    var sackedBytes: UInt32 = 0
    /// Bytes in flight that are taken for lost and were not sent again since (FIN included).
    var lostBytes: UInt32 = 0
    /// Frames in the queue with `SendFlags.sacked`.
    var sackedFrames: UInt32 = 0
    /// No frame of the queue before this one is lost; .none: unknown, search from the head.
    var lostHint: FrameID = .none
    /// FIN is taken for lost: one of `lostBytes`.
    var finLost = false

    // MARK: congestion
    var congestion = CongestionState()
}

extension Stack {
    /// The connection's side block, made when there is none yet. `ControlFlags.scored` says that there is one.
    @inline(never) func takeSendState(_ b: Block) -> SendStatePointer {
        if let s = b.pointee.send { return s }
        let s = sendStates.allocate()
        s.initialize(to: SendState())
        b.pointee.send = s
        b.pointee.flags.insert(.scored)
        congestionRestart(b)
        return s
    }

    /// Gives the side block back. Nothing is in flight, or the connection ends.
    func freeSendState(_ b: Block) {
        guard let s = b.pointee.send else { return }
        b.pointee.idleSince = nowMilliseconds
        sendStates.free(s)
        b.pointee.send = nil
        b.pointee.flags.remove(.scored)
    }
}
