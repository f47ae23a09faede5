import Net
import Runtime

// INFO's sections about the network: what each shard reports, and how it is written. Every counter of the links and of
// the stack is shown exactly once, without a list kept by hand: those whose names begin with `tcp` in `# TCP`, all others
// in `# Network`.

/// A shard's link, stack and pools. Whoever runs the shard fills it in (`ShardState.networkReport`).
struct NetworkReport: BitwiseCopyable {
    var stack = CounterBlock<StackStatistics>()
    var link = CounterBlock<LinkStatistics>()
    var kernel = CounterBlock<KernelStatistics>()
    var handover = CounterBlock<HandoverStatistics>()
    var loop = CounterBlock<LoopStatistics>()
    /// Of link, kernel sockets and loop.
    var systemCalls: UInt64 = 0
    /// Payload over both.
    var bytesReceived: UInt64 = 0
    var bytesSent: UInt64 = 0
    /// Frames of all pools, those that are free, and the fewest that ever were.
    var frames: UInt64 = 0
    var framesFree: UInt64 = 0
    var framesLowestFree: UInt64 = 0
    /// Control blocks but those in TIME-WAIT, and those in it.
    var connections: UInt64 = 0
    var connectionsInTimeWait: UInt64 = 0
    var kernelConnections: UInt64 = 0
    /// Memory outside of malloc's: what waits outside of frames, mostly output that clients have not taken, and the slots of
    /// the connection tables.
    var waitingBytes: UInt64 = 0
    var tableBytes: UInt64 = 0
    /// Requests to other shards under way.
    var remoteRequests: UInt64 = 0

    mutating func add(_ other: NetworkReport) {
        stack.add(other.stack)
        link.add(other.link)
        kernel.add(other.kernel)
        handover.add(other.handover)
        loop.add(other.loop)
        systemCalls &+= other.systemCalls
        bytesReceived &+= other.bytesReceived
        bytesSent &+= other.bytesSent
        frames &+= other.frames
        framesFree &+= other.framesFree
        framesLowestFree &+= other.framesLowestFree
        waitingBytes &+= other.waitingBytes
        tableBytes &+= other.tableBytes
        connections &+= other.connections
        connectionsInTimeWait &+= other.connectionsInTimeWait
        kernelConnections &+= other.kernelConnections
        remoteRequests &+= other.remoteRequests
    }
}

extension NetworkReport {
    typealias Line = (String, String)

    /// Pools, links, and the stack below TCP.
    var networkLines: [Line] {
        var lines = [
            ("connections", "\(connections)"), ("kernel_connections", "\(kernelConnections)"),
            ("frames_total", "\(frames)"), ("frames_free", "\(framesFree)"),
            ("frames_lowest_free", "\(framesLowestFree)"),
            ("system_calls", "\(systemCalls)"),
        ]
        lines += link.named(like: LinkStatistics()).map { ("link_\($0.name)", "\($0.value)") }
        lines += handover.named(like: HandoverStatistics()).map { ("handover_\($0.name)", "\($0.value)") }
        lines += loop.named(like: LoopStatistics()).map { ("loop_\($0.name)", "\($0.value)") }
        lines += kernel.named(like: KernelStatistics()).map { ("kernel_\($0.name)", "\($0.value)") }
        return lines + stackLines { !Self.isTCP($0) }
    }

    /// TCP of our own stack.
    var tcpLines: [Line] {
        [("tcp_connections", "\(connections)"), ("tcp_time_wait", "\(connectionsInTimeWait)")]
            + stackLines(Self.isTCP)
    }

    private static func isTCP(_ name: String) -> Bool { name.hasPrefix("tcp_") }

    private func stackLines(_ includes: (String) -> Bool) -> [Line] {
        stack.named(like: StackStatistics()).filter { includes($0.name) }.map { ($0.name, "\($0.value)") }
    }
}

/// A struct of nothing but `UInt64` counters, seen as so many numbers: INFO then shows every counter that a module
/// has, by its name, without a list kept by hand.
struct CounterBlock<Counters>: BitwiseCopyable {
    static var capacity: Int { 160 }
    /// The words of a `Counters`, then zeros.
    private var words = InlineArray<160, UInt64>(repeating: 0)

    init() {}

    init(_ counters: Counters) {
        precondition(
            MemoryLayout<Counters>.size <= Self.capacity * 8, "more counters than CounterBlock has room for")
        withUnsafeBytes(of: counters) { source in
            for index in 0..<(source.count / 8) {
                words[index] = source.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)
            }
        }
    }

    mutating func add(_ other: CounterBlock) {
        for index in 0..<Self.capacity { words[index] &+= other.words[index] }
    }

    /// Names in the order of declaration, as INFO writes them: `tcpOutOfOrder` is `tcp_out_of_order`.
    func named(like sample: Counters) -> [(name: String, value: UInt64)] {
        Mirror(reflecting: sample).children.enumerated().map { index, child in
            precondition(child.value is UInt64, "a counter must be a UInt64")
            var name = ""
            for character in child.label ?? "" {
                if character.isUppercase { name += "_" }
                name += character.lowercased()
            }
            return (name, words[index])
        }
    }
}
