import Runtime

/// The options of a SYN or SYN-ACK (RFC 9293 3.2, RFC 7323, RFC 2018).
struct SynOptions: Equatable {
    /// Absent: 536 (RFC 9293 3.7.1).
    var maximumSegmentSize: Int = 536
    /// 0...14; nil when not offered.
    var windowScale: UInt8?
    var timestamp: UInt32?
    var timestampEcho: UInt32 = 0
    var sackPermitted = false

    init() {}

    /// Reads the options between `start` and `end` of the segment. A malformed option ends the reading: what came before
    /// it counts, as everybody does it.
    init(_ base: UnsafeRawPointer, from start: Int, to end: Int) {
        TCPOptions.forEach(base, from: start, to: end) { kind, offset, length in
            switch (kind, length) {
            case (TCPOptions.maximumSegmentSize, 4): maximumSegmentSize = Int(base.big16(offset &+ 2))
            // RFC 7323 2.3: a larger shift counts as 14.
            case (TCPOptions.windowScale, 3): windowScale = min(base.byte(offset &+ 2), 14)
            case (TCPOptions.sackPermitted, 2): sackPermitted = true
            case (TCPOptions.timestamps, 10):
                timestamp = base.big32(offset &+ 2)
                timestampEcho = base.big32(offset &+ 6)
            default: break
            }
        }
    }

    /// Writes the options at `p` and returns how many bytes they take, a multiple of 4 and at most 20.
    func write(_ p: UnsafeMutableRawPointer) -> Int {
        p.put8(TCPOptions.maximumSegmentSize, 0)
        p.put8(4, 1)
        p.putBig16(UInt16(truncatingIfNeeded: maximumSegmentSize), 2)
        var length = 4
        if let timestamp {
            // SACK-permitted fills the two bytes that timestamps leave in a word.
            p.put8(sackPermitted ? TCPOptions.sackPermitted : TCPOptions.noOperation, length)
            p.put8(sackPermitted ? 2 : TCPOptions.noOperation, length &+ 1)
            p.put8(TCPOptions.timestamps, length &+ 2)
            p.put8(10, length &+ 3)
            p.putBig32(timestamp, length &+ 4)
            p.putBig32(timestampEcho, length &+ 8)
            length &+= 12
        } else if sackPermitted {
            p.putBig32(0x0101_0402, length)
            length &+= 4
        }
        if let windowScale {
            p.put8(TCPOptions.noOperation, length)
            p.put8(TCPOptions.windowScale, length &+ 1)
            p.put8(3, length &+ 2)
            p.put8(windowScale, length &+ 3)
            length &+= 4
        }
        return length
    }
}

enum TCPOptions {
    static let endOfList: UInt8 = 0
    static let noOperation: UInt8 = 1
    static let maximumSegmentSize: UInt8 = 2
    static let windowScale: UInt8 = 3
    static let sackPermitted: UInt8 = 4
    static let sack: UInt8 = 5
    static let timestamps: UInt8 = 8

    /// NOP, NOP, kind 8, length 10: how every stack lays out the timestamps of a segment after the SYN
    /// (RFC 7323 appendix A), as a raw load gives it.
    static let alignedTimestampsRaw: UInt32 = 0x0A08_0101
    /// Bytes of that block.
    static let timestampsLength = 12

    /// Calls `body(kind, offset, length)` for each whole option between `start` and `end`; stops at the end of the list
    /// and at the first option whose length is nonsense.
    @inline(__always) static func forEach(
        _ base: UnsafeRawPointer, from start: Int, to end: Int, _ body: (UInt8, Int, Int) -> Void
    ) {
        var offset = start
        while offset < end {
            let kind = base.byte(offset)
            if kind == endOfList { return }
            if kind == noOperation {
                offset &+= 1
                continue
            }
            guard offset &+ 1 < end else { return }
            let length = Int(base.byte(offset &+ 1))
            guard length >= 2, offset &+ length <= end else { return }
            body(kind, offset, length)
            offset &+= length
        }
    }
}

extension TCPSegment {
    /// Finds the timestamps of a segment whose options are not laid out as usual.
    @inline(never) mutating func findTimestamps() {
        var found: (UInt32, UInt32)?
        let base = base
        TCPOptions.forEach(base, from: Self.minimumHeader, to: headerLength) { kind, offset, length in
            if kind == TCPOptions.timestamps, length == 10 {
                found = (base.big32(offset &+ 2), base.big32(offset &+ 6))
            }
        }
        if let found {
            hasTimestamp = true
            (timestampValue, timestampEcho) = found
        }
    }
}
