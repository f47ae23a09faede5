/// The results as text for people, in one of redis-benchmark's three ways: a table, a line a test (-q), or CSV.
struct BenchTable {
    let settings: BenchSettings
    let server: String
    let link: String

    /// What is measured, in two lines; empty where only figures are wanted.
    var heading: String {
        if settings.isQuiet || settings.isCSV { return "" }
        let whom = server.isEmpty ? "" : " (\(server))"
        let keys =
            settings.keyspace > 1 ? "\(Text.grouped(settings.keyspace)) keys, \(settings.distribution)" : "one key"
        let pace = settings.rate.map { "open loop, \(Text.grouped(Int($0.rounded()))) a second, \(settings.arrivals)" }
        return """
            \(settings.host):\(settings.port)\(whom) over \(link)
            \(Text.grouped(settings.clients)) clients, pipeline \(settings.pipeline), values of \(settings.sizeText) bytes, \
            \(keys), \(pace ?? "closed loop")


            """
    }

    private static let columns: [(title: String, value: @Sendable (BenchResult) -> String)] = [
        ("requests/s", { Text.grouped(Int($0.rate.rounded())) }),
        ("mean", { ms($0.mean) }), ("p50", { ms($0.latency(50)) }), ("p95", { ms($0.latency(95)) }),
        ("p99", { ms($0.latency(99)) }), ("p99.9", { ms($0.latency(99.9)) }), ("max ms", { ms($0.maximum) }),
        ("errors", { "\($0.errors + $0.wrong)" }),
    ]

    private static func ms(_ microseconds: Double) -> String { Text.fixed(microseconds / 1e3, 3) }

    /// Before the first result.
    var title: String {
        if settings.isQuiet { return "" }
        if settings.isCSV {
            let latencies = ["avg", "min", "p50", "p95", "p99", "max"].map { $0 + "_latency_ms" }
            return (["test", "rps"] + latencies).map { "\"\($0)\"" }.joined(separator: ",") + "\n"
        }
        return Text.left("", 14) + Self.columns.map { Text.right($0.title, 11) }.joined() + "\n"
    }

    /// A line, and behind that of a mix one for each kind of request. Where lines stand alone (CSV and -q) these have the
    /// test's name, too.
    func lines(_ result: BenchResult) -> String {
        let standsAlone = settings.isCSV || settings.isQuiet
        return line(result)
            + result.parts.map { part in
                var part = part
                part.name = (standsAlone ? result.name + " " : "  ") + part.name
                return line(part)
            }.joined()
    }

    private func line(_ result: BenchResult) -> String {
        if settings.isCSV {
            let figures = [
                Text.fixed(result.rate, 2), Self.ms(result.mean), Self.ms(result.minimum), Self.ms(result.latency(50)),
                Self.ms(result.latency(95)), Self.ms(result.latency(99)), Self.ms(result.maximum),
            ]
            return ([result.name] + figures).map { "\"\($0)\"" }.joined(separator: ",") + "\n"
        }
        if settings.isQuiet {
            return "\(result.name): \(Text.fixed(result.rate, 2)) requests per second, p50="
                + "\(Self.ms(result.latency(50))) msec\n"
        }
        let name = result.name.count > 14 ? result.name + "\n" + Text.left("", 14) : Text.left(result.name, 14)
        return name + Self.columns.map { Text.right($0.value(result), 11) }.joined() + "\n"
    }
}
