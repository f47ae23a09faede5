import Runtime

/// What feeds the stack with Ethernet frames and takes its own: one queue of a device, used by one shard.
///
/// Frames live in the link's pool. `receive` hands each frame to the caller with one reference. `transmit` takes over
/// the reference that came with each descriptor; the link drops it when the device is done with the frame (at once
/// where the driver copies, at completion where the device reads the frame itself). Whoever wants to keep a frame
/// beyond that (a retransmission queue) holds a reference of its own.
///
/// All calls are for a burst; none blocks.
public protocol Link: AnyObject {
    var pool: FramePool { get }
    var hardwareAddress: MACAddress { get }
    /// Largest IP datagram a frame may carry.
    var mtu: Int { get }

    /// Moves up to `limit` received frames into `queue` (as far as it has room); returns how many.
    func receive(into queue: FrameQueue, limit: Int) -> Int

    /// Whether `receive` would find something: a look at a ring, no system call. True where only a call could tell.
    var hasReceived: Bool { get }

    /// Takes frames from the head of `queue` until it is empty or the device is full, and starts the device once.
    /// What was not taken stays in the queue. Returns how many were taken.
    func transmit(from queue: FrameQueue) -> Int

    /// Drops the references of frames that the device has finished sending, and gives free frames to the device for
    /// reception. Called once a turn.
    func reclaim()

    /// What poll(2) can wait on for received frames; -1 when there is no such thing (memory links).
    var descriptor: Int32 { get }

    var statistics: LinkStatistics { get }

    /// For the log and INFO: "xdp zero-copy", "xdp copy", "xdp generic", "packet", "tap", "memory".
    var driver: String { get }

    /// Releases the device. The pool stays valid until its owner deallocates it.
    func close()
}

/// Counters since the link was opened.
public struct LinkStatistics: Sendable {
    public var receivedFrames: UInt64 = 0
    public var receivedBytes: UInt64 = 0
    public var transmittedFrames: UInt64 = 0
    public var transmittedBytes: UInt64 = 0
    /// Frames the device or the driver dropped: no free frame, ring full, oversized.
    public var receiveDrops: UInt64 = 0
    public var transmitDrops: UInt64 = 0
    /// System calls, all of them; and those of them that started the device to send.
    public var systemCalls: UInt64 = 0
    public var kicks: UInt64 = 0
    public init() {}
}
