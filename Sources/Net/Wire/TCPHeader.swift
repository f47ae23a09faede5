import Runtime

/// The control bits (RFC 9293 3.1).
struct TCPFlags: OptionSet, BitwiseCopyable {
    let rawValue: UInt8
    @inline(__always) init(rawValue: UInt8) { self.rawValue = rawValue }
    static let fin = TCPFlags(rawValue: 1)
    static let syn = TCPFlags(rawValue: 2)
    static let rst = TCPFlags(rawValue: 4)
    static let psh = TCPFlags(rawValue: 8)
    static let ack = TCPFlags(rawValue: 16)
    static let urg = TCPFlags(rawValue: 32)
    /// ECN-Echo and Congestion Window Reduced (RFC 3168 6.1).
    static let ece = TCPFlags(rawValue: 64)
    static let cwr = TCPFlags(rawValue: 128)
}

/// A received TCP segment whose header lies whole in the datagram and whose checksum was right.
struct TCPSegment {
    static let minimumHeader = 20

    /// First byte of the header.
    var base: UnsafeRawPointer
    /// 20...60.
    var headerLength: Int
    var sequence: SequenceNumber
    /// Meaningful with the ACK bit only.
    var acknowledgement: SequenceNumber
    var flags: TCPFlags
    /// As on the wire: not yet scaled.
    var window: UInt16
    /// Bytes of text that are left (trimming moves `textStart` and `sequence` on).
    var count: Int
    /// Offset of the text from `base`.
    var textStart: Int
    /// RFC 7323; meaningful when `hasTimestamp`.
    var hasTimestamp: Bool
    var timestampValue: UInt32
    var timestampEcho: UInt32
    /// The datagram came with CE: a router on its way is congested (RFC 3168 5).
    var isMarked = false

    /// SEG.LEN of RFC 9293: text, SYN and FIN each take sequence space.
    @inline(__always) var length: Int {
        count &+ (flags.contains(.syn) ? 1 : 0) &+ (flags.contains(.fin) ? 1 : 0)
    }

    /// The sequence number behind the segment.
    @inline(__always) var end: SequenceNumber { sequence + length }
}
