import Runtime
import Testing

@testable import App

/// When the device is started, as a shard asks: once a turn, with the number of frames that wait.
@Suite struct KickPolicyTests {
    /// One client that waits for each reply: a frame waits, and none follows. Returns the batches that were held.
    private func oneClient(_ policy: inout KickPolicy, requests: Int, from start: Nanoseconds) -> Int {
        var now = start
        var held = 0
        for _ in 0..<requests {
            now += .microseconds(5)
            if policy.shouldKick(waiting: 1, now: now) { continue }
            held += 1
            while !policy.shouldKick(waiting: 1, now: now) { now += .microseconds(1) }
        }
        return held
    }

    @Test func oneClientIsSeldomHeld() {
        var policy = KickPolicy()
        let held = oneClient(&policy, requests: 10_000, from: .seconds(1))
        #expect(held <= 10_000 / KickPolicy.trialInterval)
        #expect(!policy.isHolding)
    }

    @Test func noFrameIsHeldLongerThanTheSpan() {
        var policy = KickPolicy()
        var now = Nanoseconds.seconds(1)
        for _ in 0..<2_000 {
            let start = now
            var waiting = 1
            while !policy.shouldKick(waiting: waiting, now: now) {
                now += .microseconds(2)
                waiting += 1
            }
            #expect(now - start <= KickPolicy.span)
            now += .microseconds(2)
        }
    }

    /// Frames come all the time: after a trial has shown it, batches are held and grow.
    @Test func manyClientsShareKicks() {
        var policy = KickPolicy()
        var now = Nanoseconds.seconds(1)
        var (frames, kicks, waiting) = (0, 0, 0)
        for turn in 0..<20_000 {
            now += .microseconds(1)
            waiting += turn & 1
            guard waiting > 0, policy.shouldKick(waiting: waiting, now: now) else { continue }
            (frames, kicks, waiting) = (frames + waiting, kicks + 1, 0)
        }
        #expect(kicks * 4 < frames, "\(kicks) kicks for \(frames) frames")
    }

    @Test func aFullBatchIsNotHeld() {
        var policy = KickPolicy()
        var now = Nanoseconds.seconds(1)
        for _ in 0..<1_000 {
            now += .microseconds(1)
            let kicked = policy.shouldKick(waiting: KickPolicy.enough, now: now)
            #expect(kicked)
        }
    }

    @Test func theOtherClientsLeave() {
        var policy = KickPolicy()
        var now = Nanoseconds.seconds(1)
        var waiting = 0
        for _ in 0..<5_000 {
            now += .microseconds(1)
            waiting += 1
            if policy.shouldKick(waiting: waiting, now: now) { waiting = 0 }
        }
        // Those that are held until the average has sunk, and the trials.
        let held = oneClient(&policy, requests: 1_000, from: now + .seconds(1))
        #expect(held < 16)
    }
}
