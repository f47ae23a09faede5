import Runtime
import Testing

@testable import Store

@Suite struct RecentWritesTests {
    private func with(_ key: String, _ body: (ByteView) -> Void) {
        Array(key.utf8).withUnsafeBytes { bytes in
            var nothing: UInt8 = 0
            withUnsafeBytes(of: &nothing) { none in
                body(ByteView(bytes.baseAddress ?? none.baseAddress!, bytes.count))
            }
        }
    }

    /// Against the sequence of all writes: what was written after a position is never denied, and of keys that were not most
    /// are not suspected.
    @Test func noChangeIsMissed() {
        let writes = RecentWrites()
        defer { writes.deallocate() }
        var entropy = Entropy(seed: 1)
        let names = (0..<500).map { number in
            String(repeating: "k", count: number % 13) + (number > 13 ? "\(number)" : "")
        }
        var history: [(position: UInt32, name: String)] = []
        var suspicions = 0
        for _ in 0..<20_000 {
            let name = names[entropy.next(below: names.count)]
            if entropy.next(below: 2) == 0 {
                with(name) { writes.note($0) }
                history.append((writes.position, name))
            } else {
                let recent = history.suffix(entropy.next(below: 20))
                let position = recent.first.map { $0.position &- 1 } ?? writes.position
                let isChanged = recent.contains { $0.name == name }
                with(name) { key in
                    let says = writes.mayHaveChanged(key, since: position)
                    #expect(says || !isChanged, "\(name) was written after \(position)")
                    if says && !isChanged { suspicions += 1 }
                }
            }
        }
        #expect(suspicions < 500, "\(suspicions) of 10,000 looks were in vain")
    }

    @Test func allAtOnce() {
        let writes = RecentWrites()
        defer { writes.deallocate() }
        let position = writes.position
        with("a") { #expect(!writes.mayHaveChanged($0, since: position)) }
        writes.noteAll()
        for name in ["", "a", "abcd", "abcdefgh", "a longer key"] {
            with(name) { key in
                #expect(writes.mayHaveChanged(key, since: position))
                #expect(!writes.mayHaveChanged(key, since: writes.position))
            }
        }
    }

    /// A key that expires is noted by whoever finds it: a look, or the wheel.
    @Test(arguments: [true, false]) func whatExpires(byLook: Bool) {
        let keyspace = Keyspace(databases: 1, hashKey: (1, 2), monotonic: 0, unix: 1000)
        defer { keyspace.deallocate() }
        let database = keyspace.database(0)
        let writes = keyspace.recentWrites
        with("key") { key in
            database.set(key, key, expireAt: 1500, now: 1000)
            let position = writes.position
            _ = database.find(key, now: 1499)
            #expect(!writes.mayHaveChanged(key, since: position))
            if byLook {
                _ = database.find(key, now: 1500)
            } else {
                keyspace.expireDue(unixMilliseconds: 1510, monotonic: .milliseconds(510), budget: 10)
            }
            #expect(writes.mayHaveChanged(key, since: position))
        }
    }
}
