import Runtime

/// The ports somebody listens on: LISTEN needs no more state. O(1).
struct PortSet: ~Copyable {
    private let words: UnsafeMutablePointer<UInt64>

    init() {
        words = .allocate(capacity: 1024)
        words.initialize(repeating: 0, count: 1024)
    }

    deinit { words.deallocate() }

    func contains(_ port: UInt16) -> Bool { words[Int(port >> 6)] & 1 << UInt64(port & 63) != 0 }
    mutating func insert(_ port: UInt16) { words[Int(port >> 6)] |= 1 << UInt64(port & 63) }
    mutating func remove(_ port: UInt16) { words[Int(port >> 6)] &= ~(1 << UInt64(port & 63)) }
}

/// Blocks in the order in which they entered a state, through agePrevious and ageNext. A block is in one list at most.
struct AgeList {
    private(set) var oldest: Block?
    private var newest: Block?
    private(set) var count = 0

    mutating func append(_ b: Block) {
        b.pointee.agePrevious = newest
        b.pointee.ageNext = nil
        if let newest { newest.pointee.ageNext = b } else { oldest = b }
        newest = b
        count += 1
    }

    mutating func remove(_ b: Block) {
        if let previous = b.pointee.agePrevious {
            previous.pointee.ageNext = b.pointee.ageNext
        } else {
            oldest = b.pointee.ageNext
        }
        if let next = b.pointee.ageNext {
            next.pointee.agePrevious = b.pointee.agePrevious
        } else {
            newest = b.pointee.agePrevious
        }
        b.pointee.agePrevious = nil
        b.pointee.ageNext = nil
        count -= 1
    }
}

/// Initial sequence numbers: a clock of 4 microseconds plus a keyed hash of the connection (RFC 6528 3), so that
/// incarnations of a connection follow each other and nobody else can guess. The hash is SipHash-2-4.
struct SequenceGenerator {
    private let k0: UInt64
    private let k1: UInt64

    init(secret: (UInt64, UInt64)) { (k0, k1) = secret }

    /// - Parameter key: the connection's name (ConnectionTable.key).
    func initial(_ key: UInt64, now: Nanoseconds) -> SequenceNumber {
        SequenceNumber(UInt32(truncatingIfNeeded: now / 4_000) &+ UInt32(truncatingIfNeeded: hash(key, 0)))
    }

    /// Where the connection's timestamps start (RFC 7323 5.4).
    func timestampOffset(_ key: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: hash(key, 1)) }

    func cookieHash(_ key: UInt64, _ rest: UInt64) -> UInt32 {
        withUnsafeBytes(of: (key, rest, UInt64(2))) {
            UInt32(truncatingIfNeeded: SipHash.hash24(ByteView($0.baseAddress!, $0.count), key: (k0, k1)))
        }
    }

    func challengeHash(_ second: Int64) -> UInt64 { hash(UInt64(bitPattern: second), 3) }

    /// Different purposes never hash the same bytes.
    private func hash(_ key: UInt64, _ purpose: UInt64) -> UInt64 {
        withUnsafeBytes(of: (key, purpose)) {
            SipHash.hash24(ByteView($0.baseAddress!, $0.count), key: (k0, k1))
        }
    }
}

extension Stack {
    /// Accepts connections to `port` from now on.
    public func listen(port: UInt16) { ports.insert(port) }

    /// Refuses new connections to `port`; those that exist go on.
    public func stopListening(port: UInt16) { ports.remove(port) }

    /// A SYN for a port that is listened on. Takes over the frame. A flood must not push out those who were here before,
    /// some of whom are real: beyond the backlog a SYN gets a cookie.
    func inputSyn(_ d: FrameDescriptor, _ segment: TCPSegment, key: UInt64) {
        guard halfOpen.count < configuration.maxHalfOpen else { return sendCookie(d, segment, key: key) }
        let ethernet = UnsafeRawPointer(pool.address(d.frame) + Int(d.offset))
        passiveOpen(segment, key: key, hardwareRaw: ethernet.raw64(6) & Ethernet.addressMask)
        pool.release(d.frame)
    }

    /// RFC 9293 3.10.7.2, third: a block in SYN-RECEIVED, and SYN,ACK.
    /// - Parameters:
    ///   - hardwareRaw: the station that the SYN came from; everything goes there until the connection is established.
    ///   - previous: where an older incarnation's sequence numbers ended.
    func passiveOpen(
        _ segment: TCPSegment, key: UInt64, hardwareRaw: UInt64, after previous: SequenceNumber? = nil
    ) {
        guard let b = makeBlock(key) else { return }
        statistics.tcpPassiveOpens &+= 1
        b.pointee.state = .synReceived
        // Nobody knows the connection before it is established.
        b.pointee.flags = [.passive, .released]
        if let previous, b.pointee.iss <= previous { setInitialSequence(b, previous + 0x1_0000) }
        b.pointee.nextHopRaw = hardwareRaw
        acceptSyn(b, segment)
        halfOpen.append(b)
        sendSyn(b)
    }
}
