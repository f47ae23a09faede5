import Glibc

/// The results as one JSON document; docs/bench.md describes the fields.
struct BenchJSON {
    let settings: BenchSettings
    /// "redis 7.0.15", or empty.
    let server: String
    let link: String
    let mode: String

    func document(_ results: [BenchResult], time: String) -> String {
        object([
            ("tool", string("apus bench")),
            ("version", string(Config.version)),
            ("time", string(time)),
            (
                "target",
                object([
                    ("host", string(settings.host)), ("port", "\(settings.port)"), ("server", string(server)),
                ])
            ),
            (
                "client",
                object([
                    ("link", string(link)), ("mode", string(mode)), ("core", settings.core.map { "\($0)" } ?? "null"),
                    ("addresses", "\(settings.addresses)"),
                ])
            ),
            ("settings", settingsObject),
            ("results", "[\n" + results.map { "  " + result($0) }.joined(separator: ",\n") + "\n]"),
        ]) + "\n"
    }

    private var settingsObject: String {
        let size = settings.sizes.count == 1 ? "\(settings.sizes.lowerBound)" : string(settings.sizeText)
        return object([
            ("clients", "\(settings.clients)"), ("pipeline", "\(settings.pipeline)"), ("size", size),
            ("keyspace", "\(settings.keyspace)"), ("distribution", string("\(settings.distribution)")),
            ("seed", "\(settings.seed)"), ("rate", settings.rate.map(number) ?? "null"),
            ("arrivals", string(settings.arrivals.rawValue)), ("verify", "\(settings.verifies)"),
            ("in_flight", settings.inFlight.map { "\($0)" } ?? "null"),
            ("keepalive", "\(settings.keepsAlive)"), ("warmup", number(settings.warmup)),
            ("duration", settings.duration.map(number) ?? "null"),
        ])
    }

    private func result(_ result: BenchResult) -> String {
        var fields = [
            ("name", string(result.name)), ("requests", "\(result.requests)"), ("seconds", number(result.seconds)),
            ("rate", number(result.rate)), ("intended_rate", result.intendedRate.map(number) ?? "null"),
            ("errors", "\(result.errors)"), ("wrong", "\(result.wrong)"),
            ("interrupted", "\(result.isInterrupted)"),
            ("bytes_sent", "\(result.counters.bytesSent)"), ("bytes_received", "\(result.counters.bytesReceived)"),
            ("connections", "\(result.connections)"), ("reconnects", "\(result.reconnects)"),
            ("latency_us", latencies(result)), ("histogram", histogram(result)),
            (
                "client",
                object([
                    ("cpu_seconds", number(result.cpuSeconds)), ("system_calls", "\(result.counters.systemCalls)"),
                    ("segments_sent", "\(result.counters.segmentsSent)"),
                    ("segments_received", "\(result.counters.segmentsReceived)"),
                    ("retransmissions", "\(result.counters.retransmissions)"),
                ])
            ),
        ]
        if !result.parts.isEmpty { fields.append(("parts", "[" + result.parts.map(part).joined(separator: ",") + "]")) }
        return object(fields)
    }

    /// One kind of request of a mix.
    private func part(_ part: BenchResult) -> String {
        object([
            ("name", string(part.name)), ("requests", "\(part.requests)"), ("rate", number(part.rate)),
            ("errors", "\(part.errors)"), ("wrong", "\(part.wrong)"),
            ("latency_us", latencies(part)), ("histogram", histogram(part)),
        ])
    }

    private func latencies(_ result: BenchResult) -> String {
        let percentiles = [50, 90, 95, 99, 99.9, 99.99].map { percentile in
            ("p" + Text.percentile(percentile), number(result.latency(percentile)))
        }
        let ends = [("min", number(result.minimum)), ("mean", number(result.mean))]
        return object(ends + percentiles + [("max", number(result.maximum))])
    }

    private func histogram(_ result: BenchResult) -> String {
        var passed: UInt64 = 0
        let steps = result.histogram.recordedValues().map { value in
            passed += value.count
            return "[\(number(Double(value.value) / 1e3)),\(passed)]"
        }
        return "[" + steps.joined(separator: ",") + "]"
    }

    private func object(_ fields: [(String, String)]) -> String {
        "{" + fields.map { "\(string($0.0)):\($0.1)" }.joined(separator: ",") + "}"
    }

    private func number(_ value: Double) -> String { value.isFinite ? Text.fixed(value, 6, trims: true) : "null" }

    private func string(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20:
                let hex = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
