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
}
