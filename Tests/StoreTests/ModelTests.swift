import Runtime
import Testing

@testable import Store

/// The keyspace against a dictionary: random operations, virtual time, and the checker after them.
@Suite struct ModelTests {
    private struct Expected {
        var value: [UInt8]
        var expireAt: Int64
    }

    /// One random history; `keys` decides how often tables grow and shrink, `distinctBits` how much hashes collide.
    private final class History {
        let fixture: Fixture
        var entropy: Entropy
        let keys: Int
        var model: [[UInt8]: Expected] = [:]

        init(seed: UInt64, keys: Int, distinctBits: Int?) {
            fixture = Fixture(secret: (seed, 99), distinctBits: distinctBits)
            entropy = Entropy(seed: seed)
            self.keys = keys
        }

        func key() -> [UInt8] {
            let number = entropy.next(below: keys)
            // Lengths on both sides of every case in hash and comparison; one in a hundred is long.
            let count = number % 100 == 99 ? 600 + number % 3 : number % 40
            var key = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: count)
            withUnsafeBytes(of: number) { for (i, b) in $0.enumerated() where i < count { key[i] = b } }
            return key
        }

        func value() -> [UInt8] {
            let limit = Entry.embeddedLimit
            let counts = [
                0, 1, 7, 64, entropy.next(below: 200), limit - 1, limit, limit + 1, entropy.next(below: 5000),
            ]
            let count = counts[entropy.next(below: counts.count)]
            return [UInt8](repeating: UInt8(truncatingIfNeeded: entropy.next()), count: count)
        }

        func deadline() -> Int64 {
            entropy.chance(0.3) ? fixture.now + Int64(entropy.next(below: 2000)) : -1
        }

        func expected(_ key: [UInt8]) -> Expected? {
            guard let found = model[key] else { return nil }
            return found.expireAt >= 0 && found.expireAt <= fixture.now ? nil : found
        }

        func step() {
            let database = fixture.database
            let key = key()
            let now = fixture.now
            let before = expected(key)
            switch entropy.next(below: 20) {
            case 0..<6:
                let (value, deadline) = (value(), deadline())
                let entry = bytes(key) { key in
                    bytes(value) { database.set(key, $0, expireAt: deadline, now: now) }
                }
                #expect(entry.value.array == value && entry.key.array == key && entry.expireAt == deadline)
                model[key] = Expected(value: value, expireAt: deadline)
            case 6, 7:
                let value = value()
                bytes(key) { key in _ = bytes(value) { database.setKeepingExpiry(key, $0, now: now) } }
                model[key] = Expected(value: value, expireAt: before?.expireAt ?? -1)
            case 8..<12:
                #expect(bytes(key) { database.remove($0, now: now) } == (before != nil))
                model[key] = nil
            case 12, 13:
                resize(key, before)
            case 14:
                let (value, deadline) = (value(), deadline())
                var buffer = OwnedBuffer(capacity: value.count + entropy.next(below: 100))!
                buffer.base.copyMemory(from: value, byteCount: value.count)
                buffer.count = value.count
                bytes(key) { _ = database.adopt($0, buffer: buffer, expireAt: deadline, now: now) }
                model[key] = Expected(value: value, expireAt: deadline)
            case 15:
                guard let entry = bytes(key, { database.find($0, now: now) }) else { break }
                let deadline = now + 1 + Int64(entropy.next(below: 2000))
                #expect(database.setExpiry(entry, at: deadline).expireAt == deadline)
                model[key]?.expireAt = deadline
            case 16:
                guard let entry = bytes(key, { database.find($0, now: now) }) else { break }
                #expect(database.clearExpiry(entry) == (before!.expireAt >= 0))
                model[key]?.expireAt = -1
            case 17:
                fixture.turn(after: Nanoseconds(entropy.next(below: 50_000_000)), budget: entropy.next(below: 20))
            case 18 where entropy.chance(0.02):
                database.removeAll()
                model = [:]
                #expect(database.count == 0 && database.expiresCount == 0)
            default:
                fixture.keyspace.incrementalWork(budget: entropy.next(below: 30))
            }
            check(key)
        }

        private func resize(_ key: [UInt8], _ before: Expected?) {
            let count = value().count
            let (entry, memory) = bytes(key) { fixture.database.resize($0, to: count, now: fixture.now) }
            var value = Array((before?.value ?? []).prefix(count))
            value += [UInt8](repeating: 0, count: count - value.count)
            #expect(entry.value.array == value)
            if count > 0 {
                memory.storeBytes(of: 0xEE, toByteOffset: count - 1, as: UInt8.self)
                value[count - 1] = 0xEE
            }
            model[key] = Expected(value: value, expireAt: before?.expireAt ?? -1)
        }

        func check(_ key: [UInt8]) {
            let found = bytes(key) { fixture.database.find($0, now: fixture.now) }
            let wanted = expected(key)
            #expect(found?.value.array == wanted?.value)
            #expect(found?.expireAt == wanted?.expireAt)
        }

        func finish() {
            for key in model.keys { check(key) }
            model = model.filter { expected($0.key) != nil }
            #expect(fixture.database.count == model.count)
            #expect(fixture.database.expiresCount == model.values.filter { $0.expireAt >= 0 }.count)
            #expect(fixture.keyspace.checkInvariants() == nil)
        }
    }

    /// Few keys, and the checker after every step: all of backshift, saturation and timers in small.
    @Test(arguments: 1...40) func smallHistories(seed: Int) {
        let history = History(
            seed: UInt64(seed), keys: [5, 12, 30, 100][seed % 4], distinctBits: [nil, 0, 2, 4][seed / 4 % 4])
        for _ in 0..<600 {
            history.step()
            let wrong = history.fixture.keyspace.checkInvariants()
            #expect(wrong == nil, "seed \(seed)")
            if wrong != nil { return }
        }
        history.finish()
    }

    @Test(arguments: 1...10) func largeHistories(seed: Int) {
        let history = History(
            seed: UInt64(seed) + 1000, keys: [500, 20_000][seed % 2], distinctBits: seed % 5 == 4 ? 8 : nil)
        for _ in 0..<20_000 { history.step() }
        history.finish()
    }

    /// So many equal hashes that distances leave the 8 bits of a bucket.
    @Test(arguments: [0, 1]) func beyondTheDistanceField(bits: Int) {
        let fixture = Fixture(distinctBits: bits)
        var entropy = Entropy(seed: 7)
        let keys = (0..<700).map { "key:\($0)" }
        for (index, key) in keys.enumerated() {
            fixture.set(key, key)
            if index % 50 == 0 { #expect(fixture.keyspace.checkInvariants() == nil) }
        }
        #expect(fixture.keyspace.checkInvariants() == nil)
        for key in keys { #expect(fixture.get(key) == key) }
        #expect(fixture.get("absent") == nil)
        var left = keys
        while !left.isEmpty {
            let key = left.remove(at: entropy.next(below: left.count))
            #expect(fixture.remove(key))
            #expect(!fixture.remove(key))
            if left.count % 50 == 0 {
                #expect(fixture.keyspace.checkInvariants() == nil)
                for key in left { #expect(fixture.get(key) == key) }
            }
        }
    }
}
