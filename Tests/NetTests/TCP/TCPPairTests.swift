import Runtime
import Testing

@testable import Net

@Suite struct TCPPair {
    @Test func echoOverAPerfectWire() {
        let pair = Pair()
        pair.b.stack.listen(port: 7)
        let message = ramp(100_000)
        let client = pair.a.stack.connect(to: IPv4Address(10, 0, 0, 2), port: 7, now: pair.now)!
        let outgoing = StreamUser(toSend: message)
        let server = EchoServer()
        let done = pair.run(
            for: .seconds(30), serveA: { outgoing.serve($0, client) }, serveB: { server.serve($0) },
            until: { outgoing.isClosed && server.open == 0 })
        #expect(done)
        #expect(outgoing.received == message)
        pair.expectClean()
    }
}
