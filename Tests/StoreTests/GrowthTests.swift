import Runtime
import Testing

@testable import Store

@Suite struct GrowthTests {
    /// No call moves more than its share, and the new table never fills up before the old one is empty.
    @Test(arguments: [nil, 6]) func growthIsSpreadOverCalls(distinctBits: Int?) {
        let fixture = Fixture(distinctBits: distinctBits)
        let state = fixture.database.state
        var moves = 0
        for number in 0..<(distinctBits == nil ? 50_000 : 2_000) {
            let before = fixture.keyspace.state.pointee.movedBuckets
            fixture.set("key:\(number)", "v")
            let moved = fixture.keyspace.state.pointee.movedBuckets - before
            if moved > 0 { moves += 1 }
            #expect(moved <= UInt64(DatabaseState.moveBuckets))
            #expect(state.pointee.table.count <= state.pointee.table.growAt)
        }
        #expect(moves > 0)
        #expect(fixture.keyspace.checkInvariants() == nil)
    }

    @Test func shrinkingIsSpreadOverCalls() {
        let fixture = Fixture()
        let state = fixture.database.state
        let keys = 100_000
        for number in 0..<keys { fixture.set("key:\(number)", "v") }
        fixture.finishWork()
        let largest = state.pointee.table.capacity
        for number in 0..<keys - 10 {
            let before = fixture.keyspace.state.pointee.movedBuckets
            #expect(fixture.remove("key:\(number)"))
            #expect(fixture.keyspace.state.pointee.movedBuckets - before <= UInt64(DatabaseState.moveBuckets))
            if number % 5000 == 0 { #expect(fixture.keyspace.checkInvariants() == nil) }
        }
        fixture.finishWork()
        #expect(state.pointee.table.capacity <= max(4096, largest / 16))
        for number in keys - 10..<keys { #expect(fixture.get("key:\(number)") == "v") }
        #expect(fixture.keyspace.checkInvariants() == nil)
    }

    /// The worst case of a shrinking: it begins at 10 % load, and from then on every call inserts.
    @Test func insertionsWhileShrinking() {
        let fixture = Fixture()
        let state = fixture.database.state
        var keys = 0
        while state.pointee.table.capacity < 1 << 16 {
            fixture.set("key:\(keys)", "v")
            keys += 1
        }
        fixture.finishWork()
        while state.pointee.old == nil {
            keys -= 1
            _ = fixture.remove("key:\(keys)")
        }
        while state.pointee.old != nil {
            fixture.set("new:\(keys)", "v")
            keys += 1
            #expect(state.pointee.table.count <= state.pointee.table.growAt)
        }
        #expect(fixture.keyspace.checkInvariants() == nil)
    }

    @Test func incrementalWorkEndsAGrowth() {
        let fixture = Fixture()
        let state = fixture.database.state
        var number = 0
        while state.pointee.table.capacity < 8192 || state.pointee.old == nil {
            fixture.set("key:\(number)", "\(number)")
            number += 1
        }
        var steps = 0
        while fixture.keyspace.incrementalWork(budget: 50) {
            steps += 1
            // Keys are found whichever table holds them.
            for probe in stride(from: 0, to: number, by: 97) { #expect(fixture.get("key:\(probe)") == "\(probe)") }
            if steps % 20 == 0 { #expect(fixture.keyspace.checkInvariants() == nil) }
        }
        #expect(steps >= 4096 / 50 - 1)
        #expect(state.pointee.old == nil)
        #expect(!fixture.keyspace.incrementalWork(budget: 50))
        for probe in 0..<number { #expect(fixture.get("key:\(probe)") == "\(probe)") }
    }

    /// Pieces of a mapped table go back while it is emptied; nothing that is still in use may go with them.
    @Test func mappedTables() {
        let fixture = Fixture()
        let keys = 200_000
        for number in 0..<keys { fixture.set("key:\(number)", "\(number)") }
        #expect(fixture.database.state.pointee.table.bytes > 1 << 20)
        #expect(fixture.keyspace.checkInvariants() == nil)
        for number in 0..<keys where fixture.get("key:\(number)") != "\(number)" {
            Issue.record("key \(number) lost")
            return
        }
        let empty = Table.smallest * 8
        fixture.database.removeAll()
        #expect(fixture.database.count == 0)
        fixture.set("after", "v")
        #expect(fixture.keyspace.checkInvariants() == nil)
        fixture.finishWork()
        #expect(fixture.get("after") == "v")
        #expect(fixture.remove("after"))
        #expect(fixture.keyspace.usedMemory == empty)
    }

    @Test func removeAllDuringGrowth() {
        let fixture = Fixture()
        var number = 0
        while fixture.database.state.pointee.table.capacity < 4096 || fixture.database.state.pointee.old == nil {
            fixture.set("key:\(number)", "v", expireAt: number % 2 == 0 ? fixture.now + 1000 : -1)
            number += 1
        }
        fixture.database.removeAll()
        #expect(fixture.database.count == 0 && fixture.database.expiresCount == 0)
        #expect(fixture.get("key:1") == nil)
        fixture.set("key:1", "new", expireAt: fixture.now + 500)
        #expect(fixture.keyspace.checkInvariants() == nil)
        fixture.keyspace.incrementalWork(budget: 100)
        #expect(fixture.keyspace.checkInvariants() == nil)
        // The timers of what was removed fire into nothing.
        #expect(fixture.turn(after: .milliseconds(2000)) == 1)
        #expect(fixture.keyspace.expiredKeys == 1)
        fixture.finishWork()
        #expect(fixture.keyspace.usedMemory == Table.smallest * 8)
        #expect(fixture.keyspace.nextDeadline == nil)
    }

    @Test func databasesAreSeparate() {
        let fixture = Fixture(databases: 3)
        let (zero, two) = (fixture.keyspace.database(0), fixture.keyspace.database(2))
        bytes("k") { key in
            bytes("zero") { _ = zero.set(key, $0, now: 0) }
            bytes("two") { _ = two.set(key, $0, now: 0) }
            #expect(zero.find(key, now: 0)?.value.string == "zero")
            zero.removeAll()
            #expect(zero.find(key, now: 0) == nil)
            #expect(two.find(key, now: 0)?.value.string == "two")
        }
        #expect(fixture.keyspace.databaseCount == 3)
        #expect(fixture.keyspace.checkInvariants() == nil)
    }
}
