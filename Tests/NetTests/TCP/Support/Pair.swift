import Runtime
import Testing

@testable import Net

/// Two stacks on one wire, in virtual time.
final class Pair {
    let wire: MemoryWire
    let a: Host
    let b: Host
    var now: Nanoseconds = .seconds(10)

    /// A stack with its link and pool.
    final class Host {
        let pool: FramePool
        let link: MemoryLink
        let stack: Stack
        private let burst = FrameQueue(capacity: 256)
        private var turns = 0

        init(
            _ wire: MemoryWire, _ number: UInt8, frames: Int, now: Nanoseconds,
            _ change: (inout Stack.Configuration) -> Void
        ) {
            pool = FramePool(count: frames)
            var configuration = Stack.Configuration(
                hardwareAddress: MACAddress(bits: 0x0200_0000_0000 | UInt64(number)),
                address: IPv4Address(10, 0, 0, number), prefixLength: 24)
            change(&configuration)
            link = wire.attach(hardwareAddress: configuration.hardwareAddress, pool: pool)
            stack = Stack(configuration: configuration, pool: pool, entropy: Entropy(seed: UInt64(number)), now: now)
        }

        /// One turn of the poll loop; `serve` is what the user does.
        func turn(_ now: Nanoseconds, _ serve: (Stack) -> Void) {
            link.reclaim()
            _ = link.receive(into: burst, limit: 64)
            stack.input(burst, now: now)
            stack.advanceTimers(now: now)
            serve(stack)
            stack.output(now: now)
            _ = link.transmit(from: stack.transmitQueue)
            turns += 1
            if turns % 32 == 0 { check() }
        }

        /// What must hold of the stack at any time (Invariants.swift).
        func check() {
            if let wrong = stack.findViolation(held: link.heldFrames) { Issue.record("\(wrong)") }
        }
    }

    init(
        seed: UInt64 = 1, faults: MemoryWire.Faults = .init(), frames: Int = 1024,
        _ change: (inout Stack.Configuration) -> Void = { _ in }
    ) {
        wire = MemoryWire(entropy: Entropy(seed: seed), faults: faults, now: now)
        a = Host(wire, 1, frames: frames, now: now, change)
        b = Host(wire, 2, frames: frames, now: now, change)
    }

    /// The next instant at which anything happens.
    var nextDeadline: Nanoseconds? {
        [wire.nextDeadline, a.stack.nextDeadline, b.stack.nextDeadline].compactMap { $0 }.min()
    }

    /// Turns until `done`, `limit` of virtual time or `maxTurns` have passed. True when done. Time jumps to the next
    /// deadline, by `maxStep` at most: users that wait for nothing but turns need one.
    func run(
        for limit: Nanoseconds, maxTurns: Int = 20_000, maxStep: Nanoseconds = .max, serveA: (Stack) -> Void,
        serveB: (Stack) -> Void,
        until done: () -> Bool
    ) -> Bool {
        let end = now + limit
        for _ in 0..<maxTurns {
            wire.advance(now: now)
            a.turn(now, serveA)
            b.turn(now, serveB)
            if done() { return true }
            if now >= end { return false }
            // Frames may have arrived without delay; otherwise time goes on to the next event.
            now += 20_000
            if let deadline = nextDeadline, deadline > now { now = min(deadline, end, now + min(maxStep, end)) }
        }
        return false
    }
}
