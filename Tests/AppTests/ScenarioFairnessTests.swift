import Runtime
import Testing

@testable import App

/// Fair turns: what many clients ask for at once is not all written before anybody's packets leave.
@Suite struct ScenarioFairnessTests {
    @Test func largeRepliesAreSpreadOverTurns() {
        let s = Scenario(shards: 1, frames: 4096)
        let clients = (0..<10).map { _ in s.connect() }
        s.ask(clients[0], "SETRANGE big 9999999 x")
        for client in clients {
            client.isReading = false
            s.say(client, "GET big")
        }
        var most: UInt64 = 0
        let before = s.server.commandsProcessed
        var last = before
        for _ in 0..<200 {
            _ = s.turn()
            most = max(most, s.server.commandsProcessed - last)
            last = s.server.commandsProcessed
        }
        #expect(last - before == 10, "every client is served in the end")
        #expect(most == 1, "\(most) large replies were written in one turn")
    }

    /// What leaves between a PING and its answer while others are sent a large value: a burst of each of them a turn, not
    /// what is left of their replies.
    @Test(arguments: [1, 8])
    func aPingDoesNotWaitForLargeReplies(readers count: Int) {
        let s = Scenario(shards: 1, frames: 8192)
        let pinger = s.connect()
        let readers = (0..<count).map { _ in s.connect(frames: 2048) }
        s.ask(pinger, "SETRANGE big 7999999 x")
        var (ahead, most, turns, mostTurns, pings) = (0, 0, 0, 0, 0)
        // The first client's hardware address ends in 0, the readers' do not.
        s.server.wire.tamper = { bytes in if bytes[4] == 1, bytes[5] != 0 { ahead += 1 } }
        for reader in readers { s.say(reader, "GET big") }
        // The values are written one a turn; then all are under way.
        for _ in 0..<20 { s.turn() }
        let unsent = { readers.contains { $0.replies.count < 7_900_000 } }
        while unsent(), pings < 2000 {
            (ahead, turns) = (0, 0)
            s.say(pinger, "PING")
            while s.heard(pinger).isEmpty {
                s.turn()
                s.server.clock.advance(by: .microseconds(20))
                turns += 1
            }
            pings += 1
            most = max(most, ahead)
            mostTurns = max(mostTurns, turns)
        }
        #expect(pings > 20)
        #expect(mostTurns <= 4, "a PING took \(mostTurns) turns")
        #expect(most <= 4 * 64 * count, "\(most) frames left before a PING's answer")
    }
}
