import Runtime

/// A connection of our own stack. A handle: copies name the same connection; it is valid from the event that showed it
/// (or `connect`) until `free`.
@frozen
public struct TCPConnection: BitwiseCopyable, Equatable, Hashable {
    @usableFromInline let block: UnsafeMutablePointer<ControlBlock>
    @usableFromInline init(_ block: UnsafeMutablePointer<ControlBlock>) { self.block = block }
}

public struct ControlBlock {}

public final class Stack {
    /// Frames ready for the link; drained by `Link.transmit(from:)`. Each descriptor owns one reference.
    public let transmitQueue: FrameQueue
    /// Frames of flows this stack does not know, and ARP frames (with `strayHandling`): the caller gives copies of
    /// them to the other shards' `inputStray`, and owns the reference.
    public let strays: FrameQueue
    public let configuration: Configuration
    public let pool: FramePool
    public internal(set) var statistics = StackStatistics()

    public init(configuration: Configuration, pool: FramePool, entropy: Entropy, now: Nanoseconds) {
        self.configuration = configuration
        self.pool = pool
        transmitQueue = FrameQueue(capacity: configuration.transmitCapacity)
        strays = FrameQueue(capacity: configuration.transmitCapacity)
    }

    public func listen(port: UInt16) { fatalError() }
    public func stopListening(port: UInt16) { fatalError() }
    /// Active open. nil when there is no control block or no free port.
    public func connect(to address: IPv4Address, port: UInt16, now: Nanoseconds) -> TCPConnection? { fatalError() }
    /// Takes over every frame in the burst; the queue is empty afterwards.
    public func input(_ burst: FrameQueue, now: Nanoseconds) { fatalError() }
    public func inputStray(_ burst: FrameQueue, final: Bool, now: Nanoseconds) { fatalError() }
    /// The connection that has waited longest with events, or nil.
    public func nextEvent() -> TCPConnection? { fatalError() }
    public func takeEvents(_ c: TCPConnection) -> StreamEvents { fatalError() }
    /// First contiguous piece of unread bytes, in place; count 0 when there is none.
    public func received(_ c: TCPConnection) -> ByteView { fatalError() }
    public func consume(_ c: TCPConnection, _ n: Int) { fatalError() }
    public func outputSpan(_ c: TCPConnection) -> OutputSpan { fatalError() }
    public func commit(_ c: TCPConnection, _ cursor: UnsafeMutableRawPointer) { fatalError() }
    public func backlog(_ c: TCPConnection) -> Int { fatalError() }
    public func shutdown(_ c: TCPConnection) { fatalError() }
    public func abort(_ c: TCPConnection) { fatalError() }
    public func free(_ c: TCPConnection) { fatalError() }
    public func output(now: Nanoseconds) { fatalError() }
    public func advanceTimers(now: Nanoseconds) { fatalError() }
    public var nextDeadline: Nanoseconds? { fatalError() }
    public func context(_ c: TCPConnection) -> UnsafeMutableRawPointer? { fatalError() }
    public func setContext(_ c: TCPConnection, _ context: UnsafeMutableRawPointer?) { fatalError() }
    public func remote(_ c: TCPConnection) -> (address: IPv4Address, port: UInt16) { fatalError() }
    public func localPort(_ c: TCPConnection) -> UInt16 { fatalError() }
    public var liveConnections: Int { fatalError() }
}
