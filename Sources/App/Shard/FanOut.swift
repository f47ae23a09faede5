import Runtime

/// A command that every shard (or every owner of some of its keys) does a part of. The session waits; the parts run in
/// no order among each other (so it is not atomic over shards), each whole on its shard; the origin combines them.
struct FanOut {
    /// The client. Lives until the fan-out is complete (`SessionFlags.left`).
    var session: Session
    var command: UnsafePointer<CommandEntry>
    var isSilent: Bool
    /// Parts that have not come back.
    var remaining: Int
    /// By shard; nil where a shard has no part.
    var parts: UnsafeMutablePointer<UnsafeMutablePointer<RemoteRequest>?>
    /// The whole command's arguments, for the combining step: a request that is never sent.
    var whole: UnsafeMutablePointer<RemoteRequest>

    static func make(
        command: UnsafePointer<CommandEntry>, arguments: Arguments, session: Session, isSilent: Bool, shard: ShardState
    ) -> UnsafeMutablePointer<FanOut> {
        let fanOut = UnsafeMutablePointer<FanOut>.allocate(capacity: 1)
        let parts = UnsafeMutablePointer<UnsafeMutablePointer<RemoteRequest>?>.allocate(capacity: shard.shardCount)
        parts.initialize(repeating: nil, count: shard.shardCount)
        let whole = shard.requests.make(command: command, arguments: arguments, origin: shard.id, session: session)
        fanOut.initialize(
            to: FanOut(
                session: session, command: command, isSilent: isSilent, remaining: 0, parts: parts, whole: whole))
        return fanOut
    }

    /// Frees the fan-out with all of its requests.
    static func free(_ fanOut: UnsafeMutablePointer<FanOut>, shard: ShardState) {
        for index in 0..<shard.shardCount {
            if let part = fanOut.pointee.parts[index] { shard.requests.free(part) }
        }
        shard.requests.free(fanOut.pointee.whole)
        fanOut.pointee.parts.deallocate()
        fanOut.deallocate()
    }
}

/// The replies of a fan-out's parts, each in one piece.
struct PartReplies {
    /// One view for each part, in shard order.
    private(set) var views: [ByteView] = []
    private var copies: [UnsafeMutableRawPointer] = []

    init(_ fanOut: UnsafeMutablePointer<FanOut>, shardCount: Int) {
        for index in 0..<shardCount {
            guard let part = fanOut.pointee.parts[index] else { continue }
            views.append(Self.flatten(part, into: &copies))
        }
    }

    /// One part alone.
    init(_ part: UnsafeMutablePointer<RemoteRequest>) { views.append(Self.flatten(part, into: &copies)) }

    func free() { for copy in copies { copy.deallocate() } }

    private static func flatten(
        _ part: UnsafeMutablePointer<RemoteRequest>, into copies: inout [UnsafeMutableRawPointer]
    ) -> ByteView {
        let first = ByteView(part.reply, part.replyHead.pointee.count)
        guard part.replyHead.pointee.overflow != nil else { return first }
        var total = first.count
        var chunk = part.replyHead.pointee.overflow
        while let current = chunk {
            total += current.pointee.count
            chunk = current.pointee.next
        }
        let copy = UnsafeMutableRawPointer.allocate(byteCount: max(1, total), alignment: 16)
        copies.append(copy)
        copy.copyMemory(from: first.base, byteCount: first.count)
        var place = copy + first.count
        chunk = part.replyHead.pointee.overflow
        while let current = chunk {
            place.copyMemory(from: current.bytes, byteCount: current.pointee.count)
            place += current.pointee.count
            chunk = current.pointee.next
        }
        return ByteView(copy, total)
    }
}
