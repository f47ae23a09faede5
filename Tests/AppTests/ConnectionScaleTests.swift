import Net
import Runtime
import Testing

@testable import App

/// Many clients of one shard. How fast is measured by perf/connections; here is what must hold at any speed.
@Suite struct ConnectionScaleTests {
    /// The bounds, everything counted, at the table's worst moment.
    @Test func anIdleClientTakesFewBytes() {
        let report = ConnectionScale.run(connections: 20_000)
        #expect(report.parts.connectionAtWorst <= 384)
        #expect(report.parts.clientAtWorst <= 512)
        #expect(report.parts.table <= report.parts.tableAtWorst)
        // All were asked whether they live, by one timer each.
        #expect(report.timersFired == 20_000)
        #expect(report.timersScheduled <= 20_000 + 8)
        #expect(report.leftConnections == 0)
        #expect(report.leftSessions == 0)
        #expect(report.leftFrames == 0)
    }

    /// More than `maxclients` connect, and those that were refused never close: sessions, control blocks and frames
    /// come back, and those that were there first stay.
    @Test func refusedClientsThatNeverCloseAreBounded() throws {
        let server = SimulatedServer(shards: 1, seed: 1, frames: 1024, config: try Config(["maxclients": "100"]))
        let peer = RawPeer(wire: server.wire)
        defer { peer.deallocate() }
        let state = server.shards[0].state
        let stack = state.streams.stack!
        func run(_ span: Nanoseconds) {
            let end = server.clock.monotonic + span
            while server.clock.monotonic < end {
                peer.answer()
                peer.flush()
                server.wire.advance(now: server.clock.monotonic)
                let work = server.turn()
                server.wire.advance(now: server.clock.monotonic)
                peer.receive()
                let next = server.clock.monotonic + .microseconds(50)
                server.clock.advance(to: work ? next : min(end, max(next, server.nextDeadline)))
            }
        }
        for number in 0..<2_000 {
            peer.open(number)
            if number % 32 == 31 { run(.microseconds(200)) }
        }
        run(.seconds(3))
        #expect(state.statistics.connectionsReceived == 100)
        #expect(state.statistics.rejectedConnections >= 1_000)
        #expect(server.mesh.clients == 100)
        // Refused clients are given some seconds to read why.
        run(.seconds(30))
        #expect(server.liveSessions == 100)
        #expect(state.departed == 0)
        run(.seconds(120))
        #expect(stack.controlBlocks == 100)
        #expect(server.freeFrames == server.allFrames)
    }

    @Test func theConnectionBoundFollowsMaxclients() throws {
        let server = SimulatedServer(shards: 1, seed: 1, config: try Config(["maxclients": "1000000"]))
        let stack = server.shards[0].state.streams.stack!
        #expect(stack.configuration.maxConnections > 1_000_000)
        #expect(Stack.connectionBound(clients: 10_000, halfOpen: 4_096) == 65_536)
    }
}
