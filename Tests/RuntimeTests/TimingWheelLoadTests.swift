import Testing

@testable import Runtime

/// Very many timers of one slot: no call moves more than its share, and none is lost, early or twice.
@Suite struct TimingWheelLoadTests {
    private static let tick = TimingWheel.tick

    /// All within one slot of the third level, far from now.
    @Test func oneCallMovesABoundedNumber() {
        let count = 20_000
        let nodes = UnsafeMutablePointer<TimerNode>.allocate(capacity: count)
        defer { nodes.deallocate() }
        var wheel = TimingWheel(now: 0)
        let base = 300 * 64 * 64 * Self.tick
        for index in 0..<count {
            nodes[index] = TimerNode(context: UInt64(index))
            wheel.schedule(nodes + index, at: base + Nanoseconds(index % 4_000) * Self.tick)
        }
        var now = base
        var fired = [Nanoseconds](repeating: -1, count: count)
        var calls = 0
        while wheel.count > 0 {
            let budget = 256
            var popped = 0
            while popped < budget, let node = wheel.popExpired(now: now) {
                popped += 1
                let index = Int(node.pointee.context)
                #expect(fired[index] < 0)
                #expect(node.pointee.deadline <= now)
                fired[index] = now
            }
            calls += 1
            // A loop that would sleep goes on only when there is nothing to do now.
            if wheel.isQuiet(now: now) {
                now += Self.tick
            } else {
                #expect(wheel.nextDeadline! <= now)
            }
            guard calls < 100_000 else { break }
        }
        #expect(wheel.count == 0)
        #expect(fired.allSatisfy { $0 >= 0 })
        // Time did not go on while timers were moved, so none is late by more than a tick.
        #expect((0..<count).allSatisfy { fired[$0] - (base + Nanoseconds($0 % 4_000) * Self.tick) <= Self.tick })
        // The first call cannot have moved them all.
        #expect(calls > count / TimingWheel.movesPerCall)
    }

    /// Timers that wait to be moved can be cancelled and scheduled anew.
    @Test func whatWaitsToBeMovedCanBeCancelled() {
        let count = 4_000
        let nodes = UnsafeMutablePointer<TimerNode>.allocate(capacity: count)
        defer { nodes.deallocate() }
        var wheel = TimingWheel(now: 0)
        let base = 100 * 64 * Self.tick
        for index in 0..<count {
            nodes[index] = TimerNode(context: UInt64(index))
            // The last of its slot.
            wheel.schedule(nodes + index, at: base + 63 * Self.tick)
        }
        let end = base + 63 * Self.tick
        #expect(wheel.popExpired(now: end) == nil)
        let isQuiet = wheel.isQuiet(now: end)
        #expect(!isQuiet)
        for index in stride(from: 0, to: count, by: 2) { wheel.cancel(nodes + index) }
        for index in stride(from: 1, to: count, by: 4) { wheel.schedule(nodes + index, at: end + 7 * Self.tick) }
        #expect(wheel.count == count / 2)
        var fired = 0
        for _ in 0..<100 { while wheel.popExpired(now: end) != nil { fired += 1 } }
        #expect(fired == count / 4)
        for _ in 0..<100 { while wheel.popExpired(now: end + 7 * Self.tick) != nil { fired += 1 } }
        #expect(fired == count / 2)
        #expect(wheel.count == 0 && wheel.nextDeadline == nil)
    }
}
