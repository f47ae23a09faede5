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

    var kind: Kind
    /// Of a frame: shards that have not seen it yet. At 0 the last one answers for an unknown flow.
    var hopsLeft: UInt16 = 0
    /// Of a frame: whose it is.
    var origin: UInt16 = 0
    /// Of a frame: bytes of the whole Ethernet frame.
    var count: UInt16 = 0
    let block: UnsafeMutableRawPointer

    init(kind: Kind, block: UnsafeMutableRawPointer) {
        self.kind = kind
        self.block = block
    }

    init(frame: UnsafeMutableRawPointer, count: Int, origin: Int, hopsLeft: Int) {
        kind = .frame
        block = frame
        self.count = UInt16(truncatingIfNeeded: count)
        self.origin = UInt16(truncatingIfNeeded: origin)
        self.hopsLeft = UInt16(truncatingIfNeeded: hopsLeft)
    }

    /// Asks for the memory before it is looked at: header, short arguments and short reply of a request, or a frame's
    /// headers.
    @inline(__always) func prefetch() {
        if kind == .request {
            apus_prefetch(block)
            apus_prefetch(block + 64)
            apus_prefetch_for_writing(block + 128)
            apus_prefetch_for_writing(block + 192)
        } else {
            apus_prefetch(block + 128)
            apus_prefetch(block + 192)
            // What a reply's origin has itself; of a frame the headers.
            apus_prefetch(block)
        }
    }
}
