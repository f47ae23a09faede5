import Runtime

@testable import Net

/// A TCP segment as the stack sent it, taken apart without the stack's own parser.
struct SentSegment: CustomStringConvertible {
    let bytes: [UInt8]
    let sourcePort: UInt16
    let destinationPort: UInt16
    let sequence: UInt32
    let acknowledgement: UInt32
    let flags: TCPFlags
    let window: UInt16
    /// Of the IPv4 header; its low two bits are ECN's.
    let typeOfService: UInt8
    let options: [UInt8]
    let text: [UInt8]

    /// nil when the frame is not TCP over IPv4.
    init?(_ frame: [UInt8]) {
        guard frame.count >= 54, frame[12] == 8, frame[13] == 0, frame[23] == 6, frame[14] == 0x45 else { return nil }
        func big16(_ i: Int) -> UInt16 { UInt16(frame[i]) << 8 | UInt16(frame[i + 1]) }
        func big32(_ i: Int) -> UInt32 { UInt32(big16(i)) << 16 | UInt32(big16(i + 2)) }
        let end = 14 + Int(big16(16))
        let header = 34 + Int(frame[46] >> 4) * 4
        guard end <= frame.count, header <= end else { return nil }
        bytes = Array(frame[..<end])
        sourcePort = big16(34)
        destinationPort = big16(36)
        sequence = big32(38)
        acknowledgement = big32(42)
        flags = TCPFlags(rawValue: frame[47])
        window = big16(48)
        typeOfService = frame[15]
        options = Array(frame[54..<header])
        text = Array(frame[header..<end])
    }

    /// Both checksums by the plain definition.
    var checksumsValid: Bool {
        func sum(_ bytes: ArraySlice<UInt8>, _ initial: UInt32 = 0) -> UInt32 {
            var total = initial
            for (index, byte) in bytes.enumerated() { total += index % 2 == 0 ? UInt32(byte) << 8 : UInt32(byte) }
            while total > 0xFFFF { total = total & 0xFFFF + total >> 16 }
            return total
        }
        let segment = bytes[34...]
        let pseudo = sum(bytes[26..<34], 6 + UInt32(segment.count))
        return sum(bytes[14..<34]) == 0xFFFF && sum(segment, pseudo) == 0xFFFF
    }

    /// The option's bytes behind kind and length.
    func option(_ kind: UInt8) -> [UInt8]? {
        var index = 0
        while index < options.count {
            if options[index] == 0 { return nil }
            if options[index] == 1 {
                index += 1
                continue
            }
            guard index + 1 < options.count, options[index + 1] >= 2 else { return nil }
            let end = index + Int(options[index + 1])
            guard end <= options.count else { return nil }
            if options[index] == kind { return Array(options[index + 2..<end]) }
            index = end
        }
        return nil
    }

    private func words(_ bytes: [UInt8]) -> [UInt32] {
        stride(from: 0, to: bytes.count - 3, by: 4).map { i in
            bytes[i..<i + 4].reduce(0) { $0 << 8 | UInt32($1) }
        }
    }

    var timestamps: (value: UInt32, echo: UInt32)? {
        option(8).map { words($0) }.flatMap { $0.count == 2 ? ($0[0], $0[1]) : nil }
    }
    /// Left and right edges.
    var sackBlocks: [UInt32] { option(5).map { words($0) } ?? [] }

    var description: String {
        "flags \(flags.rawValue) seq \(sequence) ack \(acknowledgement) window \(window) text \(text.count)"
    }
}
