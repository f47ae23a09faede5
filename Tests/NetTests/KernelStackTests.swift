import CLinux
import Glibc
import Runtime
import Testing

@testable import Net

@Suite(.serialized) struct KernelStackTests {
    @Test func echoesPatternsOfManySizes() throws {
        let fixture = try KernelFixture()
        let client = KernelClient(port: fixture.port)
        for size in [1, 2, 1459, 16383, 16384, 65535, 65536, 65537, 1_000_000] {
            let bytes = pattern(size, seed: UInt64(size))
            let before = client.received.count
            var sent = 0
            fixture.run(until: { client.received.count - before == size }) { connection, events in
                fixture.echo(connection, events)
            } feeding: {
                if sent < size { sent += client.send(bytes[sent...].prefix(200_000)) }
                client.receive()
            }
            #expect(Array(client.received[before...]) == bytes)
        }
        #expect(fixture.stack.chunksInUse == 0)
        #expect(fixture.stack.liveConnections == 1)
    }

    @Test func aClientThatStopsWritingGetsEveryReply() throws {
        let fixture = try KernelFixture()
        let client = KernelClient(port: fixture.port)
        let connection = fixture.accept()
        client.send(pattern(10))
        client.endWriting()
        var ended = false
        fixture.run(until: { ended }) { connection, events in
            let view = fixture.stack.received(connection)
            fixture.stack.consume(connection, view.count)
            if events.contains(.endOfStream) { ended = true }
        }
        // Replies after the peer's FIN, over several turns, more than the socket takes at once.
        let reply = pattern(8 << 20)
        fixture.write(connection, reply)
        fixture.stack.shutdown(connection)
        var freed = false
        fixture.run(until: { client.ended && freed }) { connection, events in
            if events.contains(.closed) {
                fixture.stack.free(connection)
                freed = true
            }
        } feeding: {
            client.receive()
        }
        #expect(client.received == reply)
        #expect(client.failure == 0)
        #expect(fixture.stack.liveConnections == 0)
        #expect(fixture.stack.chunksInUse == 0)
    }

    @Test func aResetIsToldOnce() throws {
        let fixture = try KernelFixture()
        var client: KernelClient? = KernelClient(port: fixture.port)
        let connection = fixture.accept()
        client!.send(pattern(100))
        client!.resetOnClose()
        client = nil
        var seen: StreamEvents = []
        fixture.run(until: { seen.contains(.closed) }) { connection, events in
            seen.formUnion(events)
            fixture.stack.consume(connection, fixture.stack.received(connection).count)
        }
        // Writing to it is harmless, and it gets no more events.
        fixture.write(connection, pattern(100))
        fixture.turn(wait: false) { _, _ in Issue.record("an event after the last one") }
        #expect(fixture.stack.statistics.resets == 1)
        fixture.stack.free(connection)
        #expect(fixture.stack.liveConnections == 0)
        #expect(fixture.stack.chunksInUse == 0)
    }

    @Test func aSlowReaderGetsALargeReplyWhole() throws {
        let fixture = try KernelFixture()
        let client = KernelClient(port: fixture.port, receiveBuffer: 32768)
        let connection = fixture.accept()
        let size = 64 << 20
        let block = pattern(1 << 20)
        for _ in 0..<(size >> 20) { fixture.write(connection, block) }
        #expect(fixture.stack.backlog(connection) == size)
        fixture.stack.output(now: fixture.now)
        #expect(fixture.stack.backlog(connection) < size)
        #expect(fixture.stack.backlog(connection) > 0)
        var writable = 0
        var lowest = fixture.stack.backlog(connection)
        fixture.run(until: { client.received.count == size }, turns: 200_000) { connection, events in
            if events.contains(.writable) {
                writable += 1
                #expect(fixture.stack.backlog(connection) < lowest)
                lowest = fixture.stack.backlog(connection)
            }
        } feeding: {
            client.receive()
        }
        // Each time the backlog halves, down to the low-water mark.
        #expect((1...12).contains(writable))
        #expect(fixture.stack.backlog(connection) == 0)
        #expect(fixture.stack.chunksInUse == 0)
        var matches = true
        for megabyte in 0..<(size >> 20) where matches {
            matches = client.received[(megabyte << 20)..<((megabyte + 1) << 20)].elementsEqual(block)
        }
        #expect(matches)
    }

    @Test func whatIsNotConsumedStopsTheSender() throws {
        let fixture = try KernelFixture()
        let client = KernelClient(port: fixture.port)
        let connection = fixture.accept()
        var sent = 0
        let bytes = pattern(32 << 20)
        fixture.run(until: { fixture.stack.received(connection).count > 0 }) { _, _ in
        } feeding: {
            sent += client.send(bytes[sent...].prefix(1 << 20))
        }
        let held = fixture.stack.received(connection).array
        // The sender fills the kernel's buffers; we read nothing more, and what is held stays as it is.
        for _ in 0..<200 {
            sent += client.send(bytes[sent...].prefix(1 << 20))
            fixture.turn(wait: false) { _, _ in }
        }
        #expect(sent < bytes.count)
        #expect(fixture.stack.received(connection).array == held)
        #expect(fixture.stack.statistics.receivedBytes == UInt64(held.count))
        // epoll is silent about it: the shard could sleep.
        #expect(fixture.stack.poll(now: fixture.now) == 0)
        var got: [UInt8] = held
        fixture.stack.consume(connection, held.count)
        fixture.run(until: { got.count == bytes.count }) { connection, _ in
            while case let view = fixture.stack.received(connection), view.count > 0 {
                // In odd pieces, as a parser would.
                let piece = min(view.count, 7777)
                got += UnsafeRawBufferPointer(start: view.base, count: piece)
                fixture.stack.consume(connection, piece)
            }
        } feeding: {
            if sent < bytes.count { sent += client.send(bytes[sent...].prefix(1 << 20)) }
        }
        #expect(got == bytes)
    }

    @Test func aPausedConnectionWhoseClientHangsUpIsNotLost() throws {
        let fixture = try KernelFixture()
        var client: KernelClient? = KernelClient(port: fixture.port)
        let connection = fixture.accept()
        client!.send(pattern(1000))
        fixture.run(until: { fixture.stack.received(connection).count == 1000 }) { _, _ in }
        client!.send(pattern(500, seed: 9))
        client = nil
        for _ in 0..<3 { fixture.turn(wait: false) { _, _ in } }
        #expect(fixture.stack.received(connection).array == pattern(1000))
        #expect(fixture.stack.poll(now: fixture.now) == 0)
        fixture.stack.consume(connection, 1000)
        var rest: [UInt8] = []
        var seen: StreamEvents = []
        fixture.run(until: { seen.contains(.endOfStream) }) { connection, events in
            seen.formUnion(events)
            let view = fixture.stack.received(connection)
            rest += view.array
            fixture.stack.consume(connection, view.count)
        }
        #expect(rest == pattern(500, seed: 9))
    }

    @Test func twoConnectionsShareTheReadBuffer() throws {
        let fixture = try KernelFixture()
        let clients = (0..<2).map { _ in KernelClient(port: fixture.port) }
        let connections = [fixture.accept(), fixture.accept()]
        clients[0].send(pattern(3000, seed: 1))
        clients[1].send(pattern(4000, seed: 2))
        fixture.run(until: { connections.allSatisfy { fixture.stack.received($0).count > 0 } }) { _, _ in }
        let views = connections.map { fixture.stack.received($0).array }
        #expect(views.contains(pattern(3000, seed: 1)))
        #expect(views.contains(pattern(4000, seed: 2)))
        for connection in connections {
            fixture.stack.consume(connection, fixture.stack.received(connection).count)
        }
    }

    @Test func connectionsComeAndGoWithoutALeak() throws {
        let fixture = try KernelFixture()
        for round in 0..<10 {
            let clients = (0..<100).map { _ in KernelClient(port: fixture.port) }
            for (index, client) in clients.enumerated() { client.send(pattern(100, seed: UInt64(round + index))) }
            fixture.run(until: { clients.allSatisfy { $0.received.count == 100 } }) { connection, events in
                fixture.echo(connection, events)
            } feeding: {
                for client in clients { client.receive() }
            }
            #expect(fixture.stack.liveConnections == 100)
            for (index, client) in clients.enumerated() where index % 3 == 0 { client.resetOnClose() }
            for client in clients { client.endWriting() }
            withExtendedLifetime(clients) {}
            fixture.run(until: { clients.allSatisfy { $0.ended || $0.failure != 0 } }) { connection, events in
                fixture.echo(connection, events)
            } feeding: {
                for client in clients { client.receive() }
            }
            fixture.run(until: { fixture.stack.liveConnections == 0 }) { connection, events in
                fixture.echo(connection, events)
            }
        }
        #expect(fixture.stack.statistics.accepted == 1000)
        #expect(fixture.stack.statistics.freed == 1000)
        #expect(fixture.stack.chunksInUse == 0)
    }

    @Test func shutdownWaitsForThePeerAndNotForEver() throws {
        let fixture = try KernelFixture()
        let client = KernelClient(port: fixture.port)
        let connection = fixture.accept()
        fixture.write(connection, pattern(10))
        fixture.stack.shutdown(connection)
        fixture.stack.output(now: fixture.now)
        // Bytes that nobody wants any more do not reset the connection.
        fixture.run(until: { client.ended }) { _, _ in
        } feeding: {
            client.send(pattern(1000))
            client.receive()
        }
        #expect(client.received == pattern(10))
        #expect(client.failure == 0)
        let deadline = try #require(fixture.stack.nextDeadline)
        #expect(deadline == fixture.now + .seconds(2))
        fixture.now = deadline
        var closed = false
        fixture.turn(wait: false) { connection, events in
            closed = events == .closed
            fixture.stack.free(connection)
        }
        #expect(closed)
        #expect(fixture.stack.statistics.lingerTimeouts == 1)
        #expect(fixture.stack.nextDeadline == nil)
    }

    @Test func abortResetsAndNoEventFollows() throws {
        let fixture = try KernelFixture()
        let client = KernelClient(port: fixture.port)
        let connection = fixture.accept()
        client.send(pattern(10))
        fixture.write(connection, pattern(10))
        fixture.stack.abort(connection)
        fixture.turn(wait: false) { _, _ in Issue.record("an event after abort") }
        fixture.stack.free(connection)
        for _ in 0..<1000 where client.failure == 0 && !client.ended { client.receive() }
        #expect(client.failure == ECONNRESET)
        #expect(fixture.stack.liveConnections == 0)
        #expect(fixture.stack.chunksInUse == 0)
    }

    @Test func addressesAreTextWithPorts() throws {
        let fixture = try KernelFixture()
        let client = KernelClient(port: fixture.port)
        let connection = fixture.accept()
        #expect(fixture.stack.local(connection) == ("127.0.0.1", fixture.port))
        #expect(fixture.stack.remote(connection) == ("127.0.0.1", KernelListener.port(of: client.descriptor)))
    }
}

extension KernelFixture {
    /// As `run`, with the client's part done between the turns. Never waits.
    func run(
        until done: () -> Bool, turns: Int = 20_000, _ body: (KernelConnection, StreamEvents) -> Void,
        feeding: () -> Void
    ) {
        for _ in 0..<turns {
            if done() { return }
            feeding()
            turn(wait: false, body)
        }
        Issue.record("nothing more happened")
    }
}
