import Net

/// An IPv4 address and the length of its network's prefix.
public struct SubnetAddress: Equatable, Sendable {
    public let address: IPv4Address
    /// 1...32.
    public let prefixLength: Int

    /// "10.9.0.9/24"; nil when it is anything else.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPv4Address(parts[0]), let length = strictInteger(String(parts[1])),
            (1...32).contains(length)
        else { return nil }
        self.address = address
        self.prefixLength = length
    }
}

/// A snapshot is due when this many changes were made and this many seconds have passed.
public struct SavePoint: Equatable, Sendable {
    /// At least 1.
    public let seconds: Int
    /// At least 0.
    public let changes: Int

    /// Pairs of numbers; one empty word means none.
    static func parse(_ words: [String]) throws(ValueError) -> [SavePoint] {
        if words.isEmpty || words == [""] { return [] }
        guard words.count % 2 == 0 else { throw ValueError("Invalid save parameters") }
        var points: [SavePoint] = []
        for index in stride(from: 0, to: words.count, by: 2) {
            guard let seconds = Int(words[index]), let changes = Int(words[index + 1]), seconds >= 1, changes >= 0
            else {
                throw ValueError("Invalid save parameters")
            }
            points.append(SavePoint(seconds: seconds, changes: changes))
        }
        return points
    }
}

/// How many unsent bytes a client of one class may have. 0 means no limit.
public struct OutputLimit: Equatable, Sendable, BitwiseCopyable {
    /// Bytes at which the client is closed at once.
    public var hard: Int
    /// Bytes at which it is closed if it stays above them for `softSeconds`.
    public var soft: Int
    public var softSeconds: Int

    /// See `Config.Limits.outputMark`.
    func mark(idleTimeout: Int) -> Int {
        [hard, soft, idleTimeout > 0 ? 64 << 10 : 0].filter { $0 > 0 }.min() ?? 0
    }

    static let none = OutputLimit(hard: 0, soft: 0, softSeconds: 0)
}

/// client-output-buffer-limit: one limit for each class of clients.
public struct OutputLimits: Equatable, Sendable, BitwiseCopyable {
    public var normal: OutputLimit
    public var replica: OutputLimit
    public var pubsub: OutputLimit

    static let none = OutputLimits(normal: .none, replica: .none, pubsub: .none)

    var description: String {
        [("normal", normal), ("slave", replica), ("pubsub", pubsub)]
            .map { "\($0.0) \($0.1.hard) \($0.1.soft) \($0.1.softSeconds)" }.joined(separator: " ")
    }

    /// Groups of four words: class, hard, soft, seconds. Classes that are not named keep their limits.
    func changed(by words: [String]) throws(ValueError) -> OutputLimits {
        guard !words.isEmpty, words.count % 4 == 0 else {
            throw ValueError("Wrong number of arguments in buffer limit configuration.")
        }
        var limits = self
        for index in stride(from: 0, to: words.count, by: 4) {
            guard let hard = memorySize(words[index + 1]), let soft = memorySize(words[index + 2]),
                let seconds = strictInteger(words[index + 3]), seconds >= 0
            else { throw ValueError("Error in hard, soft or soft_seconds setting in buffer limit configuration.") }
            let limit = OutputLimit(hard: hard, soft: soft, softSeconds: seconds)
            switch words[index].lowercased() {
            case "normal": limits.normal = limit
            case "slave", "replica": limits.replica = limit
            case "pubsub": limits.pubsub = limit
            default: throw ValueError("Invalid client class specified in buffer limit configuration.")
            }
        }
        return limits
    }
}
