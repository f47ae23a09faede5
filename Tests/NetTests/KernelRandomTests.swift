import CLinux
import Glibc
import Runtime
import Testing

@testable import Net

/// Random clients against an echo that reads in random pieces and pauses at random: what comes back is always the
/// beginning of what was sent, all of it when nobody reset, and nothing is left at the end.
@Suite(.serialized) struct KernelRandomTests {
    private struct Peer {
        let client: KernelClient
        var sent: [UInt8] = []
        var isEnding = false
    }

    @Test(arguments: 1...4)
    func echoesUnderRandomUse(seed: Int) throws {
        let fixture = try KernelFixture()
        var entropy = Entropy(seed: UInt64(seed))
        var peers: [Peer] = []
        var open: [KernelConnection] = []
        var resets = 0
        for step in 0..<800 {
            if peers.count < 8 || (peers.count < 24 && entropy.next(below: 20) == 0) {
                peers.append(Peer(client: KernelClient(port: fixture.port)))
            }
            let index = entropy.next(below: peers.count)
            if act(&peers[index], &entropy, step) {
                let gone = peers.remove(at: index)
                #expect(Array(gone.sent.prefix(gone.client.received.count)) == gone.client.received)
                resets += 1
            }
            fixture.turn(wait: false) { connection, events in
                if events.contains(.opened) { open.append(connection) }
                serve(connection, events, fixture, &entropy, &open)
            }
            // Those that paused go on now and then, without an event.
            for connection in open where entropy.next(below: 4) == 0 {
                echoSome(connection, fixture, &entropy)
            }
        }
        for peer in peers { peer.client.endWriting() }
        fixture.run(until: { fixture.stack.liveConnections == 0 }) { connection, events in
            if events.contains(.opened) { open.append(connection) }
            serve(connection, events, fixture, &entropy, &open)
        } feeding: {
            for peer in peers { peer.client.receive() }
            for connection in open { echoSome(connection, fixture, &entropy) }
        }
        for peer in peers {
            peer.client.receive()
            #expect(peer.client.received == peer.sent)
            #expect(peer.client.ended)
        }
        #expect(resets > 0)
        #expect(fixture.stack.chunksInUse == 0)
        #expect(fixture.stack.statistics.lingerTimeouts == 0)
    }

    /// One thing that a client may do; true: it goes, by a reset.
    private func act(_ peer: inout Peer, _ entropy: inout Entropy, _ step: Int) -> Bool {
        switch entropy.next(below: 40) {
        case 0:
            peer.client.resetOnClose()
            return true
        case 1:
            peer.isEnding = true
            peer.client.endWriting()
        case 2..<20 where !peer.isEnding:
            let bytes = pattern(entropy.next(below: step % 10 == 0 ? 100_000 : 300), seed: entropy.next())
            peer.sent += bytes.prefix(peer.client.send(bytes))
        default:
            peer.client.receive(limit: entropy.next(below: 200_000))
        }
        return false
    }

    private func serve(
        _ connection: KernelConnection, _ events: StreamEvents, _ fixture: KernelFixture, _ entropy: inout Entropy,
        _ open: inout [KernelConnection]
    ) {
        if events.contains(.closed) {
            open.removeAll { $0 == connection }
            return fixture.stack.free(connection)
        }
        // The user's own note that the peer has ended.
        if events.contains(.endOfStream) {
            fixture.stack.setContext(connection, UnsafeMutableRawPointer(bitPattern: 1))
        }
        echoSome(connection, fixture, &entropy)
    }

    private func echoSome(_ connection: KernelConnection, _ fixture: KernelFixture, _ entropy: inout Entropy) {
        while true {
            let view = fixture.stack.received(connection)
            if view.count == 0 { break }
            if entropy.next(below: 3) == 0 { return }
            let count = entropy.next(below: view.count) + 1
            fixture.write(connection, UnsafeRawBufferPointer(start: view.base, count: count))
            fixture.stack.consume(connection, count)
        }
        if fixture.stack.context(connection) != nil { fixture.stack.shutdown(connection) }
    }
}
