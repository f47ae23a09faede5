import Runtime

/// RFC 9293 3.3.2. LISTEN is no state of a block: see Listener.swift.
enum TCPState: UInt8 {
    case closed, synSent, synReceived, established, finWait1, finWait2, closeWait, closing, lastAck, timeWait

    /// Both sides know each other's sequence numbers.
    var isSynchronized: Bool { rawValue >= TCPState.established.rawValue }
    /// The peer may still send text.
    var canReceive: Bool { self == .established || self == .finWait1 || self == .finWait2 }
}

@usableFromInline
struct ControlFlags: OptionSet, BitwiseCopyable, Sendable {
    @usableFromInline let rawValue: UInt32
    @inlinable @inline(__always) init(rawValue: UInt32) { self.rawValue = rawValue }

    /// In the ready list / the list of blocks `output` must look at. Each list holds a block at most once.
    @inlinable static var inReady: ControlFlags { ControlFlags(rawValue: 1) }
    @inlinable static var inTouched: ControlFlags { ControlFlags(rawValue: 1 << 1) }
    /// An ACK leaves in this turn, with data or without.
    static let ackNow = ControlFlags(rawValue: 1 << 2)
    /// Negotiated on the SYNs (RFC 7323, RFC 2018); never changes afterwards.
    static let timestamps = ControlFlags(rawValue: 1 << 3)
    static let sackPermitted = ControlFlags(rawValue: 1 << 4)
    /// The user said `shutdown`: FIN follows the last committed byte.
    @inlinable static var finQueued: ControlFlags { ControlFlags(rawValue: 1 << 5) }
    /// FIN was sent at least once; it has the sequence number `sndEnd`.
    static let finSent = ControlFlags(rawValue: 1 << 6)
    /// The user let go (`free`): no more events, received text is dropped.
    @inlinable static var released: ControlFlags { ControlFlags(rawValue: 1 << 7) }
    /// Out of the table, without timers and queues; only the lists above may still name it.
    static let dead = ControlFlags(rawValue: 1 << 8)
    /// Opened by a listener; until established it is in the half-open list and unknown to the user.
    static let passive = ControlFlags(rawValue: 1 << 9)
    /// Between the detection of a loss and the ACK of `recover` (RFC 6675, RFC 6582).
    static let fastRecovery = ControlFlags(rawValue: 1 << 10)
    /// The window is closed to what waits: `retransmitAt` is the persist timer, not the retransmission timer.
    static let persisting = ControlFlags(rawValue: 1 << 11)
    /// Output was held back for want of frames or room in the transmit queue; it stays touched.
    static let starved = ControlFlags(rawValue: 1 << 12)
    /// The user has not been told yet that the connection is over.
    static let closedTold = ControlFlags(rawValue: 1 << 13)
    /// The SYN was retransmitted (RFC 6298 5.7, and RFC 5681 3.1: the initial window is one segment then).
    static let synRetransmitted = ControlFlags(rawValue: 1 << 14)
    /// The peer's FIN was seen, maybe behind a gap: it has the sequence number `rcvFin`.
    static let finSeen = ControlFlags(rawValue: 1 << 15)
    /// Both SYNs carry window scaling (RFC 7323 2.2).
    static let windowScaling = ControlFlags(rawValue: 1 << 16)
    /// `send` is not nil: the short ways, which know nothing of a scoreboard, are closed.
    static let scored = ControlFlags(rawValue: 1 << 17)
    /// After a retransmission timeout, until `recover` is acknowledged.
    static let timeoutRecovery = ControlFlags(rawValue: 1 << 18)
    /// What `retransmitAt` is: the time of a tail loss probe, or the end of a reordering window (RFC 8985); with neither and
    /// without `persisting` the retransmission timeout. At most one of the three is set.
    static let probeTimer = ControlFlags(rawValue: 1 << 19)
    static let reorderTimer = ControlFlags(rawValue: 1 << 20)

    // MARK: ECN (RFC 3168)
    /// Both SYNs agreed on it.
    static let ecn = ControlFlags(rawValue: 1 << 21)
    /// CE came and the peer has not said CWR since: every ACK carries ECE. Only with `ecn`.
    static let echoesCongestion = ControlFlags(rawValue: 1 << 22)
    /// The congestion window was reduced: the next new text carries CWR. Only with `ecn`.
    static let owesCWR = ControlFlags(rawValue: 1 << 23)
    /// The segment that is being built is not ECT: set around a call of `emit` only.
    static let notCapable = ControlFlags(rawValue: 1 << 24)
    /// The next segment tells the receiver's round trip by its echo: it takes the long way.
    static let measuresRoundTrip = ControlFlags(rawValue: 1 << 28)
    /// An ACK is due and held back (HeldAcks.swift): until `delayedAckAt` at the latest.
    static let holdsAck = ControlFlags(rawValue: 1 << 29)
    /// The last that happened was the answer to a request on the spot: the reply, one frame, is in flight, and nothing else
    /// is anywhere (`violationOfAnswered`). So the next request need not ask for all that. Set by `answer`; everything but
    /// a request and its answer takes it away, most of it in `touch`.
    static let answered = ControlFlags(rawValue: 1 << 30)
    /// The user let go of a connection that goes on: in place of its context is `orphanUntil`. Only with `released`.
    static let orphaned = ControlFlags(rawValue: 1 << 31)

    /// Whatever a reply alone does not settle (Output.swift: sendReply).
    @inline(__always) static var unusualOutput: ControlFlags {
        [.dead, .finQueued, .persisting, .scored, .echoesCongestion, .owesCWR, .holdsAck]
    }

    /// Whatever closes the short way of Prediction.swift.
    @inline(__always) static var unpredicted: ControlFlags {
        [.finSeen, .finSent, .released, .fastRecovery, .persisting, .measuresRoundTrip]
    }

    /// Whatever keeps a request from being served, or its reply from being sent, on the spot (Answer.swift).
    @inline(__always) static var unanswered: ControlFlags {
        unpredicted.union(unusualOutput)
    }
}

@usableFromInline typealias Block = UnsafeMutablePointer<ControlBlock>

/// One connection's state (the TCB of RFC 9293 3.3.1). Trivial memory in a slab; an idle connection owns nothing else.
/// The first lines of the cache are those that a small request and its reply use.
@usableFromInline
struct ControlBlock {
    /// The wheel's node; scheduled not later than the earliest of the block's deadlines, maybe earlier (then it looks and
    /// goes on). First, so that a node's address is its block's.
    var timer = TimerNode()

    // MARK: identity
    /// Remote address and ports as they lie on the wire (ConnectionTable.key). Unique among live blocks.
    var key: UInt64 = 0
    var state: TCPState = .closed
    /// Bytes of options in every segment after the SYN: 0 or 12.
    var optionsLength: UInt8 = 0
    /// Shifts for SND.WND and RCV.WND, 0...14; both 0 unless both sides offered scaling.
    var sndScale: UInt8 = 0
    var rcvScale: UInt8 = 0
    @usableFromInline var flags: ControlFlags = []

    // MARK: receive sequence space
    /// RCV.NXT: everything before it was delivered to `receive queue` or dropped for a released user.
    var rcvNxt = SequenceNumber(0)
    /// RCV.NXT + RCV.WND as last advertised: the right edge; never moves left. rcvNxt <= rcvEdge.
    var rcvEdge = SequenceNumber(0)
    /// RCV.NXT as last sent in an ACK (RFC 7323 Last.ACK.sent). lastAckSent <= rcvNxt.
    var lastAckSent = SequenceNumber(0)
    /// RFC 7323 TS.Recent: to be echoed.
    var tsRecent: UInt32 = 0

    // MARK: send sequence space. sndUna <= sndMax
    var sndUna = SequenceNumber(0)
    /// SND.NXT, behind the highest octet ever sent. It never falls back: what is sent again is the scoreboard's.
    var sndMax = SequenceNumber(0)
    /// Behind the last octet in the frames of the send queue: that of the next committed byte if no chunks wait, and of FIN.
    @usableFromInline var sndEnd = SequenceNumber(0)
    /// SND.WND, scaled, and the largest ever.
    var sndWnd: UInt32 = 0
    var sndWndMax: UInt32 = 0
    /// Sequence and acknowledgement of the segment that `sndWnd` is from.
    var sndWl1 = SequenceNumber(0)
    var sndWl2 = SequenceNumber(0)

    // MARK: congestion (RFC 5681), in bytes
    /// >= mss.
    var cwnd: UInt32 = 0
    /// >= 2 * mss.
    var ssthresh: UInt32 = .max
    /// CUBIC's W_max (RFC 9438 4.1.2); 0: none, or forgotten after a timeout.
    var wMax: UInt32 = 0
    /// Millisecond clock when the side block was given back: since then at most one segment was in flight.
    var idleSince: UInt32 = 0
    /// Largest text of a segment, options already taken off. 1 <= mss <= Configuration.mtu - 40.
    @usableFromInline var mss: UInt16 = 0
    /// Consecutive duplicates of the present sndUna, saturating.
    var duplicateAcks: UInt8 = 0
    /// Timeouts (or probes) since the last progress.
    var backoff: UInt8 = 0

    // MARK: lists
    /// Next in the ready list / the touched list; meaningful while the flag is set.
    @usableFromInline var nextReady: Block?
    var nextTouched: Block?
    @usableFromInline var events: StreamEvents = []
    /// Segments behind a gap since rcvNxt moved last: up to `HeldAcks.atOnce` answered each by its own ACK, then those that
    /// wait for one (HeldAcks.swift).
    var gapSegments: UInt8 = 0
    /// The window field that `sndWnd` is from, as it lies on the wire; meaningful with the flag `answered`.
    var sndWndField: UInt16 = 0

    // MARK: send queue: frames chained by FrameInfo.next in sequence order, covering [first sequence <= sndUna, sndEnd)
    /// Oldest frame not wholly acknowledged; .none when the queue is empty.
    @usableFromInline var sndHead: FrameID = .none
    @usableFromInline var sndTail: FrameID = .none
    /// The frame that holds the octet sndMax; .none when sndMax is at (or behind) sndEnd.
    @usableFromInline var sndUnsent: FrameID = .none
    /// Lent by `outputSpan`, not yet in the queue; .none outside of outputSpan...commit.
    @usableFromInline var openFrame: FrameID = .none
    /// Frames in the queue (openFrame excluded).
    @usableFromInline var sndFrames: UInt16 = 0
    /// Frames in the receive queue and in the out-of-order queue.
    @usableFromInline var rcvFrames: UInt16 = 0
    var oooFrames: UInt16 = 0
    /// Segments sent again since the connection began, saturating: what `Stack.info` tells an operator.
    var retransmits: UInt16 = 0

    // MARK: receive queue: frames in sequence order, then chunks; what is unread
    @usableFromInline var rcvHead: FrameID = .none
    var rcvTail: FrameID = .none
    /// Bytes unread in frames and chunks: not more than was ever advertised.
    @usableFromInline var rcvBytes: UInt32 = 0
    /// The largest window that may be advertised: at first Configuration.receiveWindow, as far as the scale agreed on can
    /// say it; grows to receiveWindowMaximum with what the user consumes (ReceiveWindow.swift).
    var rcvLimit: UInt32 = 0
    /// Beyond a gap: the first frames of the first and of the last run (Reassembly.swift), all of it behind rcvNxt.
    var oooHead: FrameID = .none
    var oooTail: FrameID = .none
    /// The measurement by which rcvLimit grows; nil before text came in bulk.
    var receive: UnsafeMutablePointer<ReceiveState>?

    // MARK: timers. Int64.max: not running
    /// Retransmission (RFC 6298), tail loss probe, reordering (the flags tell), persist, or in TIME-WAIT and orphaned FIN-WAIT-2 the end.
    var retransmitAt: Nanoseconds = .max
    var delayedAckAt: Nanoseconds = .max
    /// When the last segment came: for keepalive and PAWS.
    var lastReceived: Nanoseconds = 0
    var estimator = RoundTripEstimator()

    // MARK: addressing
    /// What is equal in all segments of the same length, made for that of the last one (`makeHeader`): bytes of TCP header
    /// and text, 0 before the first; the IPv4 header's first 16 bytes; and the sum of the TCP pseudo-header and, with
    /// timestamps, of their option's kind and length.
    var headerCount: UInt32 = 0
    var headerSum: UInt64 = 0
    var headerWord0: UInt64 = 0
    var headerWord1: UInt64 = 0
    /// Next hop's hardware address as `Ethernet.raw`, valid while `nextHopGeneration` is the cache's generation.
    var nextHopRaw: UInt64 = 0
    var nextHopGeneration: UInt32 = 0
    /// Added to the millisecond clock for our timestamps (RFC 7323 5.4: not guessable).
    var tsOffset: UInt32 = 0

    // MARK: seldom
    /// What a sender with more than one segment in flight needs besides; nil while little is in flight. Exactly then the
    /// flag `scored` is off.
    var send: SendStatePointer?
    var iss = SequenceNumber(0)
    /// sndMax when the last recovery (or timeout) began.
    var recover = SequenceNumber(0)
    /// Runs in the out-of-order queue (Reassembly.swift). 0 exactly while oooHead is .none; <= oooFrames.
    var oooRuns: UInt16 = 0
    /// The peer's FIN; meaningful with `finSeen`.
    var rcvFin = SequenceNumber(0)
    /// Backlog at which `.writable` was last armed; 0: not armed.
    var writableMark: UInt32 = 0
    /// `nowMilliseconds` when a suspicious segment was last answered (Challenges.swift).
    var suspectAnsweredAt: UInt32 = 0
    /// Received text and output beyond the frames: chains of heap chunks, oldest first.
    @usableFromInline var rcvChunks = ChunkQueue()
    @usableFromInline var sndChunks = ChunkQueue()
    /// Neighbours in the half-open or the TIME-WAIT list, whichever the state says.
    var agePrevious: Block?
    var ageNext: Block?
    /// The user's; or, with `orphaned`, `orphanUntil`.
    @usableFromInline var context: UnsafeMutableRawPointer?
}

extension ControlBlock {
    /// Octets sent and not acknowledged (SYN and FIN included).
    @inline(__always) var flight: Int { sndMax - sndUna }
    @inline(__always) var sndNxt: SequenceNumber { sndMax }
    /// Released by the user (`free`): the instant at which patience ends; .max before, and without end.
    var orphanUntil: Nanoseconds {
        get { flags.contains(.orphaned) ? Nanoseconds(Int(bitPattern: context)) : .max }
        set {
            if newValue != .max {
                flags.formUnion(.orphaned)
                context = UnsafeMutableRawPointer(bitPattern: Int(newValue))
            } else if flags.contains(.orphaned) {
                flags.subtract(.orphaned)
                context = nil
            }
        }
    }
    /// What the peer may still send.
    @inline(__always) var rcvWindow: Int { rcvEdge - rcvNxt }
    /// Bytes committed and not acknowledged.
    @inline(__always) var backlog: Int {
        // FIN's octet lies behind sndEnd and is no byte of the user's.
        max(0, sndEnd - sndUna) &+ sndChunks.count
    }
}
