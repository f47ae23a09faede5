import Net
import Runtime

/// What looks on while a turn is done. The loop and the sessions are generic over it: the copy for `Unobserved`, which runs
/// nearly always, has nothing of it left.
protocol Probe {
    /// Steps are to be told by the functions below.
    var traces: Bool { get }
    /// The time since the last mark was `stage`'s.
    func mark(_ stage: CycleAccount.Stage)
    /// A step of a session's client.
    func note(_ event: TraceEvent, _ session: Session, value: Int)
    /// What became of a request of a session.
    func noteRun(_ session: Session, _ arguments: Arguments)
    /// A step of a command on its way between shards.
    func note(_ event: TraceEvent, _ request: UnsafeMutablePointer<RemoteRequest>, value: Int)
    /// A step that all in the turn share.
    func noteShared(_ event: TraceEvent, value: Int)
    /// A step of a frame: one of ours that leaves, or one that came.
    func note(_ event: TraceEvent, _ frame: FrameDescriptor, of pool: FramePool, isOurs: Bool)
    /// Two steps of a frame that came: it arrived, and `input` took it over. What it holds is gone afterwards.
    func noteInput(_ frame: FrameDescriptor, of pool: FramePool, _ input: () -> Void)
}

struct Unobserved: Probe {
    @inline(__always) var traces: Bool { false }
    @inline(__always) func mark(_ stage: CycleAccount.Stage) {}
    @inline(__always) func note(_ event: TraceEvent, _ session: Session, value: Int) {}
    @inline(__always) func noteRun(_ session: Session, _ arguments: Arguments) {}
    @inline(__always) func note(_ event: TraceEvent, _ request: UnsafeMutablePointer<RemoteRequest>, value: Int) {}
    @inline(__always) func noteShared(_ event: TraceEvent, value: Int) {}
    @inline(__always) func note(_ event: TraceEvent, _ frame: FrameDescriptor, of pool: FramePool, isOurs: Bool) {}
    @inline(__always) func noteInput(_ frame: FrameDescriptor, of pool: FramePool, _ input: () -> Void) { input() }
}

/// Attributes the turn's time to its stages; or, while tracing is on, records its steps.
struct Observed<C: Clock>: Probe {
    private let clock: C
    private unowned(unsafe) let shard: ShardState
    let traces: Bool

    /// The turn begins.
    init(clock: C, shard: ShardState) {
        self.clock = clock
        self.shard = shard
        traces = shard.trace.isOn
        if traces { shard.trace.beginTurn() } else { shard.cycles.beginTurn(ticks: clock.ticks) }
    }

    @inline(__always) func mark(_ stage: CycleAccount.Stage) {
        if !traces { shard.cycles.mark(stage, ticks: clock.ticks) }
    }

    /// A turn that was traced took longer than others: it is no sample.
    func end(hadWork: Bool) {
        if !traces { shard.cycles.endTurn(hadWork: hadWork) }
    }

    func note(_ event: TraceEvent, _ session: Session, value: Int) {
        guard traces else { return }
        let isSocket = event == .written && session.state.pointee.stream.kind == .kernel
        shard.trace.note(event, client: session.id, value: isSocket ? 1 : UInt64(value), ticks: clock.ticks)
    }

    func noteRun(_ session: Session, _ arguments: Arguments) {
        guard traces else { return }
        let ticks = clock.ticks
        let state = session.state
        let command = shard.table.resolve(arguments)?.pointee.number ?? -1
        if state.pointee.parked != nil {
            shard.trace.note(.parked, client: session.id, command: command, ticks: ticks)
        } else if state.pointee.outstanding > 0 {
            let owner = UInt64(state.pointee.outstandingShard)
            shard.trace.note(.sent, client: session.id, command: command, value: owner, ticks: ticks)
        } else {
            shard.trace.note(.executed, client: session.id, command: command, ticks: ticks)
        }
    }

    func note(_ event: TraceEvent, _ request: UnsafeMutablePointer<RemoteRequest>, value: Int) {
        guard traces else { return }
        shard.trace.note(
            event, client: request.pointee.clientID, command: request.pointee.command.pointee.number,
            value: UInt64(value), ticks: clock.ticks)
    }

    func noteShared(_ event: TraceEvent, value: Int) {
        guard traces else { return }
        let ticks = clock.ticks
        if event == .polled {
            shard.trace.notePoll(value, ticks)
        } else if event == .arrived {
            shard.trace.noteArrival(ticks)
        } else {
            shard.trace.noteShared(event, value: UInt64(value), ticks: ticks)
        }
    }

    func note(_ event: TraceEvent, _ frame: FrameDescriptor, of pool: FramePool, isOurs: Bool) {
        let word = Self.identify(frame, pool, isOurs: isOurs)
        shard.trace.note(event, frame: word, ticks: clock.ticks)
    }

    func noteInput(_ frame: FrameDescriptor, of pool: FramePool, _ input: () -> Void) {
        let word = Self.identify(frame, pool, isOurs: false)
        shard.trace.note(.arrived, frame: word, ticks: clock.ticks)
        input()
        shard.trace.note(.input, frame: word, ticks: clock.ticks)
    }

    /// Which connection's frame it is; 0: that of none, such as ARP.
    private static func identify(_ frame: FrameDescriptor, _ pool: FramePool, isOurs: Bool) -> UInt64 {
        let length = Int(frame.length)
        let bytes = UnsafeRawPointer(pool.address(frame.frame) + Int(frame.offset))
        func word16(_ offset: Int) -> UInt16 { bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self).bigEndian }
        guard length >= 54, word16(12) == 0x0800, bytes.load(fromByteOffset: 23, as: UInt8.self) == 6 else {
            return UInt64(UInt16(clamping: length))
        }
        let ports = 14 + Int(bytes.load(fromByteOffset: 14, as: UInt8.self) & 0xf) * 4
        let address = bytes.loadUnaligned(fromByteOffset: isOurs ? 30 : 26, as: UInt32.self).bigEndian
        guard ports + 4 <= length else { return 0 }
        return TraceRing.frame(address: address, port: word16(ports + (isOurs ? 2 : 0)), length: length)
    }
}
