import Foundation
import Glibc
import Runtime
import Testing

@testable import Net

/// Each driver against the kernel of this machine, over interfaces that the test makes and removes.
@Suite(.serialized, .enabled(if: mayMakeInterfaces, Comment(rawValue: needsRoot)), .timeLimit(.minutes(1)))
struct LinkTests {
    private func makePair(_ names: TestNames, queues: Int = 1) throws -> VethPair {
        try VethPair(
            host: names.host, stack: names.stack, hostAddress: names.hostAddress, prefixLength: 24, queues: queues)
    }

    /// Three echo requests of `size` bytes come back.
    private func expectPing<L: Link>(_ link: L, _ names: TestNames, size: Int = 56) {
        var responder = Responder(link, names.stackAddress)
        defer { responder.deallocate() }
        let ping = start("ping", "-n", "-c", "3", "-i", "0.05", "-W", "2", "-s", "\(size)", "\(names.stackAddress)")
        responder.serve(until: ping, seconds: 8)
        #expect(ping.terminationStatus == 0)
        #expect(responder.answered >= 3)
        #expect(link.statistics.receivedFrames >= 3)
        #expect(link.statistics.transmittedFrames >= 3)
        #expect(link.statistics.receiveDrops == 0)
    }

    @Test(arguments: [(XDPMode.auto, "xdp copy"), (.copy, "xdp copy"), (.generic, "xdp generic")])
    func xdpAnswersPing(mode: XDPMode, driver: String) throws {
        let names = TestNames(1)
        let pair = try makePair(names)
        defer { pair.remove() }
        let pool = FramePool(count: 512)
        defer { pool.deallocate() }
        let program = try XDPProgram(
            Interface(named: names.stack), address: names.stackAddress, mode: mode)
        let link = try XDPLink(program: program, queue: 0, pool: pool, mode: mode)
        #expect(link.driver == driver)
        #expect(pool.freeCount == 256, "half the pool is lent for reception")
        expectPing(link, names)
        expectPing(link, names, size: 1472)
        link.close()
        #expect(pool.freeCount == pool.count, "every frame is back")
        program.detach()
    }
}
