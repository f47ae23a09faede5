import Net
import Testing

@testable import App

/// INFO's `# Network` and `# TCP`: every counter there is, each once.
@Suite struct InfoNetworkTests {
    private let s = CommandSession()

    private func fields(_ line: String) -> [(name: String, value: String)] {
        s.run(line).split(separator: "\r\n").compactMap { row in
            guard let colon = row.firstIndex(of: ":"), !row.hasPrefix("#") else { return nil }
            return (String(row[..<colon]), String(row[row.index(after: colon)...]))
        }
    }

    /// `tcpOutOfOrder` as `tcp_out_of_order`, without the code under test.
    private func spelled(_ label: String) -> String {
        label.reduce(into: "") { text, letter in
            text += letter.isUppercase ? "_" + letter.lowercased() : String(letter)
        }
    }

    private func labels(_ value: Any, prefix: String = "") -> [String] {
        Mirror(reflecting: value).children.map { prefix + spelled($0.label ?? "?") }
    }

    private var counters: [String] {
        labels(StackStatistics()) + labels(LinkStatistics(), prefix: "link_")
            + labels(KernelStatistics(), prefix: "kernel_") + labels(HandoverStatistics(), prefix: "handover_")
            + labels(LoopStatistics(), prefix: "loop_")
    }

    @Test func everyCounterAppearsExactlyOnce() {
        let names = fields("INFO").map(\.name)
        for counter in counters { #expect(names.filter { $0 == counter }.count == 1, "\(counter)") }
    }

    @Test func noFieldAppearsTwice() {
        let names = fields("INFO everything").map(\.name)
        #expect(Set(names).count == names.count)
    }

    @Test func theTwoSectionsShareTheCounters() {
        let tcp = fields("INFO tcp").map(\.name)
        let network = fields("INFO network").map(\.name)
        #expect(tcp.allSatisfy { $0.hasPrefix("tcp_") })
        #expect(network.allSatisfy { !$0.hasPrefix("tcp_") })
        #expect(tcp.contains("tcp_retransmissions") && tcp.contains("tcp_time_wait"))
        #expect(network.contains("frames_free") && network.contains("frames_lowest_free"))
        #expect(network.contains("ipv4_bad_checksum") && network.contains("icmp_received"))
    }

    @Test func eachShardOnRequest() {
        let lines = fields("INFO tcp_shards network_shards")
        #expect(lines.map(\.name) == ["network_shard0", "tcp_shard0"])
        let tcp = lines[1].value.split(separator: ",").map { $0.split(separator: "=")[0] }
        #expect(tcp.map(String.init) == fields("INFO tcp").map(\.name))
        #expect(lines[0].value.hasPrefix("connections=0,kernel_connections=0,frames_total="))
    }

    @Test func countersKeepTheirPlacesOnTheWay() {
        var statistics = StackStatistics()
        statistics.framesReceived = 7
        statistics.tcpBadChecksum = 11
        var sum = CounterBlock(statistics)
        sum.add(CounterBlock(statistics))
        let named = Dictionary(uniqueKeysWithValues: sum.named(like: StackStatistics()).map { ($0.name, $0.value) })
        #expect(named["frames_received"] == 14)
        #expect(named["tcp_bad_checksum"] == 22)
        #expect(named.values.reduce(0, +) == 36)
        #expect(MemoryLayout<StackStatistics>.size <= CounterBlock<StackStatistics>.capacity * 8)
    }

    /// CLIENT LIST and CLIENT INFO: Redis's fields as they are, ours behind them.
    @Test func aClientsLineEndsWithItsConnection() {
        let scenario = Scenario(shards: 1)
        let client = scenario.connect()
        scenario.ask(client, "SETRANGE big 99999 x")
        scenario.ask(client, "GET big")
        for command in ["CLIENT INFO", "CLIENT LIST"] {
            let line = scenario.ask(client, command)
            #expect(line.contains(" resp=2 lib-name= lib-ver= tcp-state=established rtt="), "\(line)")
            let behind = line.split(separator: " tcp-state=")[1].split(separator: "\n")[0].split(separator: " ")
                .dropFirst()
            let fields = behind.map { $0.split(separator: "=") }
            #expect(
                fields.map { String($0[0]) } == [
                    "rtt", "rttvar", "rto", "cwnd", "ssthresh", "mss", "snd-wnd", "rcv-wnd", "unacked", "unsent",
                    "unread",
                    "ooo", "retrans", "backoff",
                ])
            #expect(fields.allSatisfy { Int($0[1]) != nil })
            #expect(line.contains(" mss=1448 ") && line.contains(" ssthresh=-1 "))
            #expect(line.contains(" unsent=0 ") && line.contains(" retrans=0 "))
        }
    }
}
