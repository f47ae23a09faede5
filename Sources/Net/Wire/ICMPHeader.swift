import Runtime

/// ICMP (RFC 792): type, code, checksum, four bytes of the type's own, then data; of an error, the quoted datagram.
enum ICMP {
    static let headerLength = 8
    static let echoReply: UInt8 = 0
    static let unreachable: UInt8 = 3
    static let sourceQuench: UInt8 = 4
    static let echoRequest: UInt8 = 8
    static let timeExceeded: UInt8 = 11
    static let parameterProblem: UInt8 = 12

    /// Codes of `unreachable`.
    static let protocolUnreachable: UInt8 = 2
    static let portUnreachable: UInt8 = 3
    static let fragmentationNeeded: UInt8 = 4
    /// Code of `timeExceeded`: while waiting for fragments.
    static let reassemblyTimeExceeded: UInt8 = 1

    /// Whether a message of this type may be answered by an error (RFC 1122 3.2.2): those that are no errors themselves.
    static func isQuery(_ type: UInt8) -> Bool {
        type == echoRequest || type == echoReply || type == 13 || type == 14 || type == 17 || type == 18
    }
}
