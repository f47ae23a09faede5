import Net
import Runtime

/// The load generator for `apus echo`: a number of UDP datagrams under way over a bare link, no stack. Whenever one comes
/// back, the next is sent from the frame it came in. Generic over link and clock, as everything that tests run in virtual time.
final class DatagramLoop<L: Link, C: Clock>: LoadLoop {
    private struct Slot {
        /// Of the datagram under way, unlike that of every earlier one.
        var number: UInt64 = 0
        var sentAt: Nanoseconds = 0
    }

    let link: L
    private let clock: C
    private let settings: BenchSettings
    private var probe: DatagramProbe
    private let received = FrameQueue(capacity: 256)
    private let waiting = FrameQueue(capacity: 8192)
    private let slots: UnsafeMutablePointer<Slot>
    private let count: Int
    /// Bytes of an answer's frame; 0: any.
    private let replyFrame: Int
    /// Datagrams under way: those of slots below this.
    private var started = 0
    private(set) var now: Nanoseconds = 0
    private var askedAt = Nanoseconds.min / 2
    private var beganAt: Nanoseconds = 0
    private var nextLook: Nanoseconds = 0
    private(set) var recorder = BenchRecorder()
    private(set) var state = BenchState()
    private(set) var failure: BenchError?
    /// A datagram that has not come back for so long was lost.
    private static var lossTime: Nanoseconds { .milliseconds(100) }
    private static var patience: Nanoseconds { .seconds(5) }

    init(_ settings: BenchSettings, link: L, clock: C) {
        self.settings = settings
        self.link = link
        self.clock = clock
        count = settings.clients
        replyFrame = settings.replyFrame ?? 0
        probe = DatagramProbe(
            hardwareAddress: link.hardwareAddress, address: settings.address!.address,
            target: IPv4Address(settings.host)!, length: settings.requestFrame)
        slots = .allocate(capacity: count)
        slots.initialize(repeating: Slot(), count: count)
        now = clock.monotonic
        beganAt = now
        state.isSending = true
        state.isLoaded = true
        state.target = .max
    }

    deinit {
        while let frame = received.pop() { link.pool.release(frame.frame) }
        while let frame = waiting.pop() { link.pool.release(frame.frame) }
        received.deallocate()
        waiting.deallocate()
        slots.deallocate()
    }

    var isFinished: Bool { recorder.count + state.lost >= state.issued && !state.isSending && state.countsFrom != .max }

    /// One turn. Whether there was anything to do.
    func turn() -> Bool {
        now = clock.monotonic
        let arrived = link.receive(into: received, limit: min(128, waiting.room))
        while let frame = received.pop() { take(frame) }
        if now >= nextLook { look() }
        if probe.targetHardware != nil, started < count { start() }
        if !waiting.isEmpty { _ = link.transmit(from: waiting) }
        link.reclaim()
        return arrived > 0
    }

    @inline(__always) private func take(_ frame: FrameDescriptor) {
        let place = link.pool.address(frame.frame) + Int(frame.offset)
        switch probe.look(place, Int(frame.length)) {
        case .answer(let number):
            let slot = Int(truncatingIfNeeded: number & 0xFFFF_FFFF)
            // Of an earlier datagram that was given up: lost is lost.
            guard slot < started, slots[slot].number == number else { break }
            if slots[slot].sentAt >= state.countsFrom { recorder.record(now &- slots[slot].sentAt) }
            if Int(frame.length) != replyFrame, replyFrame != 0 { state.wrong &+= 1 }
            state.lastReply = now
            if send(slot, from: frame) { return }
        case .question(let length):
            waiting.append(FrameDescriptor(frame: frame.frame, offset: Int(frame.offset), length: length))
            return
        case .targetFound, .nothing: break
        }
        link.pool.release(frame.frame)
    }

    /// The next datagram of a slot; its frame is handed over. false: no more are sent.
    @inline(__always) private func send(_ slot: Int, from frame: FrameDescriptor) -> Bool {
        guard state.isSending else {
            slots[slot].number = 0
            return false
        }
        let number = slots[slot].number & ~0xFFFF_FFFF &+ 1 << 32 | UInt64(slot)
        slots[slot] = Slot(number: number, sentAt: now)
        let length = probe.writeDatagram(link.pool.address(frame.frame) + Int(frame.offset), number: number)
        waiting.append(FrameDescriptor(frame: frame.frame, offset: Int(frame.offset), length: length))
        if now >= state.countsFrom {
            state.issued &+= 1
            if state.issued == state.target { state.isSending = false }
        }
        return true
    }

    /// Slots that have no datagram yet, some a turn.
    private func start() {
        if started == 0 { begin() }
        var left = 256
        while left > 0, started < count, state.isSending, waiting.room > 0 {
            guard sendFresh(started) else { return }
            started += 1
            left -= 1
        }
    }

    private func sendFresh(_ slot: Int) -> Bool {
        guard let frame = link.pool.allocate() else { return false }
        // As received frames: their headroom is the kernel's.
        let descriptor = FrameDescriptor(frame: frame, offset: XDPLink.headroom, length: 0)
        let place = link.pool.address(frame) + XDPLink.headroom
        place.initializeMemory(as: UInt8.self, repeating: 0, count: settings.requestFrame)
        if send(slot, from: descriptor) { return true }
        link.pool.release(frame)
        return false
    }

    private func begin() {
        state.boundary = now + Nanoseconds(settings.warmup * 1e9)
        if settings.warmup == 0 { count(from: now) }
    }

    private func count(from start: Nanoseconds) {
        state.countsFrom = start
        state.start = start
        state.usageAtStart = ProcessUsage.seconds
        state.countersAtStart = counters
        state.target = settings.duration == nil ? settings.requests : .max
        state.boundary = settings.duration.map { start + Nanoseconds($0 * 1e9) } ?? .max
    }

    /// Each half millisecond: the course of the test, losses, and the question for the target's hardware address.
    private func look() {
        nextLook = now + .microseconds(500)
        if probe.targetHardware == nil { return ask() }
        if started > 0, now >= state.boundary {
            if state.countsFrom == .max { count(from: now) } else { state.isSending = false }
        }
        for slot in 0..<started where slots[slot].number != 0 && now - slots[slot].sentAt > Self.lossTime {
            if slots[slot].sentAt >= state.countsFrom { state.lost += 1 }
            if waiting.room == 0 || !sendFresh(slot) { slots[slot].number = 0 }
        }
        if state.lastReply == 0, started > 0, now - beganAt > Self.patience {
            failure = BenchError("\(settings.host) does not send datagrams back: is it 'apus echo'?")
        }
    }

    private func ask() {
        guard now - askedAt > .milliseconds(100) else { return }
        askedAt = now
        if now - beganAt > Self.patience { failure = BenchError("\(settings.host) cannot be reached: nobody answers.") }
        guard waiting.room > 0, let frame = link.pool.allocate() else { return }
        let length = probe.writeQuestion(link.pool.address(frame) + XDPLink.headroom)
        waiting.append(FrameDescriptor(frame: frame, offset: XDPLink.headroom, length: length))
    }

    // MARK: LoadLoop

    var openings: (open: Int, wanted: Int) { (started, count) }
    /// Losses are found by `look`.
    var isWaiting: Bool { false }
    var nextDeadline: Nanoseconds { nextLook }
    func wait(until deadline: Nanoseconds) {}

    private var counters: TransportCounters {
        let statistics = link.statistics
        return TransportCounters(
            systemCalls: statistics.systemCalls, segmentsSent: statistics.transmittedFrames,
            segmentsReceived: statistics.receivedFrames, retransmissions: 0, bytesSent: statistics.transmittedBytes,
            bytesReceived: statistics.receivedBytes)
    }

    func takeResult() -> BenchResult {
        recorder.flush()
        var result = BenchResult()
        result.name = "UDP_ECHO"
        result.requests = recorder.count
        result.seconds = Double(max(0, state.lastReply - state.start)) / 1e9
        result.errors = state.lost
        result.wrong = state.wrong
        result.wrongText = state.wrong > 0 ? "its frame did not have \(replyFrame) bytes" : nil
        result.errorText = state.lost > 0 ? "a datagram did not come back" : nil
        result.connections = count
        result.cpuSeconds = ProcessUsage.seconds - state.usageAtStart
        result.counters = counters - state.countersAtStart
        result.histogram = recorder.histogram
        result.mean = recorder.mean * 1e3
        result.isInterrupted = !isFinished
        return result
    }
}
