import Runtime

enum IPProtocol {
    static let icmp: UInt8 = 1
    static let tcp: UInt8 = 6
    static let udp: UInt8 = 17
}

/// An IPv4 datagram with a correct header checksum, or a fragment of one (RFC 791).
struct IPv4Header {
    static let minimumLength = 20

    enum Verdict {
        case valid
        /// Shorter than its header says, not version 4, or lengths that contradict each other.
        case malformed
        case badChecksum
        /// Part of a larger datagram: sound as such.
        case fragment
    }

    /// 20...60, a multiple of 4; options are skipped.
    var headerLength = 0
    /// Bytes behind the header; header and payload lie within the received bytes, padding excluded.
    var payloadCount = 0
    var protocolNumber: UInt8 = 0
    /// The two low bits are ECN's.
    var typeOfService: UInt8 = 0
    /// Of a fragment: which datagram it belongs to, its payload's place in that one's, in bytes, and whether more follow.
    var identification: UInt16 = 0
    var fragmentOffset = 0
    var moreFragments = false
    /// As they lie on the wire.
    var sourceRaw: UInt32 = 0
    var destinationRaw: UInt32 = 0

    @inline(__always) init() {}

    var source: IPv4Address { IPv4Address(bits: UInt32(bigEndian: sourceRaw)) }
    var destination: IPv4Address { IPv4Address(bits: UInt32(bigEndian: destinationRaw)) }

    /// Fills in the fields from the `count` bytes at `p`. They are meaningful after `.valid` and `.fragment` only, those of
    /// fragments after `.fragment` only.
    @inline(__always) mutating func parse(_ p: UnsafeRawPointer, _ count: Int) -> Verdict {
        guard count >= Self.minimumLength else { return .malformed }
        let first = p.byte(0)
        let total = Int(p.big16(2))
        var sum = InternetChecksum.add(p.raw64(0), p.raw64(8))
        sum = InternetChecksum.add(sum, UInt64(p.raw32(16)))
        if first != 0x45 {
            let length = Int(first & 0xF) &* 4
            guard first >> 4 == 4, length >= Self.minimumLength, length <= count else { return .malformed }
            sum = InternetChecksum.sum(p + Self.minimumLength, length &- Self.minimumLength, sum)
            headerLength = length
        } else {
            headerLength = Self.minimumLength
        }
        guard total >= headerLength, total <= count else { return .malformed }
        guard InternetChecksum.fold(sum) == 0xFFFF else { return .badChecksum }
        payloadCount = total &- headerLength
        protocolNumber = p.byte(9)
        typeOfService = p.byte(1)
        sourceRaw = p.raw32(12)
        destinationRaw = p.raw32(16)
        // MF or an offset; DF and the reserved bit do not matter.
        guard p.big16(6) & 0x3FFF == 0 else { return parseFragment(p) }
        return .valid
    }

    @inline(never) private mutating func parseFragment(_ p: UnsafeRawPointer) -> Verdict {
        identification = p.big16(4)
        fragmentOffset = Int(p.big16(6) & 0x1FFF) &* 8
        moreFragments = p.big16(6) & 0x2000 != 0
        return .fragment
    }

    /// Writes a header without options: DF set and identification 0, as RFC 6864 allows for atomic datagrams.
    @inline(__always) static func write(
        _ p: UnsafeMutableRawPointer, protocol number: UInt8, sourceRaw: UInt32, destinationRaw: UInt32, payload: Int,
        typeOfService: UInt8 = 0
    ) {
        let header = words(
            protocol: number, sourceRaw: sourceRaw, destinationRaw: destinationRaw, payload: payload,
            typeOfService: typeOfService)
        p.putRaw64(header.0, 0)
        p.putRaw64(header.1, 8)
        p.putRaw32(destinationRaw, 16)
    }

    /// The first sixteen bytes of that header; the destination follows.
    @inline(__always) static func words(
        protocol number: UInt8, sourceRaw: UInt32, destinationRaw: UInt32, payload: Int, typeOfService: UInt8 = 0
    ) -> (UInt64, UInt64) {
        let total = UInt16(truncatingIfNeeded: payload &+ minimumLength)
        // Version, length, type of service, total length, identification, DF: the first eight bytes.
        let word0 = 0x0040_0000_0000_0045 | UInt64(typeOfService) &<< 8 | UInt64(total.bigEndian) &<< 16
        // Time to live 64, protocol, checksum to come, source.
        let word1 = 0x40 | UInt64(number) &<< 8 | UInt64(sourceRaw) &<< 32
        // By halves: five of them cannot overflow, and what is constant in them is added by the compiler.
        let sum =
            (word0 & 0xFFFF_FFFF) &+ (word0 &>> 32) &+ (word1 & 0xFFFF_FFFF) &+ UInt64(sourceRaw)
            &+ UInt64(destinationRaw)
        return (word0, word1 | UInt64(InternetChecksum.finish(sum)) &<< 16)
    }
}
