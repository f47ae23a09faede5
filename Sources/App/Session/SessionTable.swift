import Net
import Runtime

/// The live sessions of one shard: slab memory, chained in the order they came. Adding and removing are O(1); walking
/// is for CLIENT LIST, CLIENT KILL and the directive `timeout`. Copies of this handle name the same table.
struct SessionTable: BitwiseCopyable {
    private struct State {
        /// Ends of the chain; both nil exactly when no session lives.
        var first: UnsafeMutablePointer<SessionState>?
        var last: UnsafeMutablePointer<SessionState>?
        /// What the next session gets. Shards count in steps of the shard count from different starts, so that an id is
        /// unique in the server without a shared counter.
        var nextID: UInt64
    }
    private let state: UnsafeMutablePointer<State>
    private let slab: Slab<SessionState>
    private let step: UInt64

    init(shard: Int, shardCount: Int) {
        precondition(MemoryLayout<SessionState>.stride <= 128, "an idle session has grown")
        state = .allocate(capacity: 1)
        state.initialize(to: State(first: nil, last: nil, nextID: UInt64(shard + 1)))
        slab = Slab(objectsPerChunk: 64)
        step = UInt64(shardCount)
    }

    /// Ends all sessions' memory with the table's.
    func deallocate() {
        while let session = first { remove(session) }
        slab.deallocate()
        state.deallocate()
    }

    var count: Int { slab.liveCount }
    /// Bytes of all slabs.
    var footprint: Int { slab.footprint }
    var first: Session? { state.pointee.first.map { Session(state: $0) } }

    /// The session that came after `session`. To remove while walking, take the next one first.
    func next(after session: Session) -> Session? { session.state.pointee.next.map { Session(state: $0) } }

    /// A session at the state of a client that has just connected.
    func add(remote: Endpoint, local: Endpoint, authenticated: Bool, now: Nanoseconds) -> Session {
        let fresh = slab.allocate()
        fresh.initialize(
            to: SessionState(
                id: state.pointee.nextID, next: nil, previous: state.pointee.last, extras: nil, createdAt: now,
                lastInteraction: now, remote: remote, local: local, flags: authenticated ? .authenticated : [],
                database: 0, lastCommand: SessionState.noCommand, protocolVersion: 2))
        state.pointee.nextID &+= step
        if let last = state.pointee.last { last.pointee.next = fresh } else { state.pointee.first = fresh }
        state.pointee.last = fresh
        return Session(state: fresh)
    }

    func remove(_ session: Session) {
        session.freeExtras()
        let (previous, next) = (session.state.pointee.previous, session.state.pointee.next)
        if let previous { previous.pointee.next = next } else { state.pointee.first = next }
        if let next { next.pointee.previous = previous } else { state.pointee.last = previous }
        slab.free(session.state)
    }

    /// O(sessions).
    func find(id: UInt64) -> Session? {
        var walk = first
        while let session = walk {
            if session.id == id { return session }
            walk = next(after: session)
        }
        return nil
    }
}
