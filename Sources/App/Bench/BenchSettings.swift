import Net
import Runtime

/// Everything that `apus bench` can be asked for; the names are those of its options. Plain values, as given; `check` says
/// in a sentence what cannot be done.
public struct BenchSettings: Sendable {
    // Whom to ask
    public var host = "127.0.0.1"
    public var port = 6379
    public var password: String?
    public var user: String?
    public var database = 0
    public var usesRESP3 = false

    // What to ask, and how much
    public var tests: [String] = ["ping", "set", "get", "incr"]
    /// A command of one's own instead of `tests`; empty: none.
    public var command: [String] = []
    public var clients = 50
    public var requests = 100_000
    /// Seconds to send for, instead of `requests`.
    public var duration: Double?
    /// Seconds of the same load before anything is counted.
    public var warmup = 0.0
    /// Requests that a client sends at once (closed loop), or has under way at most (open loop).
    public var pipeline = 1
    /// Bytes of a value: the same for all, or uniform between two bounds.
    public var sizes = 3...3
    /// Keys are numbered below this; 0: one key.
    public var keyspace = 0
    public var distribution = KeyDistribution.uniform
    /// Of the test `mixed`: writes and reads out of their sum.
    public var ratio = (sets: 1, gets: 10)
    public var seed: UInt64 = 1
    /// false: a connection for each batch of `pipeline` requests.
    public var keepsAlive = true
    /// Requests a second over all clients (open loop); nil: each client sends when it was answered (closed loop).
    public var rate: Double?
    public var arrivals = Arrivals.constant
    /// Closed loop: requests under way over all clients at most; nil: as many as clients and pipeline make.
    public var inFlight: Int?
    public var verifies = false

    // The wire
    public var link = LinkKind.kernel
    public var interface: String?
    public var address: SubnetAddress?
    public var addresses = 1
    public var gateway: IPv4Address?
    public var xdpMode = Net.XDPMode.auto
    /// The core to stay on; nil: any.
    public var core: Int?

    // Datagrams to `apus echo` instead of requests
    public var sendsDatagrams = false
    /// Bytes of their frames, from the Ethernet header on.
    public var requestFrame = 111
    /// What their answers must have; nil: anything.
    public var replyFrame: Int?

    // What to tell
    public var isQuiet = false
    public var isCSV = false
    public var isLooping = false
    /// Error replies are shown, and are not a failure.
    public var showsErrors = false
    /// nil: only when standard error is a terminal.
    public var showsProgress: Bool?
    /// "-" is standard output.
    public var jsonFile: String?

    public init() {}

    /// Throws a sentence about the first setting that makes no sense.
    public func check() throws(BenchError) {
        try Self.require((1...65_535).contains(port), "The port is 1 to 65535, not \(port) (-p).")
        try Self.require((1...1_000_000).contains(clients), "Clients are 1 to 1000000, not \(clients) (-c).")
        try Self.require(requests >= 1, "At least one request must be sent, not \(requests) (-n).")
        try Self.require((1...65_536).contains(pipeline), "A pipeline has 1 to 65536 requests, not \(pipeline) (-P).")
        try Self.require(
            clients * pipeline <= 1 << 28, "\(clients) clients with \(pipeline) requests each are too many (-c, -P).")
        try Self.require(
            sizes.lowerBound >= 1 && sizes.upperBound <= 512 << 20, "A value has 1 byte to 512 MiB (-d).")
        try Self.require(
            (0...999_999_999_999).contains(keyspace), "The keyspace has up to 12 digits, not \(keyspace) (-r).")
        try Self.require((0...1_000_000).contains(database), "There is no database \(database) (--dbnum).")
        try Self.require(
            ratio.sets >= 0 && ratio.gets >= 0 && (1...1_000_000).contains(ratio.sets + ratio.gets),
            "The ratio is two counts, such as 1:10, not both 0 (--ratio).")
        try Self.require(warmup >= 0 && warmup <= 3_600, "The warm-up lasts 0 to 3600 seconds (--warmup).")
        if let duration {
            try Self.require(duration > 0 && duration <= 1e6, "A duration is more than 0 seconds (--duration).")
        }
        if let rate {
            try Self.require(rate > 0 && rate <= 1e8, "A rate is more than 0 and at most 100000000 a second (--rate).")
        }
        try Self.require(
            keepsAlive || rate == nil && inFlight == nil,
            "Connections that are not kept belong to a closed loop: leave out --rate and --in-flight, or -k 0.")
        if let inFlight {
            try Self.require(
                inFlight >= pipeline && rate == nil,
                "Requests in flight are at least a pipeline's, and in an open loop bounded by clients and pipeline alone "
                    + "(--in-flight).")
        }
        try Self.require(
            user == nil || password != nil, "A user needs a password: give it with -a (--user).")
        if case .zipf(let exponent) = distribution {
            try Self.require(
                exponent > 0 && exponent <= 10, "Zipf's exponent is above 0 and at most 10 (--distribution zipf:0.99).")
            try Self.require(keyspace > 0, "A distribution of keys needs a keyspace: give it with -r (--distribution).")
        }
        try Self.require(
            !verifies || keyspace <= Verifier.largestKeyspace,
            "At most \(Verifier.largestKeyspace) keys can be verified (--verify, -r).")
        try checkLink()
        if sendsDatagrams { try checkDatagrams() }
    }

    private func checkDatagrams() throws(BenchError) {
        try Self.require(
            link == .xdp || link == .packet, "Datagrams need a bare link: --link xdp or packet (--udp-echo).")
        try Self.require(
            addresses == 1 && rate == nil && !verifies && command.isEmpty,
            "Datagrams are sent from one address in a closed loop, and are all alike (--udp-echo).")
        try Self.require(clients <= 4_096, "At most 4096 datagrams are under way, not \(clients) (-c, --udp-echo).")
        let frames = DatagramProbe.minimumFrame...1_514
        try Self.require(
            frames.contains(requestFrame),
            "A frame has \(frames.lowerBound) to \(frames.upperBound) bytes, not \(requestFrame) (--request-frame).")
    }

    private func checkLink() throws(BenchError) {
        try Self.require((1...256).contains(addresses), "Addresses are 1 to 256, not \(addresses) (--addresses).")
        switch link {
        case .auto: throw BenchError("--link is kernel, xdp, packet or tap.")
        case .kernel:
            try Self.require(
                interface == nil && addresses == 1,
                "With --link kernel the kernel chooses interface and address: leave out --interface and --addresses.")
        case .xdp, .packet, .tap:
            try Self.require(
                interface != nil || link == .tap, "--link \(link.rawValue) needs an --interface, such as client0.")
            guard let address else {
                throw BenchError(
                    "--link \(link.rawValue) needs an --address of its own with the length of the network's prefix, "
                        + "such as 10.9.0.1/24.")
            }
            try Self.require(
                IPv4Address(host) != nil, "Our own stack looks up no names: '\(host)' must be an IPv4 address (-h).")
            try Self.require(
                IPv4Address(host) != address.address, "The server and we cannot both have \(host) (-h, --address).")
        }
    }

    private static func require(_ holds: Bool, _ sentence: @autoclosure () -> String) throws(BenchError) {
        if !holds { throw BenchError(sentence()) }
    }
}

/// Why a load cannot be made, or what went wrong with it: a sentence for people.
public struct BenchError: Error, Equatable, CustomStringConvertible {
    public let description: String
    public init(_ sentence: String) { description = sentence }
}

/// Which key comes next.
public enum KeyDistribution: Equatable, Sendable, CustomStringConvertible {
    case uniform
    /// The key of rank k comes with a probability in proportion to 1 / k to this power; key 0 has rank 1.
    case zipf(Double)
    /// 0, 1, 2, ... and from the start again.
    case sequential

    /// "uniform", "sequential", "zipf" (exponent 0.99), "zipf:1.2".
    public init?(_ text: String) {
        switch text {
        case "uniform": self = .uniform
        case "sequential": self = .sequential
        case "zipf": self = .zipf(0.99)
        default:
            guard text.hasPrefix("zipf:"), let exponent = Double(text.dropFirst(5)) else { return nil }
            self = .zipf(exponent)
        }
    }

    public var description: String {
        switch self {
        case .uniform: "uniform"
        case .sequential: "sequential"
        case .zipf(let exponent): "zipf:\(exponent)"
        }
    }
}

/// How the requests of an open loop are spread over time.
public enum Arrivals: String, Sendable, CaseIterable {
    /// One each 1 / rate seconds.
    case constant
    /// As from a great number of independent users: exponential gaps with this mean.
    case poisson
}
