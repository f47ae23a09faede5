import Synchronization
import Testing

@testable import Runtime

@Suite(.serialized) struct RCUTests {
    private final class Value: Sendable {
        let number: Int
        let copy: Int
        let ended: Ended
        init(_ number: Int, _ ended: Ended) {
            (self.number, copy, self.ended) = (number, number, ended)
        }
        deinit { ended.count.add(1, ordering: .relaxed) }
    }

    private final class Ended: Sendable {
        let count = Atomic<Int>(0)
        let wrong = Atomic<Int>(0)
        let stop = Atomic<Bool>(false)
    }

    @Test func publishFreesTheOldValue() {
        let ended = Ended()
        do {
            let published = RCUPublished(Value(0, ended))
            for number in 1...10 {
                published.publish(Value(number, ended))
                #expect(published.current.number == number)
                #expect(ended.count.load(ordering: .relaxed) == number)
            }
        }
        #expect(ended.count.load(ordering: .relaxed) == 11)
    }

    /// Readers never see a half-made value or one older than before; every value ends.
    @Test func readersInThreads() {
        let ended = Ended()
        let values = 500
        do {
            let published = RCUPublished(Value(0, ended))
            let readers = (0..<2).map { reader in
                PinnedThread(name: "reader", core: nil) {
                    RCUThread.register()
                    var last = 0
                    var turns = 0
                    while !ended.stop.load(ordering: .relaxed) {
                        for _ in 0..<20 {
                            let value = published.current
                            if value.number != value.copy || value.number < last {
                                ended.wrong.add(1, ordering: .relaxed)
                            }
                            last = value.number
                        }
                        RCUThread.quiescent()
                        turns += 1
                        if turns % 10 == reader {
                            RCUThread.offline()
                            RCUThread.online()
                        }
                    }
                    RCUThread.unregister()
                }
            }
            for reader in readers { reader.start() }
            for number in 1...values { published.publish(Value(number, ended)) }
            ended.stop.store(true, ordering: .relaxed)
            for reader in readers { reader.join() }
            #expect(published.current.number == values)
        }
        #expect(ended.wrong.load(ordering: .relaxed) == 0)
        #expect(ended.count.load(ordering: .relaxed) == values + 1)
    }

    /// A thread that sleeps offline does not hold an updater up, nor does the updater hold itself up as a reader.
    @Test func offlineReadersDoNotBlock() {
        let ended = Ended()
        let published = RCUPublished(Value(0, ended))
        let updater = PinnedThread(name: "updater", core: nil) {
            RCUThread.register()
            let before = published.current.number
            published.publish(Value(before + 1, ended))
            RCUThread.unregister()
        }
        let sleeper = PinnedThread(name: "sleeper", core: nil) {
            RCUThread.register()
            RCUThread.offline()
            updater.start()
            updater.join()
            RCUThread.online()
            if published.current.number != 1 { ended.wrong.add(1, ordering: .relaxed) }
            RCUThread.unregister()
        }
        sleeper.start()
        sleeper.join()
        #expect(ended.wrong.load(ordering: .relaxed) == 0)
    }
}
