/// What a connection takes, in bytes: measured by perf/connections, bounded by tests.
public struct ConnectionBytes: Sendable {
    /// The control block itself. Timers are in it; the wheel has nothing of its own for each.
    public var block = 0.0
    /// Its share of what slabs and malloc need.
    public var slab = 0.0
    /// Slots of the table, a connection: now, and when they are most.
    public var table = 0.0
    public var tableAtWorst = 0.0
    /// The session with its slab's share. Filled in by who knows sessions.
    public var session = 0.0

    public init() {}

    /// An idle established connection.
    public var connectionAtWorst: Double { block + slab + tableAtWorst }
    /// An idle client.
    public var clientAtWorst: Double { connectionAtWorst + session }
}

extension Stack {
    public var connectionBytes: ConnectionBytes {
        var bytes = ConnectionBytes()
        bytes.block = Double(MemoryLayout<ControlBlock>.stride)
        bytes.slab = blocks.bytesPerObject - bytes.block
        bytes.table = Double(table.footprint) / Double(max(1, table.count))
        bytes.tableAtWorst = ConnectionTable.worstBytesPerConnection
        return bytes
    }

    /// Slots of the connection table, which are not malloc's.
    public var tableBytes: Int { table.footprint }

    /// Whether there is a control block of this name, in whatever state. O(1).
    public func hasConnection(_ remote: IPv4Address, _ remotePort: UInt16, _ localPort: UInt16) -> Bool {
        let ports = UInt32(remotePort.bigEndian) | UInt32(localPort.bigEndian) << 16
        return table.find(ConnectionTable.key(remoteRaw: remote.bits.bigEndian, portsRaw: ports)) != nil
    }

    /// For a listener's bound on clients that changes: control blocks for so many, beside those that are opening, closing
    /// or told that there are too many.
    public func setConnectionBound(clients: Int) {
        configuration.maxConnections = Self.connectionBound(clients: clients, halfOpen: configuration.maxHalfOpen)
    }

    /// Control blocks that a listener with so many clients needs.
    public static func connectionBound(clients: Int, halfOpen: Int) -> Int {
        max(65_536, clients &+ halfOpen &+ 4_096)
    }
}
