import Runtime
import Testing

@testable import App
@testable import Net

/// The bare echo over the in-memory wire.
@Suite struct EchoLoopTests {
    /// Any frame to a wire that has no room for answers yet waits; none is lost, and none is left in the pool.
    @Test func datagramsComeBackOverTheWire() {
        let clock = ManualClock()
        let wire = MemoryWire(entropy: Entropy(seed: 1), now: clock.monotonic)
        let (near, far) = (FramePool(count: 512), FramePool(count: 512))
        let ours = MACAddress(bits: 0x0200_0000_0001)
        let link = wire.attach(hardwareAddress: ours, pool: near)
        let client = wire.attach(hardwareAddress: MACAddress(bits: 0x0200_0000_0002), pool: far)
        let address = IPv4Address(10, 0, 0, 1)
        var datagram = [UInt8](repeating: 0, count: 42) + Array("hello".utf8)
        datagram.withUnsafeMutableBytes {
            let p = $0.baseAddress!
            ours.store(at: p)
            client.hardwareAddress.store(at: p + 6)
            p.putBig16(EtherType.ipv4, 12)
            IPv4Header.write(
                p + 14, protocol: IPProtocol.udp, sourceRaw: IPv4Address(10, 0, 0, 2).bits.bigEndian,
                destinationRaw: address.bits.bigEndian, payload: 13)
            p.putBig16(4000, 34)
            p.putBig16(7, 36)
            p.putBig16(13, 38)
        }
        let queue = FrameQueue(capacity: 256)
        var sent = 0
        var returned = 0
        do {
            var loop = EchoLoop(
                link: link, clock: clock, echo: FrameEcho(hardwareAddress: ours, address: address, replyLength: 300))
            for _ in 0..<200 {
                for _ in 0..<40 {
                    let id = far.allocate()!
                    far.address(id).copyMemory(from: datagram, byteCount: datagram.count)
                    queue.append(FrameDescriptor(frame: id, offset: 0, length: datagram.count))
                    sent += 1
                }
                _ = client.transmit(from: queue)
                // Longer than a frame may be held for a larger batch.
                for _ in 0..<4 {
                    clock.advance(by: KickPolicy.span)
                    _ = loop.turn(now: clock.monotonic)
                }
                _ = client.receive(into: queue, limit: 256)
                while let frame = queue.pop() {
                    returned += frame.length == 300 ? 1 : 0
                    far.release(frame.frame)
                }
            }
            #expect(loop.turn(now: clock.monotonic) == false)
            #expect(loop.echo.statistics.datagrams == UInt64(sent))
            #expect(loop.report(seconds: 1).contains("\"frames_out\":\(sent),"))
        }
        #expect(returned == sent)
        #expect(near.freeCount == near.count && far.freeCount == far.count)
        link.close()
        client.close()
        queue.deallocate()
        near.deallocate()
        far.deallocate()
    }
}
