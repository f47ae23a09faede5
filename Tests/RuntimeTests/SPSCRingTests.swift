import Glibc
import Synchronization
import Testing

@testable import Runtime

@Suite struct SPSCRingTests {
    /// The 32-bit indices wrap in the middle of the test.
    static let starts: [UInt32] = [0, .max, .max - 2, 1 << 31]

    @Test(arguments: starts) func fullAndEmpty(start: UInt32) {
        let ring = SPSCRing<Int>(capacity: 4, startIndex: start)
        defer { ring.deallocate() }
        #expect(ring.capacity == 4)
        for lap in 0..<5 {
            #expect(ring.pop() == nil && !ring.hasElements)
            #expect(ring.producerRoom() == 4)
            for element in 0..<4 { #expect(ring.push(lap * 10 + element)) }
            #expect(!ring.push(99))
            #expect(ring.producerRoom() == 0)
            // Nothing is seen before it is published.
            #expect(ring.front() == nil && !ring.hasElements)
            #expect(ring.publish())
            #expect(!ring.publish())
            #expect(ring.hasElements)
            for element in 0..<4 {
                #expect(ring.front()?.pointee == lap * 10 + element)
                #expect(ring.pop() == lap * 10 + element)
            }
            #expect(ring.pop() == nil)
            // Nothing is free before it is released.
            #expect(!ring.push(99))
            ring.release()
        }
    }

    @Test func batches() {
        let ring = SPSCRing<Int>(capacity: 8, startIndex: .max - 20)
        defer { ring.deallocate() }
        var entropy = Entropy(seed: 3)
        var produced = 0
        var published = 0
        var consumed = 0
        var released = 0
        for _ in 0..<5000 {
            switch entropy.next(below: 4) {
            case 0:
                #expect(ring.push(produced) == (produced - released < 8))
                if produced - released < 8 { produced += 1 }
            case 1:
                #expect(ring.publish() == (produced > published))
                published = produced
            case 2:
                #expect(ring.pop() == (consumed < published ? consumed : nil))
                if consumed < published { consumed += 1 }
            default:
                ring.release()
                released = consumed
                #expect(ring.producerRoom() == 8 - (produced - released))
            }
        }
        #expect(consumed > 500)
    }

    /// Two threads, batches of all sizes, an index that wraps: everything arrives once and in order.
    @Test(arguments: [1, 64]) func twoThreads(capacity: Int) {
        let ring = SPSCRing<UInt64>(capacity: capacity, startIndex: .max - 1000)
        defer { ring.deallocate() }
        let elements: UInt64 = capacity == 1 ? 20_000 : 400_000
        let wrong = WrongCount()
        let consumer = PinnedThread(name: "consumer", core: nil) {
            var entropy = Entropy(seed: 1)
            var next: UInt64 = 0
            while next < elements {
                var batch = 1 + entropy.next(below: 100)
                while batch > 0, let element = ring.pop() {
                    if element != next { wrong.count.add(1, ordering: .relaxed) }
                    next += 1
                    batch -= 1
                }
                ring.release()
                if !ring.hasElements { sched_yield() }
            }
        }
        consumer.start()
        var entropy = Entropy(seed: 2)
        var next: UInt64 = 0
        while next < elements {
            var batch = min(1 + entropy.next(below: 100), Int(elements - next))
            while batch > 0, let slot = ring.reserve() {
                slot.pointee = next
                ring.commit()
                next += 1
                batch -= 1
            }
            ring.publish()
            if batch > 0 { sched_yield() }
        }
        consumer.join()
        #expect(wrong.count.load(ordering: .relaxed) == 0)
        #expect(!ring.hasElements)
    }

    @Test(arguments: starts) func aBatchIsTakenWhereItLies(start: UInt32) {
        let ring = SPSCRing<Int>(capacity: 8, startIndex: start)
        defer { ring.deallocate() }
        for lap in 0..<6 {
            #expect(ring.available == 0)
            for element in 0..<5 { #expect(ring.push(lap * 10 + element)) }
            #expect(ring.available == 0)
            ring.publish()
            #expect(ring.available == 5)
            for element in 0..<5 { #expect(ring[element] == lap * 10 + element) }
            ring.removeFirst(2)
            #expect(ring.available == 3 && ring[0] == lap * 10 + 2)
            ring.removeFirst(3)
            ring.release()
            #expect(ring.producerRoom() == 8 && !ring.hasElements)
        }
    }

    private final class WrongCount: Sendable {
        let count = Atomic<Int>(0)
    }
}
