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

    @Test func manyConnectionsComeAndGo() {
        let pair = Pair(frames: 4096)
        pair.b.stack.listen(port: 7)
        let server = EchoServer()
        for round in 1...3 {
            let clients = (0..<200).map { index in
                let user = StreamUser(toSend: ramp(50 + index, from: index))
                let c = pair.a.stack.connect(to: IPv4Address(10, 0, 0, 2), port: 7, now: pair.now)!
                pair.a.stack.setContext(c, Unmanaged.passUnretained(user).toOpaque())
                return (c, user)
            }
            let done = pair.run(
                for: .seconds(60),
                serveA: { stack in
                    for (c, user) in clients where !user.isClosed { user.write(stack, c) }
                    while let c = stack.nextEvent() {
                        let user = Unmanaged<StreamUser>.fromOpaque(stack.context(c)!).takeUnretainedValue()
                        user.handle(stack, c, stack.takeEvents(c))
                    }
                },
                serveB: { server.serve($0) },
                until: { server.open == 0 && clients.allSatisfy { $0.1.isClosed } })
            #expect(done)
            for (index, client) in clients.enumerated() {
                #expect(client.1.received == ramp(50 + index, from: index))
            }
            #expect(server.accepted == round * 200)
            #expect(pair.b.stack.controlBlocks == 0)
            withExtendedLifetime(clients) {}
        }
        pair.expectClean()
    }

    @Test func aSlowReaderGetsEverythingInOrder() {
        // A slow reader: output waits in memory, then comes in order.
        let pair = Pair(frames: 512)
        pair.b.stack.listen(port: 7)
        let message = ramp(3_000_000)
        let client = pair.a.stack.connect(to: IPv4Address(10, 0, 0, 2), port: 7, now: pair.now)!
        let sender = StreamUser(toSend: message)
        sender.backlogLimit = .max
        let receiver = StreamUser(toSend: [])
        var accepted: TCPConnection?
        var turn = 0
        let done = pair.run(
            for: .seconds(60), maxTurns: 60_000, maxStep: 100_000, serveA: { sender.serve($0, client) },
            serveB: { stack in
                turn += 1
                if let c = stack.nextEvent() { accepted = c }
                guard turn % 5 == 0, let c = accepted, !receiver.isClosed else { return }
                receiver.handle(stack, c, stack.takeEvents(c))
                if !receiver.isClosed { receiver.write(stack, c) }
            },
            until: { sender.isClosed && receiver.isClosed })
        #expect(done)
        let whole = receiver.received == message
        #expect(whole)
        if !done {
            dump(pair)
            print("↳", receiver.received.count, turn)
            return
        }
        pair.expectClean()
    }
}
