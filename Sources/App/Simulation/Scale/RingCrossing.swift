import CLinux
import Glibc
import Runtime

/// How long a message takes from one busy pinned shard to another: half of a round trip of requests and replies through the
/// rings of a mesh, written and published as `Outbound` does it and taken as `Inbound` does it, by two threads that do
/// nothing else. In a batch all messages are published together and the round trip ends with the last reply.
public struct RingCrossing {
    /// Nanoseconds.
    public struct Report: Sendable {
        public var median: Double
        public var p99: Double
    }

    /// - Parameters:
    ///   - batch: messages in each round trip, at most `Mesh.requestCredits`.
    ///   - cores: of the two threads.
    public static func measure(batch: Int, rounds: Int, cores: [Int32]) -> Report {
        let mesh = Mesh(shardCount: 2)
        defer { mesh.deallocate() }
        let times = UnsafeMutablePointer<Int64>.allocate(capacity: rounds)
        defer { times.deallocate() }
        let asking = RingSeat(mesh: mesh, id: 0, batch: batch, rounds: rounds, times: times)
        let answering = RingSeat(mesh: mesh, id: 1, batch: batch, rounds: rounds, times: times)
        let threads = [
            PinnedThread(name: "apus-ring-0", core: cores[0]) { asking.ask() },
            PinnedThread(name: "apus-ring-1", core: cores[1]) { answering.answer() },
        ]
        for thread in threads { thread.start() }
        for thread in threads { thread.join() }
        // Half of them are warm-up.
        let sorted = UnsafeBufferPointer(start: times + rounds / 2, count: rounds - rounds / 2).sorted()
        return Report(
            median: Double(sorted[sorted.count / 2]) / 2, p99: Double(sorted[sorted.count * 99 / 100]) / 2)
    }
}

/// One of the two threads.
private struct RingSeat: @unchecked Sendable {
    let mesh: Mesh
    let id: Int
    let batch: Int
    let rounds: Int
    /// A round trip each, written by the asking thread.
    let times: UnsafeMutablePointer<Int64>

    func ask() {
        let (outbound, ring) = (Outbound(mesh: mesh, id: id), mesh.ring(from: 1, to: 0))
        defer { outbound.deallocate() }
        let clock = SystemClock()
        // The messages' memory is not looked at.
        let block = UnsafeMutablePointer<RemoteRequest>.allocate(capacity: 1)
        defer { block.deallocate() }
        for round in 0..<rounds {
            let start = clock.monotonic
            for _ in 0..<batch { outbound.send(block, replyOffset: 0, to: 1) }
            outbound.publish()
            var missing = batch
            while missing > 0 {
                let count = ring.available
                if count == 0 {
                    apus_cpu_relax()
                    continue
                }
                for index in 0..<count where ring[index].kind == .reply { outbound.credit(from: 1) }
                ring.removeFirst(count)
                ring.release()
                missing -= count
            }
            times[round] = clock.monotonic - start
        }
    }

    func answer() {
        let (outbound, ring) = (Outbound(mesh: mesh, id: id), mesh.ring(from: 0, to: 1))
        defer { outbound.deallocate() }
        var missing = batch * rounds
        while missing > 0 {
            let count = ring.available
            if count == 0 {
                apus_cpu_relax()
                continue
            }
            for index in 0..<count {
                outbound.sendBack(
                    ring[index].block.assumingMemoryBound(to: RemoteRequest.self), replyOffset: 0, to: 0)
            }
            ring.removeFirst(count)
            ring.release()
            outbound.publish()
            missing -= count
        }
    }
}
