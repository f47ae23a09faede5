import Glibc
import Runtime

/// One line of text for each frame that crosses a bridge, for people and scripts:
///
///     0.020113 > 52714:6379 seq 1449 len 1448 ack 37 win 502 flags AP sack 2897-4345 fate late 812
///
/// Seconds since the start, direction (">" is from the first interface to the second), ports, octets counted from the
/// SYN, then the fate: ok, lost, tail (dropped, the queue was full), corrupt, twice, late (and microseconds). Frames that
/// are no TCP have their EtherType instead of ports.
final class FrameTrace {
    private let file: Int32
    private var buffer: [UInt8] = []
    private let started: Nanoseconds
    /// Sequence number of the SYN, by ports as its sender sees them.
    private var initial: [UInt32: SequenceNumber] = [:]

    init(path: String, now: Nanoseconds) throws(LinkError) {
        file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw .call("write the trace \(path)", errno) }
        started = now
        buffer.reserveCapacity(80 << 10)
    }

    deinit { close(file) }

    func write(
        at arrival: Nanoseconds, forward: Bool, frame: UnsafeRawPointer, length: Int, segment: SeenSegment?,
        fate: String
    ) {
        let microseconds = max(0, arrival &- started) / 1000
        var line = "\(microseconds / 1_000_000)."
        let fraction = String(microseconds % 1_000_000)
        line += String(repeating: "0", count: 6 - fraction.utf8.count) + fraction + (forward ? " > " : " < ")
        if let segment {
            line += describe(segment)
        } else {
            line += "type \(String(length >= 14 ? frame.big16(12) : 0, radix: 16)) len \(length)"
        }
        buffer.append(contentsOf: (line + " fate " + fate + "\n").utf8)
        if buffer.count >= 64 << 10 { flush() }
    }

    private func describe(_ segment: SeenSegment) -> String {
        let source = UInt16(truncatingIfNeeded: segment.ports).byteSwapped
        let destination = UInt16(truncatingIfNeeded: segment.ports >> 16).byteSwapped
        if segment.flags.contains(.syn) { initial[segment.ports] = segment.sequence }
        let own = initial[segment.ports] ?? SequenceNumber(0)
        let peer = initial[segment.ports >> 16 | segment.ports << 16] ?? SequenceNumber(0)
        var text = "\(source):\(destination) seq \(segment.sequence.raw &- own.raw) len \(segment.count)"
        text += " ack \(segment.acknowledgement.raw &- peer.raw) win \(segment.window) flags "
        for (bit, letter) in "FSRPAUEC".enumerated() where segment.flags.rawValue & 1 << UInt8(bit) != 0 {
            text.append(letter)
        }
        guard let options = segment.options.baseAddress else { return text }
        TCPOptions.forEach(options, from: 0, to: segment.options.count) { kind, offset, length in
            guard kind == TCPOptions.sack else { return }
            text += " sack"
            for block in stride(from: offset &+ 2, to: offset &+ length &- 7, by: 8) {
                text += " \(options.big32(block) &- peer.raw)-\(options.big32(block &+ 4) &- peer.raw)"
            }
        }
        return text
    }

    func flush() {
        var rest = buffer[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count <= 0 { break }
            rest = rest.dropFirst(count)
        }
        buffer.removeAll(keepingCapacity: true)
    }
}
