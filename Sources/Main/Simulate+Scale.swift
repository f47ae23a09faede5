import App
import Runtime

/// Two cores, or a sentence: what is measured are two threads that never wait for each other's core.
private func twoCores() throws -> [Int32] {
    let cores = PinnedThread.usableCores
    guard cores.count >= 2 else { throw Failure(text: "this needs two cores, and one may be used") }
    return Array(cores.suffix(2))
}

/// `apus sim --rings`: the time of a crossing between two busy shards.
func printRings() throws {
    let cores = try twoCores()
    print("messages at once   median ns      p99 ns   (one crossing: half a round trip)")
    for batch in [1, 16] {
        let report = RingCrossing.measure(batch: batch, rounds: 200_000, cores: cores)
        print(column("\(batch)", 16), column("\(Int(report.median))", 11), column("\(Int(report.p99))", 11))
    }
}

/// `apus sim --scale --only`: one load for two shards, to be looked at while it runs.
func printShardRate(_ load: ShardScale.Case, seconds: Double) throws {
    guard let rate = ShardScale.rate(load, seconds: seconds, cores: try twoCores()) else { throw unsound }
    print("\(Int(rate / 1000)) thousand GETs a second")
}

private let unsound = Failure(text: "a reply had a wrong length, or a client could not connect")

/// `apus sim --scale`: requests a second of one shard and of two, in interleaved rounds; medians and their ratios.
/// - Parameter base: clients and keys.
func printShardScale(_ base: ShardScale.Case, rounds: Int) throws {
    let cores = try twoCores()
    print("pipeline  keys        one shard  two shards   ratio  (thousand GETs a second, medians of \(rounds) rounds)")
    for pipeline in [1, 16] {
        func load(shards: Int, randomKeys: Bool) -> ShardScale.Case {
            var load = base
            (load.shards, load.randomKeys, load.pipeline) = (shards, randomKeys, pipeline)
            return load
        }
        let (one, own) = (load(shards: 1, randomKeys: false), load(shards: 2, randomKeys: false))
        let random = load(shards: 2, randomKeys: true)
        var rates: [ShardScale.Case: [Double]] = [:]
        for round in 0..<rounds {
            for wanted in [one, own, random] {
                // One shard has each of the cores in turn.
                let chosen = wanted.shards == 2 ? cores : [cores[round % 2]]
                guard let rate = ShardScale.rate(wanted, seconds: 0.4, cores: chosen) else { throw unsound }
                rates[wanted, default: []].append(rate)
            }
        }
        let medians = rates.mapValues { $0.sorted()[$0.count / 2] / 1000 }
        for (name, wanted) in [("own", own), ("random", random)] {
            let ratio = Int((medians[wanted]! / medians[one]! * 100).rounded())
            let fraction = ratio % 100 < 10 ? "0\(ratio % 100)" : "\(ratio % 100)"
            print(
                column("\(pipeline)", 8), " " + name + String(repeating: " ", count: 8 - name.count),
                column("\(Int(medians[one]!))", 11), column("\(Int(medians[wanted]!))", 11),
                column("\(ratio / 100).\(fraction)", 7))
        }
    }
}

private func column(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
}
