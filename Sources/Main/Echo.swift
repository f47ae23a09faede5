import App
import ArgumentParser
import Glibc
import Net
import Runtime

struct Echo: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The bare echo: frame in, frame out, no stack.",
        discussion: """
            What the link alone can do, to compare a server with: each UDP datagram to the address comes back from the \
            frame in which it came, with addresses and ports swapped, from any port. ARP for the address is answered. \
            The counters are written to the standard output as a line of JSON at the end (SIGINT, SIGTERM).
            """)

    enum Driver: String, ExpressibleByArgument, CaseIterable { case xdp, packet }

    @Option(help: "What carries the frames: \(Driver.allCases.map(\.rawValue).joined(separator: ", ")).")
    var link: Driver
    @Option(help: "The interface whose frames are answered.")
    var interface: String
    @Option(help: "The address that is answered for, and its subnet: 10.79.0.2/24.")
    var address: SubnetAddress
    @Option(help: "auto, zero-copy, copy or generic.")
    var xdpMode = Net.XDPMode.auto
    @Option(help: "The core to run on; the last one that may be used unless given.")
    var core: Int32?
    @Option(help: "Bytes of each answer's frame, Ethernet header included; as the request's unless given.")
    var replyFrame: Int?

    func run() throws {
        StopSignals().block()
        var wanted = LinkConfiguration(
            kind: link == .xdp ? .xdp : .packet, interface: interface, address: address.address,
            prefixLength: address.prefixLength)
        wanted.mode = xdpMode
        var server = EchoServer(link: wanted)
        server.core = core
        server.replyFrame = replyFrame
        let report = try server.run { standardOutput($0 + "\n") }
        standardOutput(report + "\n")
    }
}
