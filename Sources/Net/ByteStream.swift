import Runtime

/// What happened to a byte stream (a TCP connection of our stack, or a kernel socket) since its user last looked.
/// Both kinds keep this contract, so that a session does not know which one it has:
///
/// - a burst of input marks streams; the user takes them from the ready list one by one (`nextEvent`), each at most
///   once per burst, and takes its `events`;
/// - received bytes are read in place (`received`) and given back with `consume`; what is not consumed stays, and
///   closes the receive window in the end;
/// - output is written into spans of memory that the stream lends (`outputSpan`, `commit`);
/// - after `.closed` nothing more comes; the user calls `free`.
@frozen
public struct StreamEvents: OptionSet, BitwiseCopyable, Sendable {
    public let rawValue: UInt8
    @inlinable @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A listener accepted this stream: first event of every passive stream.
    @inlinable public static var opened: StreamEvents { StreamEvents(rawValue: 1) }
    /// There are bytes to read that the user has not been told of.
    @inlinable public static var readable: StreamEvents { StreamEvents(rawValue: 2) }
    /// The backlog fell below half of what it was when it was last above the low-water mark: go on writing.
    @inlinable public static var writable: StreamEvents { StreamEvents(rawValue: 4) }
    /// The peer has sent everything it will send (FIN). Bytes may still be unread.
    @inlinable public static var endOfStream: StreamEvents { StreamEvents(rawValue: 8) }
    /// Over: reset, timed out, or closed in both directions. The user must `free` it.
    @inlinable public static var closed: StreamEvents { StreamEvents(rawValue: 16) }
}

/// Memory lent by a stream for output: write at `cursor`, never at or beyond `limit`, then `commit`.
@frozen
public struct OutputSpan: BitwiseCopyable {
    public var cursor: UnsafeMutableRawPointer
    public var limit: UnsafeMutableRawPointer

    @inlinable public init(cursor: UnsafeMutableRawPointer, limit: UnsafeMutableRawPointer) {
        self.cursor = cursor
        self.limit = limit
    }
    @inlinable public var room: Int { limit - cursor }
}
