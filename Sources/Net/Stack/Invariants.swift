import Runtime

/// What must hold of the whole structure between any two calls of the stack, checked from nothing but itself: tests, fuzzing
/// and simulation call it after every step. Nothing else does; it is O(frames + blocks).
extension Stack {
    /// A sentence about the first thing that is wrong, or nil. `held`: queues beside the stack whose descriptors own
    /// frames of its pool (a link's); with `ownsAll` false somebody holds frames that nobody counts.
    public func findViolation(held: [FrameQueue] = [], ownsAll: Bool = true) -> String? {
        guard let blocks = blocks.live() else { return "slab of control blocks: broken free chain" }
        var owners = FrameOwners(pool)
        defer { owners.deallocate() }
        if let wrong = owners.checkFreeList() { return wrong }
        for b in blocks {
            if let wrong = b.pointee.flags.contains(.dead) ? violationOfDead(b, &owners) : violation(b, &owners) {
                return "\(describe(b)): \(wrong)"
            }
        }
        if let wrong = violationOfLists(blocks) ?? violationOfTable(blocks) ?? violationOfSideBlocks(blocks) {
            return wrong
        }
        var timers = blocks.count { $0.pointee.timer.isScheduled }
        if let wrong = violationOfNeighbours(&owners, &timers) ?? violationOfExtras(&timers) { return wrong }
        if timers != wheel.count { return "wheel: \(wheel.count) timers, \(timers) known" }
        for queue in held + [transmitQueue, strays] {
            for index in 0..<queue.count {
                let d = queue.peek(index)
                if Int(d.offset) + Int(d.length) > pool.frameSize { return "frame \(d.frame): \(d) beyond its end" }
                owners.add(d.frame)
            }
        }
        return ownsAll ? owners.checkReferences() : nil
    }

    // MARK: lists

    private func violationOfLists(_ blocks: [Block]) -> String? {
        violationOfList("ready", blocks, readyHead, readyTail, .inReady, \.nextReady)
            ?? violationOfList("touched", blocks, touchedHead, touchedTail, .inTouched, \.nextTouched)
            ?? violationOfAges("half-open", blocks, halfOpen) {
                $0.pointee.state == .synReceived && $0.pointee.flags.contains(.passive)
            }
            ?? violationOfAges("TIME-WAIT", blocks, timeWait) { $0.pointee.state == .timeWait }
    }

    /// The list holds the blocks with its flag, each once, and its tail is its last.
    private func violationOfList(
        _ name: String, _ blocks: [Block], _ head: Block?, _ tail: Block?, _ flag: ControlFlags,
        _ next: KeyPath<ControlBlock, Block?>
    ) -> String? {
        let expected = blocks.count { $0.pointee.flags.contains(flag) }
        var count = 0
        var last: Block?
        var block = head
        while let b = block {
            count += 1
            if count > expected { return "\(name) list: longer than \(expected) blocks with its flag" }
            if !b.pointee.flags.contains(flag) { return "\(name) list: \(describe(b)) has not its flag" }
            last = b
            block = b.pointee[keyPath: next]
        }
        if count != expected { return "\(name) list: \(count) blocks, \(expected) with its flag" }
        return last == tail ? nil : "\(name) list: the tail is not the last"
    }

    private func violationOfAges(
        _ name: String, _ blocks: [Block], _ list: AgeList, _ belongs: (Block) -> Bool
    ) -> String? {
        let expected = blocks.count(where: belongs)
        if list.count != expected { return "\(name) list: counts \(list.count), \(expected) belong there" }
        var count = 0
        var previous: Block?
        var block = list.oldest
        while let b = block {
            count += 1
            if count > expected || !belongs(b) { return "\(name) list: \(describe(b)) does not belong there" }
            if b.pointee.agePrevious != previous { return "\(name) list: \(describe(b)) has a wrong neighbour" }
            previous = b
            block = b.pointee.ageNext
        }
        return count == expected ? nil : "\(name) list: \(count) of \(expected) blocks can be reached"
    }

    // MARK: tables

    /// The table holds the live blocks, each under its own key.
    private func violationOfTable(_ blocks: [Block]) -> String? {
        let expected = blocks.count { !$0.pointee.flags.contains(.dead) }
        if table.count != expected { return "table: counts \(table.count), \(expected) live blocks" }
        var reached = 0
        table.forEach { _ in reached += 1 }
        if reached != expected { return "table: \(reached) entries, \(expected) live blocks" }
        for b in blocks where !b.pointee.flags.contains(.dead) && table.find(b.pointee.key) != b {
            return "table: \(describe(b)) cannot be found"
        }
        return nil
    }

    /// Each side block belongs to one block, and what receive windows have grown by is the budget's loss.
    private func violationOfSideBlocks(_ blocks: [Block]) -> String? {
        let senders = blocks.count { $0.pointee.send != nil }
        if sendStates.liveCount != senders { return "side blocks: \(sendStates.liveCount), \(senders) have an owner" }
        let chunksHeld = blocks.reduce(0) { $0 + $1.pointee.sndChunks.chunkCount + $1.pointee.rcvChunks.chunkCount }
        if chunks.inUse != chunksHeld { return "chunks: \(chunks.inUse) in use, \(chunksHeld) have an owner" }
        let receivers = blocks.compactMap { $0.pointee.receive }
        if tuning.states.liveCount != receivers.count {
            return "receive states: \(tuning.states.liveCount), \(receivers.count) have an owner"
        }
        let granted = receivers.reduce(0) { $0 + $1.pointee.granted }
        let all = pool.count << Int(pool.shift) / 2
        if granted + tuning.budget != all {
            return "window budget: \(tuning.budget) left of \(all), \(granted) granted"
        }
        var listed = 0
        var state = tuning.oldest
        while let r = state, listed <= receivers.count {
            if r.pointee.block.pointee.receive != r { return "receive states: one in the list has no owner" }
            listed += 1
            state = r.pointee.next
        }
        return listed == receivers.count ? nil : "receive states: \(listed) in the list of \(receivers.count)"
    }

    private func violationOfNeighbours(_ owners: inout FrameOwners, _ timers: inout Int) -> String? {
        var count = 0
        var wrong: String?
        neighbours.forEach { entry in
            count += 1
            let e = entry.pointee
            if !e.timer.isScheduled { wrong = "neighbour \(e.address): no timer" }
            timers += 1
            if (e.hardwareRaw == 0) != (e.state == .incomplete) {
                wrong = "neighbour \(e.address): \(e.state) with hardware address \(e.hardwareRaw)"
            }
            if e.pendingCount > 0, e.state != .incomplete {
                wrong = "neighbour \(e.address): frames wait in \(e.state)"
            }
            if e.pendingCount > 0 { owners.add(e.pending.0.frame) }
            if e.pendingCount > 1 { owners.add(e.pending.1.frame) }
            if e.pendingCount > 2 { owners.add(e.pending.2.frame) }
            if e.pendingCount > 3 { owners.add(e.pending.3.frame) }
        }
        if count != neighbours.count { return "neighbours: counts \(neighbours.count), \(count) there" }
        return wrong
    }

    /// Who a block is, for messages.
    func describe(_ b: Block) -> String {
        let c = TCPConnection(b)
        let remote = remote(c)
        return
            "\(remote.address):\(remote.port) to :\(localPort(c)) \(b.pointee.state) flags \(b.pointee.flags.rawValue)"
    }
}

/// Counts who owns each frame of a pool and compares that with the frames' references.
struct FrameOwners {
    private let pool: FramePool
    private let counts: UnsafeMutablePointer<UInt16>

    init(_ pool: FramePool) {
        self.pool = pool
        counts = .allocate(capacity: pool.count)
        counts.initialize(repeating: 0, count: pool.count)
    }

    func deallocate() { counts.deallocate() }

    /// One reference more. False when there is no such frame.
    @discardableResult
    mutating func add(_ frame: FrameID) -> Bool {
        guard Int(frame) < pool.count else { return false }
        counts[Int(frame)] &+= 1
        return true
    }

    /// The free list holds exactly the frames without references.
    func checkFreeList() -> String? { pool.findViolation() }

    /// Every frame has as many references as owners were found.
    func checkReferences() -> String? {
        for frame in 0..<pool.count where pool.info(FrameID(frame)).pointee.references != counts[frame] {
            return "frame \(frame): \(pool.info(FrameID(frame)).pointee.references) references, \(counts[frame]) owners"
        }
        return nil
    }
}
