import Net
import Runtime

/// What one shard tells another. 16 bytes, so that a batch of four shares a cache line.
struct ShardMessage: BitwiseCopyable {
    enum Kind: UInt8 {
        /// `block` is a `RemoteRequest` to execute; it comes back as `.reply`, always.
        case request
        /// `block` is the sender's answer to a request of ours.
        case reply
        /// `block` is a `HandedFrame`: a received frame of a flow that the sender does not know. Freed by whoever ends it.
        case frame
    }

    var kind: Kind
    let block: UnsafeMutableRawPointer
}

/// A received frame on its way around the shards in search of its connection (the flow moved to another queue, or an
/// ARP reply that every shard wants). A heap block, since it crosses shards and is rare.
struct HandedFrame {
    /// Shards that have not seen the frame yet. At 0 the last one answers for an unknown flow.
    var hopsLeft: UInt16
    /// Bytes of the Ethernet frame; they follow this header.
    var count: UInt16

    static let headerSize = 16

    static func make(copying frame: ByteView, hops: Int) -> UnsafeMutableRawPointer {
        let block = UnsafeMutableRawPointer.allocate(byteCount: headerSize + frame.count, alignment: 16)
        let header = HandedFrame(hopsLeft: UInt16(hops), count: UInt16(truncatingIfNeeded: frame.count))
        block.storeBytes(of: header, as: HandedFrame.self)
        (block + headerSize).copyMemory(from: frame.base, byteCount: frame.count)
        return block
    }
}
