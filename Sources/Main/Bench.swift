import App
import ArgumentParser
import Glibc
import Net
import Runtime

struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "A load generator for Redis-compatible servers, over our own stack or kernel sockets.",
        usage: "apus bench [<options>] [<command> <argument> ...]",
        discussion: """
            Options have redis-benchmark's names where it has the thing. Tests: ping_inline, ping_mbulk (ping: both), set, \
            get, incr, lpush, rpush, lpop, rpop, sadd, hset, spop, zadd, zpopmin, lrange_100 (300, 500, 600), mset, mget, \
            del, xadd, mixed. Instead of tests a command can be given; in its words __rand_int__ is replaced by a key's \
            number, __key__ by such a key, __data__ by a value. Exit status 1: could not connect, errors, or wrong replies.
            """,
        // -h is the host, as in redis-benchmark.
        helpNames: .long)

    @Option(name: [.customShort("h"), .long], help: "The server's address, or a name (kernel sockets only).")
    var host = "127.0.0.1"
    @Option(name: .shortAndLong, help: "The server's port.")
    var port = 6379
    @Option(name: .customShort("a"), help: "A password for AUTH.")
    var password: String?
    @Option(help: "A user's name for AUTH; needs -a.")
    var user: String?
    @Option(help: "The database to SELECT.")
    var dbnum = 0
    @Flag(name: .customShort("3"), help: "Speak RESP3.")
    var resp3 = false

    @Option(name: [.customShort("t"), .long], help: "Tests, with commas between them.")
    var tests = "ping,set,get,incr"
    @Option(name: .shortAndLong, help: "Parallel connections, 1 to 1000000.")
    var clients = 50
    @Option(name: [.customShort("n"), .long], help: "Requests of each test.")
    var requests = 100_000
    @Option(help: "Seconds to send for, instead of a number of requests.")
    var duration: Double?
    @Option(help: "Seconds of the same load before anything counts.")
    var warmup = 0.0
    @Option(name: [.customShort("P"), .long], help: "Requests that a client sends at once.")
    var pipeline = 1
    @Option(name: [.customShort("d"), .long], help: "Bytes of a value: one size, or MIN-MAX.")
    var size = SizeRange(3...3)
    @Option(name: [.customShort("r"), .long], help: "Keys are numbered 0 to N-1; without it there is one key.")
    var keyspace = 0
    @Option(help: "Of keys: uniform, sequential, zipf or zipf:EXPONENT.")
    var distribution = KeyDistribution.uniform
    @Option(help: "Of the test mixed: SETS:GETS.")
    var ratio = Ratio(sets: 1, gets: 10)
    @Option(help: "Of keys, sizes and arrivals; the same seed sends the same requests.")
    var seed: UInt64 = 1
    @Option(name: [.customShort("k"), .long], help: "0: a connection for each pipeline of requests.")
    var keepalive = 1
    @Option(help: "Open loop: so many requests a second over all clients; latencies count from the intended time.")
    var rate: Double?
    @Option(help: "Of an open loop: constant or poisson.")
    var arrivals = Arrivals.constant
    @Option(help: "Closed loop: so many requests under way over all clients at most.")
    var inFlight: Int?
    @Flag(help: "Check every reply.")
    var verify = false

    @Option(help: "kernel, xdp, packet or tap.")
    var link = LinkKind.kernel
    @Option(help: "The interface of xdp and packet.")
    var interface: String?
    @Option(help: "Our own stack's address with the length of its network's prefix: 10.9.0.1/24.")
    var address: SubnetAddress?
    @Option(help: "So many consecutive addresses, for more than 28,000 connections.")
    var addresses = 1
    @Option(help: "The next hop outside of the network.")
    var gateway: IPv4Address?
    @Option(help: "auto, zero-copy, copy or generic.")
    var xdpMode = Net.XDPMode.auto
    @Option(help: "The core to stay on.")
    var core: Int?

    @Flag(help: "Datagrams to 'apus echo' over a bare xdp or packet link, -c of them under way; no TCP.")
    var udpEcho = false
    @Option(help: "Bytes of a datagram's frame, Ethernet header included.")
    var requestFrame = 111
    @Option(help: "Bytes of the answers' frames; others are counted as errors. 'apus echo' makes them.")
    var replyFrame: Int?

    @Flag(name: .customShort("l"), help: "Run the tests for ever.")
    var loop = false
    @Flag(name: .shortAndLong, help: "A line for each test.")
    var quiet = false
    @Flag(help: "Comma-separated values.")
    var csv = false
    @Flag(name: .customShort("e"), help: "Error replies are shown, and are not a failure.")
    var errors = false
    @Flag(inversion: .prefixedNo, help: "A line each second on standard error (default: when it is a terminal).")
    var progress: Bool?
    @Option(help: "A file for the results; - is the standard output.")
    var json: String?

    @Argument(parsing: .captureForPassthrough, help: "A command to send instead of tests.")
    var command: [String] = []

    func run() throws {
        // What the parser does not know begins a command, and a command does not begin with a dash.
        if let first = command.first, first.hasPrefix("-") {
            if first == "--help" { throw CleanExit.helpRequest(self) }
            if first == "--version" { throw CleanExit.message("apus \(Config.version)") }
            throw Failure(text: "There is no option '\(first)': see 'apus bench --help'.")
        }
        // The loop asks for them itself, and tells what was measured until then.
        StopSignals().block()
        throw ExitCode(try Bench.run(settings))
    }

    private var settings: BenchSettings {
        var settings = BenchSettings()
        (settings.host, settings.port) = (host, port)
        (settings.password, settings.user, settings.database) = (password, user, dbnum)
        settings.usesRESP3 = resp3
        settings.tests = tests.split(separator: ",").map(String.init)
        settings.command = command
        (settings.clients, settings.requests, settings.pipeline) = (clients, requests, pipeline)
        (settings.duration, settings.warmup) = (duration, warmup)
        settings.sizes = size.range
        (settings.keyspace, settings.distribution, settings.seed) = (keyspace, distribution, seed)
        settings.ratio = (ratio.sets, ratio.gets)
        settings.keepsAlive = keepalive != 0
        (settings.sendsDatagrams, settings.requestFrame, settings.replyFrame) = (udpEcho, requestFrame, replyFrame)
        (settings.rate, settings.arrivals, settings.verifies) = (rate, arrivals, verify)
        settings.inFlight = inFlight
        (settings.link, settings.interface, settings.address) = (link, interface, address)
        (settings.addresses, settings.gateway, settings.xdpMode, settings.core) = (addresses, gateway, xdpMode, core)
        (settings.isLooping, settings.isQuiet, settings.isCSV) = (loop, quiet, csv)
        (settings.showsErrors, settings.showsProgress, settings.jsonFile) = (errors, progress, json)
        return settings
    }
}
