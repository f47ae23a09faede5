import Testing

@testable import Runtime

/// The wheel against a list that is searched: never early, at most one tick late, nothing lost, order kept.
@Suite struct TimingWheelTests {
    private static let tick = TimingWheel.tick

    /// A wheel and its naive twin.
    private struct Pair: ~Copyable {
        var wheel: TimingWheel
        var now: Nanoseconds
        let nodes: UnsafeMutablePointer<TimerNode>
        let count: Int
        /// Deadline and instant of scheduling.
        var model: [Int: (deadline: Nanoseconds, scheduled: Nanoseconds)] = [:]

        init(count: Int, start: Nanoseconds) {
            wheel = TimingWheel(now: start)
            now = start
            self.count = count
            nodes = .allocate(capacity: count)
            for index in 0..<count { (nodes + index).initialize(to: TimerNode(context: UInt64(index))) }
        }

        deinit { nodes.deallocate() }

        mutating func schedule(_ index: Int, at deadline: Nanoseconds) {
            model[index] = (deadline, now)
            wheel.schedule(nodes + index, at: deadline)
            #expect(nodes[index].isScheduled && nodes[index].deadline == deadline)
        }

        mutating func cancel(_ index: Int) {
            wheel.cancel(nodes + index)
            model[index] = nil
            #expect(!nodes[index].isScheduled)
        }

        /// Advances and pops up to `budget` timers, checking each.
        mutating func advance(to instant: Nanoseconds, budget: Int = .max) {
            now = instant
            var popped = 0
            // Order is by firing tick; what was due already when it was scheduled comes in between.
            var lastTick: Int64 = .min
            while popped < budget, let node = wheel.popExpired(now: now) {
                popped += 1
                let index = Int(node.pointee.context)
                guard let expected = model.removeValue(forKey: index) else {
                    Issue.record("timer \(index) was not scheduled")
                    return
                }
                #expect(expected.deadline <= now, "early")
                #expect(!node.pointee.isScheduled)
                if expected.deadline > expected.scheduled {
                    let firing = (expected.deadline + tick - 1) / tick
                    #expect(firing >= lastTick, "out of order")
                    lastTick = firing
                }
            }
            if popped < budget {
                for (index, left) in model where left.deadline + tick <= now {
                    Issue.record("timer \(index) is late by \(now - left.deadline)")
                }
            }
            check()
        }

        func check() {
            #expect(wheel.count == model.count)
            guard let earliest = model.values.map(\.deadline).min() else {
                #expect(wheel.nextDeadline == nil)
                return
            }
            // The firing tick is the first boundary at or after the deadline, or now when that has passed.
            let firing = max((max(earliest, 0) + tick - 1) / tick * tick, now)
            #expect(wheel.nextDeadline! <= firing)
        }
    }

    @Test(arguments: 1...60) func randomHistories(seed: Int) {
        var entropy = Entropy(seed: UInt64(seed))
        var pair = Pair(count: 64, start: Nanoseconds(entropy.next(below: 1 << 50)))
        // Spans around every level's size: ticks 1, 64, 4096, ...
        let shifts = (0..<44).map { $0 }
        func span() -> Nanoseconds {
            Nanoseconds(entropy.next(below: 1 << (16 + shifts[entropy.next(below: seed % 3 == 0 ? 12 : 44)])))
        }
        for _ in 0..<2000 {
            let index = entropy.next(below: 64)
            switch entropy.next(below: 10) {
            case 0..<4: pair.schedule(index, at: pair.now + span())
            case 4: pair.schedule(index, at: max(0, pair.now - span()))
            case 5: pair.cancel(index)
            case 6: pair.advance(to: pair.now + span() / 1000, budget: 3)
            case 7: pair.advance(to: pair.now + Nanoseconds(entropy.next(below: 3_000_000)))
            case 8: pair.advance(to: pair.now + span() / 64)
            default:
                // As the poll loop does: sleep until the wheel says.
                if let next = pair.wheel.nextDeadline { pair.advance(to: max(next, pair.now)) }
            }
            if pair.now > 1 << 61 { break }
        }
        pair.advance(to: .max - TimingWheel.tick)
        while pair.wheel.count > 0 { pair.advance(to: .max - TimingWheel.tick) }
        #expect(pair.model.isEmpty)
    }

    @Test func orderIsByTickThenByScheduling() {
        var wheel = TimingWheel(now: 0)
        let nodes = UnsafeMutablePointer<TimerNode>.allocate(capacity: 6)
        defer { nodes.deallocate() }
        let ticks: [Int64] = [100, 5, 100, 70, 5, 5000]
        for index in 0..<6 {
            (nodes + index).initialize(to: TimerNode(context: UInt64(index)))
            wheel.schedule(nodes + index, at: ticks[index] * Self.tick)
        }
        var fired: [UInt64] = []
        while let node = wheel.popExpired(now: 6000 * Self.tick) { fired.append(node.pointee.context) }
        #expect(fired == [1, 4, 3, 0, 2, 5])
    }

    /// Each timer on its own, in every level and beside every border: exact to the tick.
    @Test(arguments: [0, 1, 63, 64, 4095, 123_456_789] as [Int64]) func everyBorder(startTick: Int64) {
        var spans: [Int64] = [0, 1, 2]
        for level in 1...7 {
            let size = Int64(1) << (6 * level)
            spans += [size - 1, size, size + 1, size * 2 - 1]
        }
        let node = UnsafeMutablePointer<TimerNode>.allocate(capacity: 1)
        defer { node.deallocate() }
        for span in spans where startTick + span < 1 << 42 {
            for offset in [0, 1, Self.tick - 1] {
                var wheel = TimingWheel(now: startTick * Self.tick)
                node.initialize(to: TimerNode())
                let deadline = (startTick + span) * Self.tick + offset
                wheel.schedule(node, at: deadline)
                let firing = (deadline + Self.tick - 1) / Self.tick * Self.tick
                // Sleeping by `nextDeadline` gets there in at most a step for each level.
                var steps = 0
                var now = startTick * Self.tick
                var fired = wheel.popExpired(now: now) != nil
                while !fired, steps < 20 {
                    now = max(wheel.nextDeadline!, now)
                    #expect(now <= firing)
                    fired = wheel.popExpired(now: now) != nil
                    steps += 1
                }
                #expect(fired && now == max(firing, startTick * Self.tick) && steps <= 8)
            }
        }
    }

    @Test func cancelWhileDue() {
        var wheel = TimingWheel(now: 0)
        let nodes = UnsafeMutablePointer<TimerNode>.allocate(capacity: 3)
        defer { nodes.deallocate() }
        for index in 0..<3 {
            (nodes + index).initialize(to: TimerNode(context: UInt64(index)))
            wheel.schedule(nodes + index, at: Self.tick)
        }
        #expect(wheel.popExpired(now: 2 * Self.tick) == nodes)
        wheel.cancel(nodes + 1)
        wheel.cancel(nodes + 1)
        #expect(wheel.popExpired(now: 2 * Self.tick) == nodes + 2)
        #expect(wheel.popExpired(now: 2 * Self.tick) == nil)
        #expect(wheel.count == 0 && wheel.nextDeadline == nil)
    }

    /// Moving a scheduled timer counts once.
    @Test func rescheduleMoves() {
        var wheel = TimingWheel(now: 0)
        let node = UnsafeMutablePointer<TimerNode>.allocate(capacity: 1)
        defer { node.deallocate() }
        node.initialize(to: TimerNode())
        wheel.schedule(node, at: .seconds(1))
        wheel.schedule(node, at: .seconds(3600))
        #expect(wheel.count == 1)
        #expect(wheel.popExpired(now: .seconds(2)) == nil)
        wheel.schedule(node, at: .seconds(3))
        #expect(wheel.popExpired(now: .seconds(4)) == node)
    }

    /// "Never" as a deadline does not wrap into the past.
    @Test(arguments: [Int64.max, Int64.max - 1, 1 << 62]) func farthestDeadlines(deadline: Nanoseconds) {
        var wheel = TimingWheel(now: .seconds(5))
        let node = UnsafeMutablePointer<TimerNode>.allocate(capacity: 1)
        defer { node.deallocate() }
        node.initialize(to: TimerNode())
        wheel.schedule(node, at: deadline)
        for hours in [1, 10_000, 1_000_000] as [Int64] { #expect(wheel.popExpired(now: .seconds(3600 * hours)) == nil) }
        #expect(wheel.nextDeadline! > .seconds(3_600_000_000))
    }

    /// A clock that stands still or a reading older than the last one does no harm.
    @Test func olderReadings() {
        var wheel = TimingWheel(now: .seconds(10))
        let node = UnsafeMutablePointer<TimerNode>.allocate(capacity: 1)
        defer { node.deallocate() }
        node.initialize(to: TimerNode())
        wheel.schedule(node, at: .seconds(11))
        #expect(wheel.popExpired(now: .seconds(5)) == nil)
        #expect(wheel.popExpired(now: .seconds(10)) == nil)
        #expect(wheel.popExpired(now: .seconds(12)) == node)
    }
}
