import Net
import Runtime
import Testing

@testable import App

/// The lists that say when a session is looked at.
@Suite struct SessionTableTests {
    private func add(_ table: SessionTable) -> Session {
        table.add(remote: .none, local: .none, authenticated: true, now: 0)
    }

    private func walk(_ table: SessionTable) -> [UInt64] {
        var ids: [UInt64] = []
        var next = table.first
        while let session = next {
            ids.append(session.id)
            next = table.next(after: session)
        }
        return ids.sorted()
    }

    @Test func walkingMeetsEachOnceWhereverItIs() {
        let table = SessionTable(shard: 0, shardCount: 1)
        defer { table.deallocate() }
        let sessions = (0..<300).map { _ in add(table) }
        for (index, session) in sessions.enumerated() where index % 3 != 0 {
            table.lookAgain(session, at: .seconds(Int64(index)))
        }
        #expect(walk(table) == Array(1...300))
        #expect(table.find(id: 77) == sessions[76])
        for session in sessions[100..<200] { table.remove(session) }
        #expect(walk(table) == Array(1...100) + Array(201...300))
        #expect(table.count == 200)
    }

    @Test func aSessionIsDueAtItsSecondAndNotBefore() {
        let table = SessionTable(shard: 0, shardCount: 1)
        defer { table.deallocate() }
        var entropy = Entropy(seed: 1)
        var now: Nanoseconds = .seconds(1000)
        _ = table.firstDue(now: now)
        var asked: [UInt64: Nanoseconds] = [:]
        for _ in 0..<500 {
            let session = add(table)
            asked[session.id] = now + Nanoseconds(entropy.next(below: 200_000)) * .milliseconds(1)
            table.lookAgain(session, at: asked[session.id]!)
        }
        while !asked.isEmpty, now < .seconds(1300) {
            now += .milliseconds(Int64(1 + entropy.next(below: 3_000)))
            while let session = table.firstDue(now: now) {
                let instant = asked[session.id]!
                if instant > now {
                    // Beyond the last bin: it is asked again.
                    table.lookAgain(session, at: instant)
                } else {
                    #expect(now - instant <= .seconds(4))
                    asked[session.id] = nil
                    table.rest(session)
                }
            }
        }
        #expect(asked.isEmpty)
        #expect(table.count == 500)
    }

    @Test func allCanBeLookedAt() {
        let table = SessionTable(shard: 0, shardCount: 1)
        defer { table.deallocate() }
        for index in 0..<100 {
            let session = add(table)
            if index % 2 == 0 { table.lookAgain(session, at: .seconds(Int64(index))) }
        }
        #expect(table.firstDue(now: 0) == nil)
        table.lookAtAll()
        var seen = 0
        while let session = table.firstDue(now: 0) {
            seen += 1
            table.rest(session)
        }
        #expect(seen == 100)
    }
}
