import Runtime

extension Stack {
    /// What one stack instance is told at its birth. Plain values; nothing is read from anywhere else.
    public struct Configuration: Sendable {
        /// The address frames are sent from; frames to other addresses (broadcast excepted) are dropped.
        public var hardwareAddress: MACAddress
        /// The stack's only IPv4 address.
        public var address: IPv4Address
        /// Length of the subnet's prefix, 0...32: destinations inside are resolved by ARP directly.
        public var prefixLength: Int
        /// Next hop outside the subnet; without one, outside destinations are resolved as if they were on the link.
        public var gateway: IPv4Address?
        /// Largest IPv4 datagram, in bytes: 576...1900 (a frame holds it behind 128 bytes of headroom).
        public var mtu: Int
        /// First receive window of a connection, in bytes: what a peer may send before the user consumes.
        public var receiveWindow: Int
        /// To what the window may grow while the user keeps up with the peer, in bytes; not above the first window: it
        /// stays as it is. All growth together is bounded by half of the pool.
        public var receiveWindowMaximum: Int
        /// Frames a connection's send queue may hold in any case (unless frames are scarce), and beyond that as many as its
        /// congestion window needs, up to a third of what is free; further output waits in memory from the heap.
        public var sendFrames: Int
        /// Control blocks in all states together. A SYN beyond that is dropped (after old TIME-WAIT blocks were reused).
        public var maxConnections: Int
        /// Connections in SYN-RECEIVED; beyond that a SYN is answered by a cookie and leaves nothing behind.
        public var maxHalfOpen: Int
        /// Idle time after which a peer is probed (RFC 9293 3.8.4); 0 turns it off.
        public var keepalive: Nanoseconds
        /// Maximum segment lifetime; TIME-WAIT lasts twice as long.
        public var maximumSegmentLifetime: Nanoseconds
        /// How long an ACK waits for data to ride on (RFC 9293 allows up to 500 ms).
        public var delayedAck: Nanoseconds
        /// A burst of text on a long path is over when nothing has come for so long: then it is acknowledged, with one ACK
        /// (HeldAcks.swift). 0: every turn sends its own.
        public var burstGap: Nanoseconds
        /// Lower bound of the retransmission timeout. RFC 6298 recommends one second; everybody uses 200 ms.
        public var minimumRTO: Nanoseconds
        /// Retransmissions without an answer after which a connection is given up (RFC 9293 R2).
        public var maxRetransmissions: Int
        /// How long text may stay unacknowledged, or a closed window without a word, before the connection is given up
        /// (RFC 9293 3.8.3, RFC 5482); 0: as long as `maxRetransmissions` take.
        public var userTimeout: Nanoseconds
        /// Timestamps (RFC 7323) are offered and accepted.
        public var timestamps: Bool
        public var congestionControl: CongestionControl
        /// Explicit congestion notification (RFC 3168).
        public var ecn: ExplicitCongestionNotification
        /// Frames of flows that this stack does not know go to `strays` instead of being answered by RST; so do ARP
        /// frames, after they were handled.
        public var strayHandling: Bool
        /// Capacity of `transmitQueue`, a power of two.
        public var transmitCapacity: Int
        /// Challenge ACKs a second, on average (RFC 5961 7): each second has a secret number around it.
        public var challengeAcks: Int
        /// The key of initial sequence numbers, timestamps and SYN cookies (RFC 6528); nil: drawn from the stack's entropy.
        /// Stacks that share an address have different ones.
        public var secret: (UInt64, UInt64)?

        public init(hardwareAddress: MACAddress, address: IPv4Address, prefixLength: Int = 24) {
            self.hardwareAddress = hardwareAddress
            self.address = address
            self.prefixLength = prefixLength
            gateway = nil
            mtu = 1500
            receiveWindow = 256 << 10
            receiveWindowMaximum = 6 << 20
            sendFrames = 64
            maxConnections = 65_536
            maxHalfOpen = 4_096
            keepalive = 0
            maximumSegmentLifetime = .seconds(30)
            delayedAck = .milliseconds(40)
            burstGap = .microseconds(60)
            minimumRTO = .milliseconds(200)
            maxRetransmissions = 15
            userTimeout = 0
            timestamps = true
            congestionControl = .cubic
            ecn = .answer
            strayHandling = false
            transmitCapacity = 4_096
            challengeAcks = 1_000
            secret = nil
        }
    }
}
