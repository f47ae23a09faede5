import App
import ArgumentParser
import Net

// What subcommands have behind their options.

/// "64", "10-1000"
struct SizeRange: ExpressibleByArgument, Sendable {
    let range: ClosedRange<Int>

    init(_ range: ClosedRange<Int>) { self.range = range }

    init?(argument: String) {
        guard let (first, last) = oneOrTwo(argument, separator: "-", { Int($0) }), first <= last else { return nil }
        range = first...last
    }

    var defaultValueDescription: String { "\(range.lowerBound)" }
}

/// "1:10"
struct Ratio: ExpressibleByArgument, Sendable {
    let sets: Int
    let gets: Int

    init(sets: Int, gets: Int) { (self.sets, self.gets) = (sets, gets) }

    init?(argument: String) {
        let parts = argument.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 2, let sets = parts[0], let gets = parts[1] else { return nil }
        (self.sets, self.gets) = (sets, gets)
    }

    var defaultValueDescription: String { "\(sets):\(gets)" }
}

extension KeyDistribution: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
    public var defaultValueDescription: String { description }
}

extension Arrivals: ExpressibleByArgument {}
extension LinkKind: ExpressibleByArgument {}

extension IPv4Address: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

extension SubnetAddress: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

extension Net.XDPMode: ExpressibleByArgument {}

/// One value for both directions, or two with a comma between them.
struct Both<Value: ExpressibleByArgument & Sendable>: ExpressibleByArgument, Sendable {
    let forward: Value
    let backward: Value

    init(_ value: Value) { (forward, backward) = (value, value) }

    init?(argument: String) {
        guard let both = oneOrTwo(argument, separator: ",", Value.init(argument:)) else { return nil }
        (forward, backward) = both
    }

    var defaultValueDescription: String { forward.defaultValueDescription }
}

/// A number with one of the units, or without any when it is 0.
private func number(_ text: String, units: [(String, Double)]) -> Double? {
    if let zero = Double(text), zero == 0 { return 0 }
    for (unit, factor) in units where text.hasSuffix(unit) {
        guard let value = Double(text.dropLast(unit.count)), value >= 0, value * factor < 1e15 else { return nil }
        return value * factor
    }
    return nil
}

struct Span: ExpressibleByArgument, Sendable {
    let nanoseconds: Int64
    init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
    init?(argument: String) {
        guard let value = number(argument, units: [("us", 1e3), ("ms", 1e6), ("s", 1e9)]) else { return nil }
        nanoseconds = Int64(value)
    }
    var defaultValueDescription: String { "\(nanoseconds / 1_000_000)ms" }
}

struct BitRate: ExpressibleByArgument, Sendable {
    let bits: Int64
    init(bits: Int64) { self.bits = bits }
    init?(argument: String) {
        guard let value = number(argument, units: [("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9)]) else { return nil }
        bits = Int64(value)
    }
    var defaultValueDescription: String { "\(bits)" }
}

/// One value for both places, or two with the separator between them.
private func oneOrTwo<Value>(
    _ text: String, separator: Character, _ value: (String) -> Value?
) -> (Value, Value)? {
    let parts = text.split(separator: separator, omittingEmptySubsequences: false).map(String.init)
    guard (1...2).contains(parts.count), let first = value(parts[0]), let last = value(parts[parts.count - 1])
    else { return nil }
    return (first, last)
}
