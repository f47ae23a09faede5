import CLinux
import Glibc
import Net
import Runtime

/// The bare echo as a program: one pinned thread over one link, until SIGTERM or SIGINT.
public struct EchoServer {
    /// The link; its `queues` is 1.
    public var link: LinkConfiguration
    /// Where the thread stays; nil: the last of the usable cores, as the server's first shard.
    public var core: Int32?
    /// Bytes of an answer's frame; nil: as the request's.
    public var replyFrame: Int?

    public init(link: LinkConfiguration) { self.link = link }

    /// Echoes until told to stop. SIGTERM and SIGINT must be blocked in the calling thread, which waits for them here.
    /// `ready` is called with a line for people once frames are answered. Returns the counters as one line of JSON.
    public func run(ready: (String) -> Void) throws -> String {
        let set = try LinkSet.open(link)
        defer {
            set.close()
            set.deallocatePools()
        }
        if let replyFrame {
            // Ethernet header included, as in the frames' lengths everywhere.
            let limits = FrameEcho.headerLength...(set.mtu + 14)
            guard limits.contains(replyFrame) else {
                throw StartError(
                    sentence: "a reply frame of \(replyFrame) bytes does not fit \(set.interface): "
                        + "\(limits.lowerBound) to \(limits.upperBound) do")
            }
        }
        ready("Echo over \(set.driver) on \(set.interface), address \(link.address). Ready to accept connections")
        switch set.links {
        case .xdp(let links): return serve(links[0])
        case .packet(let links): return serve(links[0])
        case .tap(let links): return serve(links[0])
        }
    }

    private func serve<L: Link & SendableMetatype>(_ link: L) -> String {
        let seat = EchoSeat(
            link: link,
            echo: FrameEcho(hardwareAddress: link.hardwareAddress, address: self.link.address, replyLength: replyFrame))
        let thread = PinnedThread(name: "apus-echo", core: core ?? PinnedThread.usableCores.last) { seat.serve() }
        thread.start()
        StopSignals().wait()
        seat.stop()
        thread.join()
        return seat.takeReport()
    }
}

/// What the echo's thread is given, and what it leaves.
private final class EchoSeat<L: Link>: @unchecked Sendable {
    private let link: L
    private let echo: FrameEcho
    /// 1 once the thread is to end.
    private let stopFlag = UnsafeMutablePointer<UInt32>.allocate(capacity: 1)
    /// The thread's, until it has ended.
    private var report = ""

    init(link: L, echo: FrameEcho) {
        self.link = link
        self.echo = echo
        stopFlag.initialize(to: 0)
    }

    deinit { stopFlag.deallocate() }

    /// The thread's whole life.
    func serve() {
        let clock = SystemClock()
        let started = clock.monotonic
        var loop = EchoLoop(link: link, clock: clock, echo: echo)
        let flag = stopFlag
        loop.run { apus_load_relaxed_u32(flag) != 0 }
        report = loop.report(seconds: Double(clock.monotonic &- started) / 1e9)
    }

    func stop() { apus_store_relaxed_u32(stopFlag, 1) }

    /// After the thread was joined.
    func takeReport() -> String { report }
}
