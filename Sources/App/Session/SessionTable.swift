import Net
import Runtime

/// Neighbours in a circular list, whose head is a `SessionLinks` too.
struct SessionLinks: BitwiseCopyable {
    /// nil in both exactly before the session is in a list.
    var next: UnsafeMutablePointer<SessionLinks>?
    var previous: UnsafeMutablePointer<SessionLinks>?
}

/// The live sessions of one shard: slab memory, each in one of some lists that say when it is to be looked at for the
/// directive `timeout`. Adding, removing and moving are O(1); walking over all is for CLIENT LIST, CLIENT KILL and the
/// server's end. Copies of this handle name the same table.
struct SessionTable: BitwiseCopyable {
    /// One list for each second to come, `bin(of:)`; a session that is to be looked at later than the last of them waits in
    /// the last, and is asked again.
    private static let bins = 64
    /// Nobody asks for these; and those whose time has come (or the directive has changed).
    private static let resting = bins
    private static let due = bins + 1
    private static let lists = bins + 2

    private struct State {
        /// What the next session gets. Shards count in steps of the shard count from different starts, so that an id is
        /// unique in the server without a shared counter.
        var nextID: UInt64
        /// The bins of this second and of all before it are empty.
        var second: Int64
    }
    private let state: UnsafeMutablePointer<State>
    /// `lists` heads.
    private let heads: UnsafeMutablePointer<SessionLinks>
    private let slab: Slab<SessionState>
    private let step: UInt64

    init(shard: Int, shardCount: Int) {
        precondition(MemoryLayout<SessionState>.stride <= 128, "an idle session has grown")
        precondition(MemoryLayout<SessionState>.offset(of: \.links) == 0, "links are not a session's address")
        state = .allocate(capacity: 1)
        state.initialize(to: State(nextID: UInt64(shard + 1), second: 0))
        heads = .allocate(capacity: Self.lists)
        for index in 0..<Self.lists { heads[index] = SessionLinks(next: heads + index, previous: heads + index) }
        slab = Slab(objectsPerChunk: 128)
        step = UInt64(shardCount)
    }

    /// Ends all sessions' memory with the table's.
    func deallocate() {
        while let session = first { remove(session) }
        slab.deallocate()
        heads.deallocate()
        state.deallocate()
    }

    var count: Int { slab.liveCount }
    /// Bytes of all slabs.
    var footprint: Int { slab.footprint }
    /// Of an idle session, with its share of what its slab needs.
    var bytesPerSession: Double { slab.bytesPerObject }

    // MARK: walking, in no order

    var first: Session? { firstOf(listsFrom: 0) }

    /// The session after `session`. To remove while walking, take the next one first.
    func next(after session: Session) -> Session? {
        let next = session.state.pointee.links.next.unsafelyUnwrapped
        let list = next - heads
        return list >= 0 && list < Self.lists ? firstOf(listsFrom: list + 1) : Self.session(next)
    }

    private func firstOf(listsFrom index: Int) -> Session? {
        for list in index..<max(index, Self.lists) where heads[list].next != heads + list {
            return heads[list].next.map(Self.session)
        }
        return nil
    }

    private static func session(_ links: UnsafeMutablePointer<SessionLinks>) -> Session {
        Session(UnsafeMutableRawPointer(links))
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

    // MARK: coming and going

    /// A session at the state of a client that has just connected. Nobody looks at it until somebody asks for that.
    func add(remote: Endpoint, local: Endpoint, authenticated: Bool, now: Nanoseconds) -> Session {
        let fresh = slab.allocate()
        fresh.initialize(
            to: SessionState(
                id: state.pointee.nextID, extras: nil, createdAt: now, lastInteraction: now, remote: remote,
                local: local, flags: authenticated ? .authenticated : [], database: 0,
                lastCommand: SessionState.noCommand, protocolVersion: 2))
        state.pointee.nextID &+= step
        let session = Session(state: fresh)
        append(session, to: Self.resting)
        return session
    }

    func remove(_ session: Session) {
        session.freeExtras()
        unlink(session)
        slab.free(session.state)
    }

    private func append(_ session: Session, to list: Int) {
        let head = heads + list
        let links = UnsafeMutableRawPointer(session.state).assumingMemoryBound(to: SessionLinks.self)
        let last = head.pointee.previous.unsafelyUnwrapped
        links.pointee = SessionLinks(next: head, previous: last)
        last.pointee.next = links
        head.pointee.previous = links
    }

    private func unlink(_ session: Session) {
        let links = session.state.pointee.links
        links.next.unsafelyUnwrapped.pointee.previous = links.previous
        links.previous.unsafelyUnwrapped.pointee.next = links.next
    }

    // MARK: looking at sessions when their time has come

    /// `session` is `firstDue` again at the first second that is not before `instant`, or some time earlier.
    func lookAgain(_ session: Session, at instant: Nanoseconds) {
        let second = (instant + .seconds(1) - 1) / .seconds(1)
        let latest = state.pointee.second + Int64(Self.bins - 1)
        unlink(session)
        append(session, to: bin(of: min(max(second, state.pointee.second + 1), latest)))
    }

    /// Nobody looks at `session` any more.
    func rest(_ session: Session) {
        unlink(session)
        append(session, to: Self.resting)
    }

    /// A session that is to be looked at now: it stays the first until it is moved (`lookAgain`, `rest`) or removed.
    func firstDue(now: Nanoseconds) -> Session? {
        let second = now / .seconds(1)
        if second > state.pointee.second { reach(second) }
        return heads[Self.due].next == heads + Self.due ? nil : heads[Self.due].next.map(Self.session)
    }

    /// All sessions are due.
    func lookAtAll() {
        for list in 0...Self.resting { splice(list) }
    }

    private func reach(_ second: Int64) {
        let reached = min(second - state.pointee.second, Int64(Self.bins))
        for passed in 0..<reached { splice(bin(of: second - passed)) }
        state.pointee.second = second
    }

    private func bin(of second: Int64) -> Int { Int(second % Int64(Self.bins)) }

    /// Puts a whole list behind what is due.
    private func splice(_ list: Int) {
        let (head, target) = (heads + list, heads + Self.due)
        guard let first = head.pointee.next, let last = head.pointee.previous, first != head else { return }
        let end = target.pointee.previous.unsafelyUnwrapped
        end.pointee.next = first
        first.pointee.previous = end
        last.pointee.next = target
        target.pointee.previous = last
        head.pointee = SessionLinks(next: head, previous: head)
    }
}
