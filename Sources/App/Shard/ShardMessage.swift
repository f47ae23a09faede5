import CLinux
import Net
import Runtime

/// What one shard tells another. 16 bytes, so that a batch of four shares a cache line.
struct ShardMessage: BitwiseCopyable {
    enum Kind: UInt8 {
        /// `block` is a `RemoteRequest` to execute; it comes back as `.reply`, always.
        case request
        /// `block` is the sender's answer to a request of ours.
        case reply
        /// A frame that is lent: `block` is its first byte (of the Ethernet header) in the pool of shard `origin`. It is
        /// only read, and goes back to its origin as `.frameBack`, always.
        case frame
        /// `block` is what the receiver lent.
        case frameBack
    }

    /// From the low bits: the kind (8), `hopsLeft`, `origin` and `count` (16 each from bit 16 on). One word, so that a message is
    /// read and written by two moves.
    private var head: UInt64
    let block: UnsafeMutableRawPointer

    @inline(__always) var kind: Kind { Kind(rawValue: UInt8(truncatingIfNeeded: head)).unsafelyUnwrapped }
    /// Of a frame: shards that have not seen it yet. At 0 the last one answers for an unknown flow.
    var hopsLeft: UInt16 {
        get { UInt16(truncatingIfNeeded: head &>> 16) }
        set { head = head & ~(0xFFFF &<< 16) | UInt64(newValue) &<< 16 }
    }
    /// Of a frame: whose it is.
    var origin: UInt16 { UInt16(truncatingIfNeeded: head &>> 32) }
    /// Of a frame: bytes of the whole Ethernet frame. Of a request and its reply: `RemoteRequest.replyOffset`.
    @inline(__always) var count: UInt16 { UInt16(truncatingIfNeeded: head &>> 48) }

    init(kind: Kind, block: UnsafeMutableRawPointer) {
        head = UInt64(kind.rawValue)
        self.block = block
    }

    @inline(__always) init(kind: Kind, request: UnsafeMutablePointer<RemoteRequest>, replyOffset: UInt16) {
        head = UInt64(kind.rawValue) | UInt64(replyOffset) &<< 48
        block = request.block
    }

    init(frame: UnsafeMutableRawPointer, count: Int, origin: Int, hopsLeft: Int) {
        head =
            UInt64(Kind.frame.rawValue) | UInt64(UInt16(truncatingIfNeeded: hopsLeft)) &<< 16
            | UInt64(UInt16(truncatingIfNeeded: origin)) &<< 32 | UInt64(UInt16(truncatingIfNeeded: count)) &<< 48
        block = frame
    }

    /// Asks for the memory before it is looked at: the first lines of what travels of a request and of its reply; a frame's
    /// headers.
    @inline(__always) func prefetch() {
        let reply = block + Int(count)
        if kind == .request {
            apus_prefetch(block + 64)
            apus_prefetch_for_writing(reply)
            apus_prefetch_for_writing(reply + 64)
        } else {
            // What the origin has itself; or the frame.
            apus_prefetch(block)
            apus_prefetch(reply)
            apus_prefetch(reply + 64)
        }
    }

    /// Of several commands in one request there are more lines than may be asked for far ahead.
    @inline(__always) var isLong: Bool { count > 128 }

    /// The other lines of a request or reply that `isLong`, as far as they can be guessed: replies are about as long as the
    /// commands.
    @inline(never) func prefetchRest() {
        let lines = min(Int(count) / 64, Self.mostLines)
        let reply = block + Int(count)
        if kind == .request {
            for line in 2..<max(2, lines) { apus_prefetch(block + line &* 64) }
            for line in 2..<max(2, lines &+ 2) { apus_prefetch_for_writing(reply + line &* 64) }
        } else if kind == .reply {
            for line in 2..<max(2, lines &+ 2) { apus_prefetch(reply + line &* 64) }
        }
    }

    private static let mostLines = 8
}
