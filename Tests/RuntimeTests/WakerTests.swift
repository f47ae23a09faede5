import Glibc
import Synchronization
import Testing

@testable import Runtime

@Suite struct WakerTests {
    private func isReadable(_ waker: Waker, timeout: Int32 = 0) -> Bool {
        var entry = pollfd(fd: waker.descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, timeout) == 1
    }

    @Test func onlyASleeperIsWoken() {
        let waker = Waker()
        defer { waker.deallocate() }
        waker.wake()
        #expect(!isReadable(waker))
        waker.announceSleep()
        #expect(!isReadable(waker))
        waker.wake()
        #expect(isReadable(waker))
        waker.wake()
        waker.awake()
        #expect(!isReadable(waker))
        waker.wake()
        #expect(!isReadable(waker))
    }

    @Test func aSleepThatNobodyEnded() {
        let waker = Waker()
        defer { waker.deallocate() }
        for _ in 0..<3 {
            waker.announceSleep()
            waker.awake()
            #expect(!isReadable(waker))
        }
    }

    /// The waker took the announcement, but its write comes after the sleeper went on: the next sleep ends early once,
    /// and only once. Left unread, the eventfd would end every later sleep at once.
    @Test func aLateWriteDoesNotStay() {
        let waker = Waker()
        defer { waker.deallocate() }
        waker.announceSleep()
        waker.sleeping.pointee = 0  // the waker's exchange
        waker.awake()
        var one: UInt64 = 1
        #expect(write(waker.descriptor, &one, 8) == 8)
        waker.announceSleep()
        #expect(isReadable(waker))
        waker.awake()
        waker.announceSleep()
        #expect(!isReadable(waker))
        waker.awake()
        // Nor is one written for a later sleep eaten.
        waker.announceSleep()
        waker.wake()
        #expect(isReadable(waker))
        waker.awake()
        #expect(!isReadable(waker))
    }

    @Test func awakeWithoutSleeping() {
        let waker = Waker()
        defer { waker.deallocate() }
        waker.awake()
        waker.announceSleep()
        waker.wake()
        waker.awake()
        #expect(!isReadable(waker))
    }

    /// A producer that waits for each element to be taken, and a consumer that sleeps whenever it finds nothing. With the
    /// sleeper's fence for both, and with a fence each.
    @Test(arguments: [true, false]) func noWakeUpIsLost(usesMembarrier: Bool) {
        let waker = Waker(usesMembarrier: usesMembarrier)
        let ring = SPSCRing<UInt64>(capacity: 8)
        defer {
            waker.deallocate()
            ring.deallocate()
        }
        let elements: UInt64 = 20_000
        let counters = Counters()
        let consumer = PinnedThread(name: "consumer", core: nil) {
            var next: UInt64 = 0
            while next < elements, counters.lost.load(ordering: .relaxed) == 0 {
                while let element = ring.pop() {
                    if element != next { counters.lost.store(1, ordering: .relaxed) }
                    next += 1
                }
                ring.release()
                counters.taken.store(next, ordering: .releasing)
                if next == elements { break }
                waker.announceSleep()
                if !ring.hasElements {
                    var entry = pollfd(fd: waker.descriptor, events: Int16(POLLIN), revents: 0)
                    if poll(&entry, 1, 10_000) == 0 { counters.lost.store(2, ordering: .relaxed) }
                }
                waker.awake()
            }
        }
        let producer = PinnedThread(name: "producer", core: nil) {
            var entropy = Entropy(seed: 5)
            for element in 0..<elements {
                while !ring.push(element) { sched_yield() }
                ring.publish()
                waker.wake()
                if entropy.chance(0.8) {
                    while counters.taken.load(ordering: .acquiring) <= element,
                        counters.lost.load(ordering: .relaxed) == 0
                    { sched_yield() }
                    // Sometimes the consumer is asleep by then, sometimes just about to be.
                    for _ in 0..<entropy.next(below: 200) { _ = ring.producerRoom() }
                }
            }
        }
        consumer.start()
        producer.start()
        producer.join()
        consumer.join()
        #expect(counters.lost.load(ordering: .relaxed) == 0)
        #expect(counters.taken.load(ordering: .relaxed) == elements)
        #expect(!isReadable(waker))
    }

    private final class Counters: Sendable {
        let taken = Atomic<UInt64>(0)
        let lost = Atomic<Int>(0)
    }
}
