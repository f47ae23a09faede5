import CLinux
import Glibc
import Runtime

extension KernelStack {
    /// How the connection does, as the kernel's TCP_INFO tells it. A system call.
    public func info(_ connection: KernelConnection) -> ConnectionInfo {
        var info = ConnectionInfo()
        // More than any kernel fills in so far: struct tcp_info only grows at its end.
        var bytes = InlineArray<64, UInt32>(repeating: 0)
        let block = connection.block
        withUnsafeMutableBytes(of: &bytes) { memory in
            var length = socklen_t(memory.count)
            guard getsockopt(block.pointee.descriptor, Int32(IPPROTO_TCP), TCP_INFO, memory.baseAddress, &length) == 0
            else { return }
            let raw = UnsafeRawBufferPointer(rebasing: memory[..<min(Int(length), memory.count)])
            info.fill(fromKernel: raw)
        }
        info.unsent &+= UInt64(block.pointee.backlog)
        info.unread = UInt32(truncatingIfNeeded: block.pointee.inputCount)
        return info
    }
}

extension ConnectionInfo {
    /// From a `struct tcp_info` of linux/tcp.h; fields behind its end stay as they are. The kernel counts windows in
    /// segments, we in bytes.
    mutating func fill(fromKernel raw: UnsafeRawBufferPointer) {
        func word(_ offset: Int) -> UInt32? {
            offset + 4 <= raw.count ? raw.loadUnaligned(fromByteOffset: offset, as: UInt32.self) : nil
        }
        guard raw.count >= 104, let mss = word(16) else { return }
        func bytes(_ segments: UInt32) -> UInt32 { UInt32(clamping: UInt64(segments) * UInt64(mss)) }
        state = Self.kernelStates[Int(raw[0]) % Self.kernelStates.count]
        backoff = raw[4]
        retransmissionTimeout = UInt64(word(8) ?? 0)
        maximumSegmentSize = mss
        unacknowledged = UInt64(bytes(word(24) ?? 0))
        roundTrip = word(68) ?? 0
        roundTripVariation = word(72) ?? 0
        // The kernel's "not found yet" is TCP_INFINITE_SSTHRESH.
        if let threshold = word(76), threshold < 0x7fff_ffff { slowStartThreshold = bytes(threshold) }
        congestionWindow = bytes(word(80) ?? 0)
        retransmissions = word(100) ?? 0
        unsent = UInt64(word(144) ?? 0)
        sendWindow = word(228) ?? 0
        // tcpi_rcv_wnd came with Linux 6.2.
        receiveWindow = word(232) ?? word(96) ?? 0
    }

    /// By the numbers of net/tcp_states.h; 10 (LISTEN) and 12 (NEW_SYN_RECV) are no states of an accepted socket.
    private static let kernelStates: [State] = [
        .closed, .established, .synSent, .synReceived, .finWait1, .finWait2, .timeWait, .closed, .closeWait, .lastAck,
        .closed, .closing, .synReceived,
    ]
}
