import Runtime
import Testing

@testable import Store

@Suite struct ExpiryTests {
    /// Only the wheel, no access: gone within 10 ms after the deadline, in a loop that sleeps as `nextDeadline` says.
    @Test(arguments: 1...20) func exactToTenMilliseconds(seed: Int) {
        let fixture = Fixture()
        var entropy = Entropy(seed: UInt64(seed))
        var deadlines: [Int64] = []
        let spans = [10, 100, 5000, 100_000, 10_000_000]
        for number in 0..<300 {
            let deadline = fixture.now + Int64(entropy.next(below: spans[number % spans.count]))
            deadlines.append(deadline)
            fixture.set("key:\(number)", "v", expireAt: deadline)
        }
        deadlines.sort()
        var turns = 0
        while let next = fixture.keyspace.nextDeadline {
            fixture.clock.advance(to: max(next, fixture.clock.monotonic + 1))
            fixture.turn()
            turns += 1
            let surelyGone = deadlines.filter { $0 + 10 <= fixture.now }.count
            let surelyThere = deadlines.filter { $0 > fixture.now }.count
            #expect(fixture.database.count <= 300 - surelyGone)
            #expect(fixture.database.count >= surelyThere)
        }
        #expect(fixture.database.count == 0)
        #expect(fixture.keyspace.expiredKeys == 300)
        // No scanning: a few turns for each key (a timer moves down at most six levels).
        #expect(turns < 300 * 7)
    }

    @Test func aMillisecondEarlyIsThere() {
        let fixture = Fixture()
        fixture.set("k", "v", expireAt: fixture.now + 100)
        fixture.turn(after: .milliseconds(99))
        #expect(fixture.get("k") == "v")
        #expect(fixture.database.count == 1)
        fixture.clock.advance(by: .milliseconds(1))
        #expect(fixture.get("k") == nil)
        #expect(fixture.database.count == 0)
        #expect(fixture.keyspace.expiredKeys == 1)
        #expect(fixture.turn(after: .seconds(1)) == 0)
    }

    @Test func removeOfAnExpiredKeyFindsNothing() {
        let fixture = Fixture()
        fixture.set("k", "v", expireAt: fixture.now + 5)
        fixture.clock.advance(by: .milliseconds(5))
        #expect(!fixture.remove("k"))
        #expect(fixture.database.count == 0)
    }

    @Test func budgetBoundsATurn() {
        let fixture = Fixture()
        for number in 0..<100 { fixture.set("key:\(number)", "v", expireAt: fixture.now + 10) }
        #expect(fixture.turn(after: .milliseconds(20), budget: 30) == 30)
        #expect(fixture.database.count == 70)
        // What is left is due: the loop must not sleep.
        #expect(fixture.keyspace.nextDeadline! <= fixture.clock.monotonic)
        #expect(fixture.turn(budget: 100) == 70)
        #expect(fixture.keyspace.nextDeadline == nil)
    }

    @Test func overwritingDropsAndKeepingKeeps() {
        let fixture = Fixture()
        let deadline = fixture.now + 1000
        #expect(fixture.set("k", "v", expireAt: deadline).expireAt == deadline)
        let kept = bytes("k") { key in
            bytes("other") { fixture.database.setKeepingExpiry(key, $0, now: fixture.now) }
        }
        #expect(kept.expireAt == deadline)
        #expect(fixture.database.expiresCount == 1)
        #expect(fixture.set("k", "w").expireAt == -1)
        #expect(fixture.database.expiresCount == 0)
        fixture.turn(after: .seconds(5))
        #expect(fixture.get("k") == "w")
        #expect(fixture.keyspace.checkInvariants() == nil)
    }

    @Test func keepingAnExpiredKeysExpiryIsANewKey() {
        let fixture = Fixture()
        fixture.set("k", "v", expireAt: fixture.now + 10)
        fixture.clock.advance(by: .milliseconds(10))
        let entry = bytes("k") { key in
            bytes("w") { fixture.database.setKeepingExpiry(key, $0, now: fixture.now) }
        }
        #expect(entry.expireAt == -1)
        #expect(fixture.get("k") == "w")
    }

    /// Deadlines move forward and backward, go and come, while the entry's memory moves too.
    @Test func changingDeadlines() {
        let fixture = Fixture()
        let start = fixture.now
        var entry = fixture.set("k", "v")
        entry = fixture.database.setExpiry(entry, at: start + 1000)
        entry = fixture.database.setExpiry(entry, at: start + 50)
        #expect(entry.expireAt == start + 50)
        #expect(fixture.database.clearExpiry(entry))
        #expect(!fixture.database.clearExpiry(entry))
        fixture.turn(after: .milliseconds(100))
        #expect(fixture.get("k") == "v")
        entry = fixture.database.setExpiry(entry, at: start + 300)
        let (grown, _) = bytes("k") { fixture.database.resize($0, to: 5000, now: fixture.now) }
        #expect(grown.expireAt == start + 300)
        #expect(fixture.keyspace.checkInvariants() == nil)
        #expect(fixture.turn(after: .milliseconds(195)) == 0)
        #expect(fixture.turn(after: .milliseconds(15)) == 1)
        #expect(fixture.keyspace.usedMemory == Table.smallest * 8)
    }

    @Test(arguments: [Int64.max, Int64.max - 1, 1 << 60, 0, 1]) func extremeDeadlines(deadline: Int64) {
        let fixture = Fixture()
        fixture.set("k", "v", expireAt: deadline)
        let past = deadline <= fixture.now
        #expect(fixture.turn(after: .seconds(3600)) == (past ? 1 : 0))
        #expect(fixture.get("k") == (past ? nil : "v"))
        #expect(fixture.keyspace.checkInvariants() == nil)
    }

    /// The wall clock is set back: the timer fires in vain, is scheduled anew, and the key lives until its deadline.
    @Test func wallClockSetBack() {
        let fixture = Fixture()
        let deadline = fixture.now + 1000
        fixture.set("k", "v", expireAt: deadline)
        let monotonic = fixture.clock.monotonic
        func turn(_ unix: Int64, _ span: Int64) -> Int {
            fixture.keyspace.expireDue(
                unixMilliseconds: unix, monotonic: monotonic + .milliseconds(span), budget: 10)
        }
        #expect(turn(deadline - 3_600_000, 1002) == 0)
        #expect(fixture.database.count == 1)
        let next = fixture.keyspace.nextDeadline!
        #expect(next > monotonic + .milliseconds(1002))
        #expect(turn(deadline - 1, 1001 + 3_600_000) == 0)
        #expect(turn(deadline + 2, 1004 + 3_600_000) == 1)
    }

    /// The wall clock is set forward: the key is expired at the next access.
    @Test func wallClockSetForward() {
        let fixture = Fixture()
        let deadline = fixture.now + 3_600_000
        fixture.set("k", "v", expireAt: deadline)
        let found = bytes("k") { fixture.database.find($0, now: deadline + 5) == nil }
        #expect(found)
        #expect(fixture.keyspace.checkInvariants() == nil)
    }
}
