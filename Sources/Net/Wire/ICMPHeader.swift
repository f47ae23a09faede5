import Runtime

/// ICMP echo (RFC 792): type, code, checksum, identifier, sequence number, any data.
enum ICMP {
    static let headerLength = 8
    static let echoReply: UInt8 = 0
    static let echoRequest: UInt8 = 8
}
