import Runtime

/// Connections that ended here a moment ago, in a stack among several on the queues of one device. A flow's frames that came
/// over two queues pass through two shards, and when one of those is off its core for some milliseconds, the flow's last ACKs
/// overtake earlier ones. Those then find no connection; a RST for them (RFC 9293 3.10.7.1) would answer an order that we
/// made ourselves, so they are dropped, as in TIME-WAIT.
///
/// Only ends that the peer knows of are noted: it has acknowledged our FIN, or sent RST. So nothing is kept from it.
/// Owns its memory. One shard uses it.
struct EndedConnections {
    /// How long a shard may be late.
    static let patience: Nanoseconds = .milliseconds(200)
    /// Octets before the end from which segments may still come: a large window's. The sequence numbers of a next connection
    /// between the same ports, which may live on another shard, are elsewhere.
    static let span: UInt32 = 1 << 20

    private struct Entry {
        /// `ConnectionTable.key`; 0: none, since no remote address is 0.
        var key: UInt64 = 0
        /// RCV.NXT at the end.
        var rcvNxt = SequenceNumber(0)
        /// From then on the entry says nothing.
        var until: Nanoseconds = .min
    }

    /// `capacity` places, chosen by `place`; a later end takes that of an earlier one. nil in a stack that is alone.
    private let entries: UnsafeMutablePointer<Entry>?
    private static let capacity = 256

    init(isAmongOthers: Bool) {
        guard isAmongOthers else {
            entries = nil
            return
        }
        entries = .allocate(capacity: Self.capacity)
        entries!.initialize(repeating: Entry(), count: Self.capacity)
    }

    func deallocate() { entries?.deallocate() }

    func note(_ key: UInt64, rcvNxt: SequenceNumber, now: Nanoseconds) {
        guard let entries else { return }
        entries[Self.place(key)] = Entry(key: key, rcvNxt: rcvNxt, until: now &+ Self.patience)
    }

    /// Whether the segment is a late one of a connection that has ended.
    func covers(_ key: UInt64, _ segment: TCPSegment, now: Nanoseconds) -> Bool {
        guard let entries else { return false }
        let entry = entries[Self.place(key)]
        return entry.key == key && now < entry.until && entry.rcvNxt.raw &- segment.end.raw < Self.span
    }

    /// Mixed, because the keys of one client's connections differ in two bytes only.
    private static func place(_ key: UInt64) -> Int {
        Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) &>> 56)
    }
}
