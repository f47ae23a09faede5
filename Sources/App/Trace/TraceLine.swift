import Net
import Runtime

/// One record of DEBUG TRACE GET as a line of `name=value` fields: written by the server, read by `apus trace`.
struct TraceLine: Equatable {
    /// Of the monotonic clock.
    var time: Nanoseconds
    var shard: Int
    var turn: UInt32
    var event: TraceEvent
    /// 0: a frame's step, or one that all in the turn share.
    var client: UInt64
    /// "" where there is none.
    var command: String
    /// What else there is to tell, in order: `bytes`, `addr`, `to`, `from`, `words`, `frames`, `sockets`.
    var details: [Detail]

    struct Detail: Equatable {
        var name: String
        var value: String
    }

    init(_ record: TraceRecord, shard: Int, time: Nanoseconds, _ table: CommandTable) {
        self.time = time
        self.shard = shard
        turn = record.turn
        event = record.event
        client = record.client
        command = record.command < 0 ? "" : table.entries[Int(record.command)].fullName.string
        details = Self.details(record.event, record.value)
    }

    private static func details(_ event: TraceEvent, _ value: UInt64) -> [Detail] {
        switch event {
        case .arrived, .handed, .input, .segment:
            let address = IPv4Address(bits: UInt32(truncatingIfNeeded: value >> 32))
            let port = UInt16(truncatingIfNeeded: value >> 16)
            return [
                Detail(name: "bytes", value: "\(value & 0xffff)"), Detail(name: "addr", value: "\(address):\(port)"),
            ]
        case .session: return [Detail(name: "bytes", value: "\(value)")]
        case .parsed: return [Detail(name: "words", value: "\(value)")]
        case .sent: return [Detail(name: "to", value: value == TraceRing.allShards ? "all" : "\(value)")]
        case .taken, .delivered: return [Detail(name: "from", value: "\(value)")]
        case .executed: return value == 0 ? [] : [Detail(name: "for", value: "\(value - 1)")]
        case .polled: return [Detail(name: "sockets", value: "\(value)")]
        case .departed: return value == 0 ? [] : [Detail(name: "frames", value: "\(value)")]
        case .parked, .published, .written, .held: return []
        }
    }

    var text: String {
        var text = "ns=\(time) shard=\(shard) turn=\(turn) event=\(event)"
        if client != 0 { text += " client=\(client)" }
        if !command.isEmpty { text += " command=\(command)" }
        for detail in details { text += " \(detail.name)=\(detail.value)" }
        return text
    }

    /// nil: no such line.
    init?(_ text: some StringProtocol) {
        var fields: [Detail] = []
        for word in text.split(separator: " ") {
            let parts = word.split(separator: "=", maxSplits: 1)
            guard parts.count == 2 else { return nil }
            fields.append(Detail(name: String(parts[0]), value: String(parts[1])))
        }
        func take(_ name: String) -> String? {
            guard let index = fields.firstIndex(where: { $0.name == name }) else { return nil }
            return fields.remove(at: index).value
        }
        guard let time = take("ns").flatMap({ Int64($0) }), let shard = take("shard").flatMap({ Int($0) }),
            let turn = take("turn").flatMap({ UInt32($0) }), let name = take("event"),
            let event = TraceEvent.allCases.first(where: { "\($0)" == name })
        else { return nil }
        self.time = time
        self.shard = shard
        self.turn = turn
        self.event = event
        client = take("client").flatMap { UInt64($0) } ?? 0
        command = take("command") ?? ""
        details = fields
    }

    subscript(name: String) -> String? { details.first { $0.name == name }?.value }
}
