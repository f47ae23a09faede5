import Runtime

/// One command's way for people: what DEBUG TRACE GET told of it, with the time since the step before.
public struct TraceTimeline {
    private let lines: [TraceLine]

    /// - Parameter text: the reply to DEBUG TRACE GET of a trace that was turned on for one client, whose next command is
    ///   the one to be shown, and the one after it turned the trace off.
    public init(_ text: String) {
        let all = text.split(whereSeparator: \.isNewline).compactMap { TraceLine($0) }
        let sessions = all.indices.filter { all[$0].event == .session }
        let first = sessions.first.map { Self.arrival(of: $0, all) } ?? 0
        let end = sessions.count > 1 ? Self.arrival(of: sessions.last!, all) : all.count
        lines = Array(all[first..<max(first, end)])
    }

    /// Where the bytes came that a session was given: before that there is what is left of the command before.
    private static func arrival(of session: Int, _ lines: [TraceLine]) -> Int {
        let arrivals: Set<TraceEvent> = [.arrived, .handed, .polled]
        return lines[..<session].lastIndex {
            arrivals.contains($0.event) && $0.shard == lines[session].shard
        } ?? session
    }

    public var isEmpty: Bool { lines.isEmpty }

    /// A line for each step: nanoseconds since the first, since the one before, the shard, and what was done.
    public var text: String {
        guard let first = lines.first else { return "" }
        var before = first.time
        var text = "        ns    step  shard\n"
        for line in lines {
            let step = line == first ? "" : "+\(line.time - before)"
            text +=
                "\(Self.right("\(line.time - first.time)", 10))\(Self.right(step, 8))\(Self.right("\(line.shard)", 7))  "
            text += Self.sentence(line) + "\n"
            before = line.time
        }
        return text
    }

    private static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(1, width - text.count)) + text
    }

    private static func sentence(_ line: TraceLine) -> String {
        let command = line.command.isEmpty ? "an unknown command" : line.command.uppercased()
        func count(_ name: String, _ one: String) -> String {
            let number = line[name] ?? "?"
            return number == "1" ? "1 \(one)" : "\(number) \(one)s"
        }
        switch line.event {
        case .arrived: return "a frame of \(count("bytes", "byte")) from \(line["addr"] ?? "?"), taken from the device"
        case .handed:
            return "a frame of \(count("bytes", "byte")) from \(line["addr"] ?? "?"), handed over by another shard"
        case .input: return "TCP has dealt with it"
        case .polled: return "epoll named \(count("sockets", "socket"))"
        case .session: return "\(count("bytes", "byte")) of client \(line.client) at hand for its session"
        case .parsed: return "a request of \(count("words", "word")) parsed"
        case .executed: return "\(command) executed" + (line["for"].map { " for shard \($0)" } ?? "")
        case .sent: return "\(command) sent to " + (line["to"] == "all" ? "all shards" : "shard \(line["to"] ?? "?")")
        case .parked: return "\(command) waits for what is under way"
        case .published: return "published to the other shards"
        case .taken: return "\(command) taken from shard \(line["from"] ?? "?")"
        case .delivered: return "the reply is back from shard \(line["from"] ?? "?")"
        case .written: return "the reply is in the stream"
        case .segment: return "a frame of \(count("bytes", "byte")) to \(line["addr"] ?? "?") built"
        case .held: return "held for more frames to come"
        case .departed:
            return line["frames"] == nil
                ? "written to the socket" : "the device was started for \(count("frames", "frame"))"
        }
    }
}
