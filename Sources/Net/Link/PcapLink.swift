import Glibc
import Runtime

/// A link around a link that writes every frame of both directions to a file which tcpdump and Wireshark read
/// (pcap 2.4, nanosecond times, Ethernet). For debugging and tests: writing may block.
public final class PcapLink<Base: Link, Time: Clock>: Link {
    public let base: Base
    private let clock: Time
    private let file: UnsafeMutablePointer<FILE>
    /// Bytes that may still be written. A frame that does not fit ends the recording.
    private var remaining: Int
    /// Frames at the head of the transmit queue that are in the file already, because the device did not take them.
    private var recorded = 0
    private var closed = false

    /// - Parameter limit: the file's size in bytes is at most this.
    public init(_ base: Base, path: String, clock: Time, limit: Int = 64 << 20) throws(LinkError) {
        guard let file = fopen(path, "we") else {
            throw .system(operation: "write the capture file \(path)", code: errno)
        }
        self.base = base
        self.clock = clock
        self.file = file
        remaining = limit
        // Magic for nanoseconds, version 2.4, no time zone, no accuracy, longest frame, LINKTYPE_ETHERNET.
        write([0xA1B2_3C4D, 4 << 16 | 2, 0, 0, 65535, 1])
    }

    deinit { close() }

    private func write(_ words: [UInt32]) {
        remaining -= words.count * 4
        _ = words.withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count, file) }
    }

    private func record(_ frame: FrameDescriptor) {
        let length = Int(frame.length)
        guard remaining >= 16 + length else {
            remaining = 0
            return
        }
        let now = clock.unixMicroseconds
        let seconds = UInt32(truncatingIfNeeded: now / 1_000_000)
        write([seconds, UInt32(now % 1_000_000) * 1000, UInt32(length), UInt32(length)])
        remaining -= length
        fwrite(base.pool.address(frame.frame) + Int(frame.offset), 1, length, file)
    }

    public var hasReceived: Bool { base.hasReceived }

    public func receive(into queue: FrameQueue, limit: Int) -> Int {
        let before = queue.count
        let count = base.receive(into: queue, limit: limit)
        for index in before..<(before + count) { record(queue.peek(index)) }
        return count
    }

    public func transmit(from queue: FrameQueue) -> Int {
        while recorded < queue.count {
            record(queue.peek(recorded))
            recorded += 1
        }
        let count = base.transmit(from: queue)
        recorded -= count
        return count
    }

    public func close() {
        guard !closed else { return }
        closed = true
        fclose(file)
        base.close()
    }

    public func reclaim() { base.reclaim() }
    public var pool: FramePool { base.pool }
    public var hardwareAddress: MACAddress { base.hardwareAddress }
    public var mtu: Int { base.mtu }
    public var descriptor: Int32 { base.descriptor }
    public var statistics: LinkStatistics { base.statistics }
    public var driver: String { base.driver }
}
