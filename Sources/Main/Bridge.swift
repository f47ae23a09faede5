import ArgumentParser
import CLinux
import Glibc
import Net
import Runtime

struct Bridge: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A bad network between two interfaces, for tests and measurements.",
        discussion: """
            What arrives on one interface leaves on the other: delayed, lost, repeated, damaged, overtaken, or slowed to \
            a rate, as the seed decides. Values hold for both directions; two values with a comma between them hold for \
            FIRST to SECOND and for the way back. A delay is one way: the round trip takes it twice. The senders on \
            both sides must not leave checksums and segmentation to hardware: `ethtool -K IF tx off tso off gso off gro off`.

            Counters are written to the standard output as a line of JSON at SIGUSR1 and at the end (SIGINT, SIGTERM).
            """)

    @Argument(help: "The first interface.")
    var first: String
    @Argument(help: "The second interface.")
    var second: String
    @Option(help: "Delay one way: 10ms, 250us, 1s.")
    var delay = Both(Span(nanoseconds: 0))
    @Option(help: "Frames that are lost, in percent.")
    var loss = Both(0.0)
    @Option(help: "Frames that come twice, in percent.")
    var duplicate = Both(0.0)
    @Option(help: "IPv4 frames with one bit flipped, in percent.")
    var corrupt = Both(0.0)
    @Option(help: "Frames that are held back, so that others overtake them, in percent.")
    var reorder = Both(0.0)
    @Option(help: "The longest time a frame is held back.")
    var reorderSpan = Both(Span(nanoseconds: 2_000_000))
    @Option(help: "Bits a second: 100mbit, 1gbit; 0 is no limit.")
    var rate = Both(BitRate(bits: 0))
    @Option(help: "Frames that may wait for the rate; more are dropped.")
    var queue = Both(1000)
    @Option(help: "The same seed treats the n-th frame of a direction alike.")
    var seed: UInt64 = 1
    @Option(help: "A file that gets a line for each frame.")
    var trace: String?

    func validate() throws {
        for share in [loss, duplicate, corrupt, reorder].flatMap({ [$0.forward, $0.backward] }) {
            guard (0...100).contains(share) else { throw ValidationError("Shares of frames are 0 to 100 percent.") }
        }
        guard min(queue.forward, queue.backward) >= 1, max(queue.forward, queue.backward) <= 1_000_000 else {
            throw ValidationError("A queue holds 1 to 1000000 frames.")
        }
    }

    private func impairment(isForward: Bool) -> Impairment {
        func pick<Value>(_ both: Both<Value>) -> Value { isForward ? both.forward : both.backward }
        var impairment = Impairment()
        impairment.delay = pick(delay).nanoseconds
        impairment.loss = pick(loss) / 100
        impairment.duplication = pick(duplicate) / 100
        impairment.corruption = pick(corrupt) / 100
        impairment.reordering = pick(reorder) / 100
        impairment.reorderSpan = pick(reorderSpan).nanoseconds
        impairment.rate = pick(rate).bits
        impairment.queueLimit = pick(queue)
        return impairment
    }

    func run() throws {
        let signals = StopSignals(others: [SIGUSR1])
        signals.block()
        let flags = BridgeFlags()
        let bridge = try LossyBridge(
            Interface(named: first), Interface(named: second), forward: impairment(isForward: true),
            backward: impairment(isForward: false), seed: seed, trace: trace)
        let seat = BridgeSeat(bridge: bridge, flags: flags)
        let thread = PinnedThread(name: "apus-bridge", core: nil) { seat.carry() }
        thread.start()
        standardOutput("{\"bridge\":[\"\(first)\",\"\(second)\"]}\n")
        while signals.wait() == SIGUSR1 { flags.wantsReport = true }
        flags.isStopped = true
        thread.join()
        standardOutput(bridge.report + "\n")
        bridge.close()
    }
}

/// What the main thread tells the bridge's thread.
private final class BridgeFlags: @unchecked Sendable {
    private let words = UnsafeMutablePointer<UInt32>.allocate(capacity: 2)

    init() { words.initialize(repeating: 0, count: 2) }
    deinit { words.deallocate() }

    var isStopped: Bool {
        get { apus_load_relaxed_u32(words) != 0 }
        set { apus_store_relaxed_u32(words, newValue ? 1 : 0) }
    }
    var wantsReport: Bool {
        get { apus_load_relaxed_u32(words + 1) != 0 }
        set { apus_store_relaxed_u32(words + 1, newValue ? 1 : 0) }
    }
}

/// The bridge on its way to its thread.
private struct BridgeSeat: @unchecked Sendable {
    let bridge: LossyBridge
    let flags: BridgeFlags

    func carry() {
        bridge.run {
            if flags.wantsReport {
                flags.wantsReport = false
                standardOutput(bridge.report + "\n")
            }
            return flags.isStopped
        }
    }
}
