import Runtime

@testable import Net

/// A stack, its user, and the remote hosts of one input. Everything is made anew for each input, except for the pool.
final class World {
    static let localMAC = MACAddress(bits: 0x02_00_00_00_00_01)
    static let local = IPv4Address(10, 0, 0, 1)
    static let listening: UInt16 = 6_379
    static let frames = 64
    nonisolated(unsafe) private static let pool = FramePool(count: frames)
    nonisolated(unsafe) private static let burst = FrameQueue(capacity: 64)
    /// Where frames are put together before they go into the pool.
    nonisolated(unsafe) static let workshop = UnsafeMutableRawPointer.allocate(byteCount: 4_096, alignment: 16)

    let pool = World.pool
    private let burst = World.burst
    var stack: Stack
    var now: Nanoseconds = .seconds(100)
    var peers: [Peer] = (0..<4).map { Peer(number: $0) }
    var users: [User] = []
    /// Taken away by the program, so that frames are scarce.
    var hoard: [FrameID] = []
    /// Answer for whatever address is asked for.
    var answersARP = true
    /// Events are served after every step.
    var servesEvents = true
    private var asked: [IPv4Address] = []

    init(_ change: (inout Stack.Configuration) -> Void) {
        var configuration = Stack.Configuration(
            hardwareAddress: Self.localMAC, address: Self.local, prefixLength: 24)
        configuration.transmitCapacity = 32
        configuration.receiveWindow = 16_384
        configuration.gateway = IPv4Address(10, 0, 0, 254)
        change(&configuration)
        // The same list of free frames for every input.
        if pool.freeCount != Self.frames { fail("\(Self.frames - pool.freeCount) frames did not come back") }
        while pool.allocateReserved() != nil {}
        for frame in (0..<FrameID(Self.frames)).reversed() { pool.release(frame) }
        stack = Stack(configuration: configuration, pool: pool, entropy: Entropy(seed: 1), now: now)
        stack.listen(port: Self.listening)
    }

    /// Everybody lets go; then nothing may be left. With `settling`, time passes until the last block and timer are gone.
    func end(settling: Bool) {
        for frame in hoard { pool.release(frame) }
        hoard = []
        burstOut()
        serveEvents(reading: true)
        for user in users {
            if !settling { stack.abort(user.connection) }
            stack.free(user.connection)
        }
        users = []
        turn()
        check()
        guard settling else { return }
        answersARP = false
        var turns = 0
        while stack.controlBlocks > 0 || stack.scheduledTimers > 0 {
            turns += 1
            if turns > 400 { fail("\(stack.controlBlocks) blocks, \(stack.scheduledTimers) timers are left") }
            now = max(now + .seconds(1), stack.nextDeadline ?? 0)
            serveEvents(reading: true)
            for user in users { stack.free(user.connection) }
            users = []
            turn()
        }
        check()
        if pool.freeCount != pool.count { fail("\(pool.count - pool.freeCount) frames are left") }
    }

    // MARK: frames in

    /// The bytes in the workshop arrive.
    func arrive(_ count: Int, headroom: Int = 64) {
        guard count > 0, count <= min(pool.frameSize - headroom, stack.configuration.mtu + 14),
            let frame = pool.allocateReserved()
        else { return }
        (pool.address(frame) + headroom).copyMemory(from: Self.workshop, byteCount: count)
        _ = burst.push(FrameDescriptor(frame: frame, offset: headroom, length: count))
        if burst.room == 0 { burstOut() }
    }

    /// What arrived so far is one burst.
    func burstOut() {
        guard !burst.isEmpty else { return }
        stack.beginBurst(now: now)
        while let request = stack.nextRequest(of: burst) {
            if let index = users.firstIndex(where: { $0.connection == request.connection }) {
                users[index].serve(stack, request)
            } else {
                stack.queue(request)
            }
            check()
        }
    }

    // MARK: turns

    /// The rest of a turn after the input: events, timers, output; what left is looked at.
    func turn() {
        burstOut()
        if servesEvents { serveEvents(reading: false) }
        stack.advanceTimers(now: now)
        stack.output(now: now)
        takeFrames()
    }

    /// Lets time pass as the poll loop would; a busy stack may be left behind.
    func wait(_ span: Nanoseconds) {
        let end = now + span
        var turns = 0
        while turns < 12, let deadline = stack.nextDeadline, deadline <= end {
            now = max(now, deadline)
            turn()
            turns += 1
        }
        now = end
        turn()
    }

    func check() {
        let hoarded = hoard
        if let wrong = stack.findViolation(held: [burst], ownsAll: hoarded.isEmpty) { fail(wrong) }
        for index in users.indices { users[index].check(stack) }
    }

    // MARK: frames out

    func takeFrames() {
        while let d = stack.transmitQueue.pop() {
            let p = UnsafeRawPointer(pool.address(d.frame)) + Int(d.offset)
            inspect(p, Int(d.length))
            pool.release(d.frame)
        }
        while let d = stack.strays.pop() { pool.release(d.frame) }
        while let address = asked.popLast() { answer(address) }
    }

    private func inspect(_ p: UnsafeRawPointer, _ count: Int) {
        let frame = SeenFrame(p, count, mtu: stack.configuration.mtu)
        if isTracing { frame.trace() }
        switch frame.kind {
        case .request(let address): if answersARP, asked.count < 8 { asked.append(address) }
        case .segment:
            for index in peers.indices where peers[index].isMeant(by: frame) {
                peers[index].see(frame, p, count)
                return
            }
        case .other: break
        }
    }

    private func answer(_ address: IPv4Address) {
        let reply = ARPPacket(
            .reply, senderHardware: MACAddress(bits: 0x02_00_00_00_00_02), senderAddress: address,
            targetHardware: Self.localMAC, targetAddress: Self.local)
        Ethernet.write(
            Self.workshop, destinationRaw: Ethernet.raw(Self.localMAC), sourceRaw: Ethernet.raw(Peer.hardware),
            type: EtherType.arp)
        reply.write(Self.workshop + Ethernet.headerLength)
        arrive(Ethernet.headerLength + ARPPacket.length)
        burstOut()
    }

    // MARK: events

    /// Notes what opened, gives back what ended.
    func serveEvents(reading: Bool) {
        while let c = stack.nextEvent() {
            let events = stack.takeEvents(c)
            var index = users.firstIndex { $0.connection == c }
            if index == nil {
                if !events.contains(.opened) { fail("event \(events.rawValue) of a connection that was not opened") }
                users.append(User(c))
                index = users.count - 1
            }
            users[index!].note(events)
            if reading { users[index!].read(stack, .max) }
            if events.contains(.closed) {
                users[index!].read(stack, .max)
                stack.free(c)
                users.remove(at: index!)
            }
        }
    }
}
