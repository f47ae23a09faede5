import Runtime

/// A connection of our own stack. A handle: copies name the same connection; it is valid from the event that showed it
/// (or `connect`) until `free`.
public struct TCPConnection: BitwiseCopyable, Equatable, Hashable {
    @usableFromInline let block: Block
    @inlinable @inline(__always) init(_ block: Block) { self.block = block }
    public static func == (a: TCPConnection, b: TCPConnection) -> Bool { a.block == b.block }
    public func hash(into hasher: inout Hasher) { hasher.combine(block) }
}

/// Ethernet, ARP, IPv4, ICMP and TCP for one address on one link queue: a library that is fed with bursts of frames and
/// the time, and leaves frames in `transmitQueue`. It belongs to one thread, takes no locks, reads no clock and does no
/// input or output itself. The byte streams keep the contract of ByteStream.swift.
///
/// One turn: `input` the burst, serve what `nextEvent` names, `advanceTimers`, `output`, hand `transmitQueue` to the link.
/// All decisions about what to send are made in `output`, so that an ACK rides on the reply of the same turn.
public final class Stack {
    /// Frames ready for the link; drained by `Link.transmit(from:)`. Each descriptor owns one reference.
    public let transmitQueue: FrameQueue
    /// With `strayHandling`: frames of flows this stack does not know, and ARP frames after they were handled. The
    /// caller owns the reference, copies the frame into other shards' pools for their `inputStray`, and releases it.
    public let strays: FrameQueue
    public internal(set) var configuration: Configuration
    public let pool: FramePool
    public internal(set) var statistics = StackStatistics()

    /// The time of the present burst call, and the same in milliseconds for timestamps.
    @usableFromInline var now: Nanoseconds
    var nowMilliseconds: UInt32 = 0
    /// When `nowMilliseconds` changes next: a division is dearer than a look at this.
    @usableFromInline var nextMillisecond: Nanoseconds = .min
    /// Below this many free frames the stack saves: received text moves to the heap, gaps are not filled, output waits.
    let scarceFrames: Int
    /// Free frames that control segments leave to the link.
    let controlReserve: Int
    /// The lower bound of the retransmission timeout, and the largest sum of the estimator to which it applies.
    let shortRTO: Nanoseconds
    let shortRTOMicroseconds: UInt32
    /// Our addresses as they lie on the wire.
    let addressRaw: UInt32
    let hardwareSelfRaw: UInt64
    /// Our hardware address and the type IPv4: the last eight bytes of the Ethernet header of everything TCP sends.
    let ethernetTail: UInt64
    let subnetMask: UInt32

    var wheel: TimingWheel
    var neighbours: NeighbourCache
    var table: ConnectionTable
    let blocks: Slab<ControlBlock>
    /// For bytes that wait outside of frames.
    public let chunks = ChunkPool()
    let sendStates: Slab<SendState>
    var ports: PortSet
    var isn: SequenceGenerator
    /// Where the search for an ephemeral port begins (RFC 6056).
    var nextEphemeral: UInt16
    /// Blocks with events, and blocks that `output` must look at: FIFO through nextReady / nextTouched.
    @usableFromInline var readyHead: Block?
    @usableFromInline var readyTail: Block?
    @usableFromInline var touchedHead: Block?
    var touchedTail: Block?
    /// Touched blocks with long send queues, which come last in a turn; empty between turns. Through nextTouched.
    var postponedHead: Block?
    var postponedTail: Block?
    /// A touched connection has more to send than one may in one turn.
    var isBursting = false
    /// An ACK is held back until then, some microseconds: too short for a sleep. In the past: none is (HeldAcks.swift).
    public internal(set) var heldUntil: Nanoseconds = .min
    /// Connections that other shards may still get segments of.
    let ended: EndedConnections
    /// Passive connections that are not established, and TIME-WAIT ones; both oldest first.
    var halfOpen = AgeList()
    var timeWait = AgeList()
    /// ACKs that may still be sent in answer to suspicious segments in this second of the clock (RFC 5961 7).
    var challengeBudget = 0
    var challengeSecond: Int64 = .min
    /// Until then the ACK of a SYN cookie may come.
    var cookiesUntil: Nanoseconds = .min
    /// Receive windows beyond the first size, and what the next ACK says of duplicates.
    var tuning: ReceiveTuning
    var duplicates = DuplicateReport()
    /// The block of the last expected segment, or `nobody`: with one busy connection the table need not be asked.
    var lastExpected: Block
    /// A closed block that no connection has.
    let nobody: Block
    /// Unfinished datagrams, and their one timer: scheduled while there are any, not later than the earliest end.
    var fragments = FragmentTable()
    let fragmentTimer: UnsafeMutablePointer<TimerNode>
    /// Of the last datagram that we sent in fragments.
    var fragmentIdentification: UInt16
    /// Connections with smaller segments than both ends agreed on.
    let narrowPaths = NarrowPaths()
    /// ICMP errors that may be sent (RFC 1812 4.3.2.8).
    var errorBudget = TokenBucket(interval: .milliseconds(10), burst: 50)
    /// Lent to users who write to a connection that is over; never read.
    let scratch: UnsafeMutableRawPointer
    static let scratchSize = 16 << 10

    public init(configuration: Configuration, pool: FramePool, entropy: Entropy, now: Nanoseconds) {
        precondition(configuration.mtu >= 576, "mtu below IPv4's minimum")
        precondition(configuration.mtu <= pool.frameSize - Self.payloadOffset, "mtu too large for the pool's frames")
        precondition(configuration.receiveWindow >= 2_048 && configuration.receiveWindow <= 1 << 30)
        precondition(configuration.receiveWindowMaximum <= 1 << 30)
        precondition((0...32).contains(configuration.prefixLength), "prefix length out of range")
        var entropy = entropy
        self.configuration = configuration
        self.pool = pool
        self.now = now
        transmitQueue = FrameQueue(capacity: configuration.transmitCapacity)
        strays = FrameQueue(capacity: configuration.strayHandling ? configuration.transmitCapacity : 1)
        ended = EndedConnections(isAmongOthers: configuration.strayHandling)
        scarceFrames = pool.count / 8
        controlReserve = pool.count / 64
        pool.setReserve(pool.count / 16)
        shortRTO = min(configuration.minimumRTO, RoundTripEstimator.maximum)
        shortRTOMicroseconds = UInt32(shortRTO / 1_000)
        addressRaw = configuration.address.bits.bigEndian
        hardwareSelfRaw = Ethernet.raw(configuration.hardwareAddress)
        ethernetTail = hardwareSelfRaw | UInt64(EtherType.ipv4.bigEndian) << 48
        subnetMask = configuration.prefixLength == 0 ? 0 : ~0 << UInt32(32 - configuration.prefixLength)
        wheel = TimingWheel(now: now)
        neighbours = NeighbourCache(entropy: &entropy)
        table = ConnectionTable(entropy: &entropy)
        blocks = Slab(objectsPerChunk: 128)
        sendStates = Slab(objectsPerChunk: 16)
        nobody = .allocate(capacity: 1)
        nobody.initialize(to: ControlBlock())
        lastExpected = nobody
        fragmentTimer = .allocate(capacity: 1)
        fragmentTimer.initialize(to: TimerNode(context: Self.fragmentContext))
        tuning = ReceiveTuning(budget: pool.count << Int(pool.shift) / 2)
        ports = PortSet()
        isn = SequenceGenerator(secret: configuration.secret ?? (entropy.next(), entropy.next()))
        nextEphemeral = UInt16(truncatingIfNeeded: entropy.next())
        fragmentIdentification = UInt16(truncatingIfNeeded: entropy.next())
        scratch = .allocate(byteCount: Self.scratchSize, alignment: 16)
        begin(now)
    }

    /// Gives every frame back to the pool. Connections that users still hold are invalid afterwards.
    deinit {
        removeAllNeighbours()
        releaseEverything()
        while let d = transmitQueue.pop() { pool.release(d.frame) }
        while let d = strays.pop() { pool.release(d.frame) }
        transmitQueue.deallocate()
        strays.deallocate()
        ended.deallocate()
        blocks.deallocate()
        chunks.deallocate()
        sendStates.deallocate()
        tuning.states.deallocate()
        narrowPaths.deallocate()
        fragmentTimer.deallocate()
        nobody.deallocate()
        scratch.deallocate()
    }

    /// Slots of the connection table; a step of some 10 microseconds.
    private static let movedPerMillisecond = 256

    /// For connections that are established from now on, and those that have it already. 0 turns it off.
    public func setKeepalive(_ keepalive: Nanoseconds) { configuration.keepalive = keepalive }

    @inlinable @inline(__always) func begin(_ now: Nanoseconds) {
        self.now = now
        if now >= nextMillisecond { beginMillisecond() }
    }

    @usableFromInline @inline(never) func beginMillisecond() {
        let milliseconds = now / 1_000_000
        nowMilliseconds = UInt32(truncatingIfNeeded: milliseconds)
        nextMillisecond = (milliseconds + 1) * 1_000_000
        table.tend(slots: Self.movedPerMillisecond)
    }

    /// Takes over every frame in the burst; the queue is empty afterwards.
    public func input(_ burst: FrameQueue, now: Nanoseconds) {
        begin(now)
        while let request = nextRequest(of: burst) { queue(request) }
    }

    @usableFromInline @inline(never) func inputUnexpected(_ d: FrameDescriptor) { inputFrame(d, stray: .own) }

    /// Takes over frames that another shard's link received; they lie in this stack's pool. Frames of flows that are
    /// unknown here too go to `strays` again, or, with `final`, are answered as usual.
    public func inputStray(_ burst: FrameQueue, final: Bool, now: Nanoseconds) {
        begin(now)
        while let d = burst.pop() {
            let result = inputExpected(d)
            if let b = result.block {
                queue(b, d, result.count, consumed: 0)
            } else if result.count < 0 {
                inputFrame(d, stray: final ? .final : .forwarded)
            }
        }
    }

    @inline(never) func inputFrame(_ d: FrameDescriptor, stray: StrayMode) {
        statistics.framesReceived &+= 1
        let length = Int(d.length)
        guard length > Ethernet.headerLength else {
            statistics.ethernetTruncated &+= 1
            pool.release(d.frame)
            return
        }
        let p = pool.address(d.frame) + Int(d.offset)
        let raw = UnsafeRawPointer(p)
        let destination = raw.raw64(0) & Ethernet.addressMask
        guard destination == hardwareSelfRaw || destination == Ethernet.addressMask else {
            statistics.ethernetNotForUs &+= 1
            pool.release(d.frame)
            return
        }
        let type = raw.raw16(12)
        let count = length &- Ethernet.headerLength
        if type == EtherType.ipv4.bigEndian {
            // RFC 1122 3.3.6: a datagram for one host in a frame for all; whoever answered would be one of many.
            guard destination != Ethernet.addressMask else {
                statistics.ipv4LinkBroadcasts &+= 1
                pool.release(d.frame)
                return
            }
            inputIPv4(d, p + Ethernet.headerLength, count: count, stray: stray)
        } else if type == EtherType.arp.bigEndian {
            inputARP(d, p + Ethernet.headerLength, count: count, stray: stray != .own)
        } else {
            statistics.ethernetUnknownType &+= 1
            pool.release(d.frame)
        }
    }

    /// Queues a frame for the link; its reference passes. Dropped when the queue is full: whoever minds retransmits.
    @inline(__always) func pushTransmit(_ d: FrameDescriptor) {
        statistics.framesSent &+= 1
        if !transmitQueue.push(d) {
            statistics.transmitQueueFull &+= 1
            pool.release(d.frame)
        }
    }

    func pushStray(_ d: FrameDescriptor) {
        if !strays.push(d) {
            statistics.strayDrops &+= 1
            pool.release(d.frame)
        }
    }
}

/// How a frame came to this stack, and what becomes of it when its flow is unknown.
enum StrayMode {
    /// From the own link.
    case own
    /// From another shard, to be handed on.
    case forwarded
    /// From another shard, nobody knows it.
    case final
}
