import Runtime

@testable import Store

/// A keyspace with a manual clock, speaking arrays and strings.
final class Fixture {
    let clock = ManualClock()
    let keyspace: Keyspace

    /// `distinctBits`: at most 2^bits different hashes, for collisions.
    init(databases: Int = 1, secret: (UInt64, UInt64) = (1, 2), distinctBits: Int? = nil) {
        let keyHash =
            distinctBits.map { KeyHash(secret: secret, distinctBits: $0) } ?? KeyHash(secret: secret)
        keyspace = Keyspace(
            databases: databases, keyHash: keyHash, monotonic: clock.monotonic, unix: clock.unixMilliseconds)
    }

    deinit { keyspace.deallocate() }

    var now: Int64 { clock.unixMilliseconds }
    var database: Database { keyspace.database(0) }

    func get(_ key: String) -> String? { bytes(key) { database.find($0, now: now)?.value.string } }

    @discardableResult
    func set(_ key: String, _ value: String, expireAt: Int64 = -1) -> Entry {
        bytes(key) { key in bytes(value) { database.set(key, $0, expireAt: expireAt, now: now) } }
    }

    func remove(_ key: String) -> Bool { bytes(key) { database.remove($0, now: now) } }

    /// One turn of a poll loop, after `span`.
    @discardableResult
    func turn(after span: Nanoseconds = 0, budget: Int = .max) -> Int {
        clock.advance(by: span)
        return keyspace.expireDue(
            unixMilliseconds: clock.unixMilliseconds, monotonic: clock.monotonic, budget: budget)
    }

    func finishWork() { while keyspace.incrementalWork(budget: 1000) {} }
}

func bytes<R>(_ string: String, _ body: (ByteView) -> R) -> R { bytes(Array(string.utf8), body) }

func bytes<R>(_ array: [UInt8], _ body: (ByteView) -> R) -> R {
    array.withUnsafeBytes { raw in
        // An empty array has no address; a view always has one.
        withUnsafeBytes(of: 0) { body(ByteView(raw.baseAddress ?? $0.baseAddress!, raw.count)) }
    }
}
