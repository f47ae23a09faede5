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
    /// Bytes in frames of the queue that are sacked.
    var sackedBytes: UInt32 = 0
    /// Bytes in flight that are taken for lost and were not sent again since (FIN's octet included).
    var lostBytes: UInt32 = 0
    /// Frames in the queue with `SendFlags.sacked`.
    var sackedFrames: UInt32 = 0
    /// No frame of the queue before this one is lost; .none: unknown, search from the head.
    var lostHint: FrameID = .none
    /// The frame at which the marking of the rightmost SACK block ended; .none: unknown.
    var sackHint: FrameID = .none
    /// The SACK blocks of the last ACK that had any: all they cover is marked. Left edges at even places.
    var knownSacks = SackBlocks()
    /// FIN is taken for lost: one of `lostBytes`.
    var finLost = false

    /// RACK (RFC 8985 5.2): transmission time, end and round trip of the latest frame known to have arrived; .min: none.
    var rackStamp: Nanoseconds = .min
    var rackEnd = SequenceNumber(0)
    var rackRoundTrip: Nanoseconds = 0
    /// The least round trip since `leastSince`; .max: none.
    var leastRoundTrip: Nanoseconds = .max
    var leastSince: Nanoseconds = 0
    /// RACK.fack: behind the rightmost octet known to have arrived.
    var forwardAck = SequenceNumber(0)
    /// A frame that was sent once arrived after a later one.
    var hasReordering = false
    /// Quarters of the least round trip in the reordering window, and the recoveries after which it is one again.
    var windowFactor: UInt8 = 1
    var windowPersists: UInt8 = 0
    /// The window was enlarged in the round trip that ends with this ACK.
    var hasFactorRound = false
    var factorRound = SequenceNumber(0)

    /// A tail loss probe is out (RFC 8985 7): sndMax when it left, and whether it repeated the last segment.
    var isProbing = false
    var probeRepeats = false
    var probeEnd = SequenceNumber(0)

    /// PRR (RFC 9937): bytes delivered and sent since recovery began, and bytes in flight at its begin.
    var delivered: UInt32 = 0
    var sentInRecovery: UInt32 = 0
    var recoveryFlight: UInt32 = 1

    /// With `mayUndo`: the reduction of the last recovery or timeout is undone when it proves spurious. Text behind
    /// `undoStart` was sent again; `undoBytes` of it were, less what was reported by D-SACK; the first of it left with the
    /// timestamp `undoTimestamp`.
    var mayUndo = false
    /// Nothing was sent again yet: `undoTimestamp` is not set.
    var undoIsFresh = false
    var undoStart = SequenceNumber(0)
    var undoBytes: Int32 = 0
    var undoTimestamp: UInt32 = 0
    /// Bytes sent again and not yet reported by D-SACK, saturating: a peer can only report what was sent again.
    var repeatedBytes: UInt32 = 0

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
        s.pointee.forwardAck = b.pointee.sndUna
        // Until samples say better.
        let smoothed = b.pointee.estimator.smoothed
        if smoothed != 0 {
            s.pointee.leastRoundTrip = Nanoseconds(smoothed >> 3) &* 1_000
            s.pointee.leastSince = now
        }
        // What left before (it is little) is in flight.
        var frame = b.pointee.sndHead
        while frame != .none, pool.info(frame).pointee.flags & SendFlags.sent != 0 {
            link(s, frame)
            frame = pool.info(frame).pointee.next
        }
        return s
    }

    /// Gives the side block back. Nothing is in flight, or the connection ends.
    func freeSendState(_ b: Block) {
        guard let s = b.pointee.send else { return }
        b.pointee.idleSince = nowMilliseconds
        // Of the oldest frame a part may have been sent, and acknowledged: it is in no list any more.
        if b.pointee.sndHead != .none {
            pool.info(b.pointee.sndHead).pointee.flags &= SendFlags.sent | SendFlags.retransmitted
        }
        sendStates.free(s)
        b.pointee.send = nil
        b.pointee.flags.subtract([.scored, .fastRecovery, .timeoutRecovery])
    }

    // MARK: frames by the time of their last transmission

    /// `frame` has just left: it is the last. O(1).
    @inline(__always) func link(_ s: SendStatePointer, _ frame: FrameID) {
        let info = pool.info(frame)
        let last = s.pointee.sentLast
        info.pointee.extra = UInt64(last) | UInt64(FrameID.none) << 32
        info.pointee.flags |= SendFlags.linked
        if last == .none {
            s.pointee.sentFirst = frame
        } else {
            let before = pool.info(last)
            before.pointee.extra = before.pointee.extra & 0xFFFF_FFFF | UInt64(frame) << 32
        }
        s.pointee.sentLast = frame
    }

    /// Takes a linked frame out of the list. O(1).
    @inline(__always) func unlink(_ s: SendStatePointer, _ info: UnsafeMutablePointer<FrameInfo>) {
        let previous = FrameID(truncatingIfNeeded: info.pointee.extra)
        let next = FrameID(truncatingIfNeeded: info.pointee.extra >> 32)
        info.pointee.flags &= ~SendFlags.linked
        if previous == .none {
            s.pointee.sentFirst = next
        } else {
            let before = pool.info(previous)
            before.pointee.extra = before.pointee.extra & 0xFFFF_FFFF | UInt64(next) << 32
        }
        if next == .none {
            s.pointee.sentLast = previous
        } else {
            let after = pool.info(next)
            after.pointee.extra = after.pointee.extra & ~0xFFFF_FFFF | UInt64(previous)
        }
    }

    /// The frame that was sent next after this linked one.
    @inline(__always) func sentAfter(_ info: UnsafeMutablePointer<FrameInfo>) -> FrameID {
        FrameID(truncatingIfNeeded: info.pointee.extra >> 32)
    }
}

extension ControlBlock {
    /// Octets that are in the network as far as one knows (RFC 6675 "pipe"): sent, neither acknowledged nor sacked, nor
    /// taken for lost.
    @inline(__always) var pipe: Int {
        let flight = sndMax - sndUna
        guard let send else { return flight }
        return max(0, flight &- Int(send.pointee.sackedBytes) &- Int(send.pointee.lostBytes))
    }
}
