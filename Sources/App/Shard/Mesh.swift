import CLinux
import Runtime

/// The rings between all shards: one for each ordered pair, so each has exactly one producer and one consumer.
///
/// No shard ever waits for room in a ring. A shard has at most `requestCredits` requests unanswered at each other
/// shard; whoever finds no credit pauses the session, which closes its receive window in the end. So a ring holds at
/// most `requestCredits` requests, `requestCredits` replies (to as many requests of the other side), `frameCredits`
/// frames going back to their origin (which lends no more than that), and frames that are lent, which use what is left
/// and are dropped (and counted) beyond it. Room for requests, replies and returning frames can therefore not run out,
/// and with nobody waiting there is no deadlock.
struct Mesh: @unchecked Sendable {
    static let requestCredits = 256
    static let frameCredits = 512
    static let ringCapacity = 2048
    /// Room that a lent frame leaves to those that must not fail.
    static let reservedSlots = 2 * requestCredits + frameCredits

    let shardCount: Int
    /// Row-major: from * shardCount + to. The diagonal is not used.
    private let rings: UnsafeMutablePointer<SPSCRing<ShardMessage>>
    private let wakers: UnsafeMutablePointer<Waker>
    /// 1 once the server is to stop. Read by every shard each turn.
    private let stopFlag: UnsafeMutablePointer<UInt32>
    /// Clients of all shards, for maxclients; shards that have started. Changed by fetch-and-add, far from the flag.
    private let counters: UnsafeMutablePointer<UInt64>

    init(shardCount: Int) {
        precondition(Self.reservedSlots + Self.frameCredits <= Self.ringCapacity, "replies could find a full ring")
        self.shardCount = shardCount
        rings = .allocate(capacity: shardCount * shardCount)
        for index in 0..<(shardCount * shardCount) {
            (rings + index).initialize(to: SPSCRing(capacity: Self.ringCapacity))
        }
        wakers = .allocate(capacity: shardCount)
        for index in 0..<shardCount { (wakers + index).initialize(to: Waker()) }
        stopFlag = UnsafeMutableRawPointer.allocate(byteCount: 128, alignment: 128).bindMemory(
            to: UInt32.self, capacity: 32)
        stopFlag.initialize(repeating: 0, count: 32)
        counters = UnsafeMutableRawPointer.allocate(byteCount: 128, alignment: 128).bindMemory(
            to: UInt64.self, capacity: 16)
        counters.initialize(repeating: 0, count: 16)
    }

    /// After all shards have ended.
    func deallocate() {
        for index in 0..<(shardCount * shardCount) { rings[index].deallocate() }
        for index in 0..<shardCount { wakers[index].deallocate() }
        rings.deallocate()
        wakers.deallocate()
        stopFlag.deallocate()
        counters.deallocate()
    }

    func ring(from: Int, to: Int) -> SPSCRing<ShardMessage> { rings[from &* shardCount &+ to] }
    func waker(of shard: Int) -> Waker { wakers[shard] }

    var isStopping: Bool { apus_load_relaxed_u32(stopFlag) != 0 }

    /// How many clients there are now, this one included.
    func clientOpened() -> Int { Int(apus_fetch_add_u64(counters, 1)) + 1 }
    var clients: Int { Int(apus_load_acquire_u64(counters)) }
    func clientClosed() { _ = apus_fetch_add_u64(counters, UInt64.max) }

    func shardStarted() { _ = apus_fetch_add_u64(counters + 8, 1) }
    var started: Int { Int(apus_load_acquire_u64(counters + 8)) }

    /// From any thread: every shard ends after its present turn.
    func stop() {
        apus_store_release_u32(stopFlag, 1)
        for index in 0..<shardCount { wakers[index].wake() }
    }
}
