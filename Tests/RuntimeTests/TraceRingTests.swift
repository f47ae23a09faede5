import Testing

@testable import Runtime

/// What a shard records while it is traced.
@Suite final class TraceRingTests {
    private var ring = TraceRing()

    deinit { ring.deallocate() }

    private var events: [TraceEvent] { (0..<ring.count).map { ring[$0].event } }

    @Test func aRecordIsHalfACacheLine() {
        #expect(MemoryLayout<TraceRecord>.stride == 32)
    }

    @Test func isOffAtFirstAndKeepsItsRecordsWhenTurnedOff() {
        #expect(!ring.isOn && ring.count == 0)
        ring.turnOn(now: 0)
        ring.note(.parsed, client: 3, value: 2, ticks: 10)
        ring.turnOff()
        #expect(!ring.isOn && ring.count == 1)
        ring.turnOn(now: 0)
        #expect(ring.count == 0)
    }

    @Test func keepsTheNewest() {
        ring.turnOn(now: 0)
        let count = TraceRing.capacity + 100
        for number in 0..<count { ring.note(.parsed, client: 1, value: UInt64(number), ticks: UInt64(number)) }
        #expect(ring.count == TraceRing.capacity)
        #expect((0..<ring.count).allSatisfy { ring[$0].value == UInt64(100 + $0) })
    }

    @Test func tellsOfOneClientOnly() {
        let remote = TraceRing.remote(address: 0x0a00_0002, port: 4000)
        ring.turnOn(client: 7, remote: remote, now: 0)
        ring.beginTurn()
        ring.noteArrival(5)
        ring.note(.arrived, frame: TraceRing.frame(address: 0x0a00_0003, port: 4000, length: 60), ticks: 6)
        ring.note(.arrived, frame: TraceRing.frame(address: 0x0a00_0002, port: 4000, length: 94), ticks: 6)
        ring.note(.parsed, client: 8, value: 2, ticks: 7)
        ring.note(.parsed, client: 7, value: 2, ticks: 8)
        #expect(events == [.arrived, .parsed])
        // It arrived when the burst was taken.
        #expect(ring[0].ticks == 5 && ring[0].value & 0xffff == 94 && ring[0].turn == 1)
    }

    /// What all in a turn share is recorded where the client has waited for it.
    @Test func sharedStepsNeedACause() {
        ring.turnOn(client: 7, now: 0)
        ring.noteShared(.departed, value: 3, ticks: 1)
        ring.noteShared(.published, ticks: 1)
        ring.noteShared(.held, ticks: 1)
        #expect(events == [])
        ring.note(.sent, client: 7, value: 1, ticks: 2)
        ring.noteShared(.published, ticks: 3)
        ring.noteShared(.published, ticks: 4)
        #expect(events == [.sent, .published])
        ring.note(.written, client: 7, value: 1, ticks: 5)
        ring.noteShared(.departed, value: 1, ticks: 6)
        #expect(events == [.sent, .published, .written])
        ring.noteShared(.departed, value: 0, ticks: 7)
        ring.noteShared(.departed, value: 0, ticks: 8)
        #expect(events == [.sent, .published, .written, .departed])
    }

    @Test func whatEpollSaidIsToldWithTheFirstSocketOfTheClient() {
        ring.turnOn(client: 7, now: 0)
        ring.notePoll(2, 10)
        ring.note(.session, client: 8, value: 5, ticks: 11)
        #expect(events == [])
        ring.notePoll(2, 20)
        ring.note(.session, client: 7, value: 5, ticks: 21)
        ring.note(.session, client: 7, value: 5, ticks: 22)
        #expect(events == [.polled, .session, .session])
        #expect(ring[0].ticks == 20 && ring[0].value == 2)
    }

    @Test func ticksBecomeTime() {
        let clock = ManualClock(ticksEachReading: 0)
        var scale = TickScale(clock)
        let start = clock.monotonic
        clock.advance(by: .milliseconds(100))
        scale.read(clock)
        #expect(scale.time(UInt64(start)) == start)
        #expect(scale.time(UInt64(start + 1_234_567)) == start + 1_234_567)
        #expect(scale.time(UInt64(start) + 200_000_000) == start + 200_000_000)
    }
}
