import Runtime

@testable import Net

/// Frames as the input has them, at a stack with one connection: a byte with what to put right, two with the length, then
/// the frame, up to eight times.
func testFrames(_ bytes: UnsafePointer<UInt8>?, _ count: Int) {
    var input = Input(bytes, count)
    let program = SegmentProgram(frames: input.byte())
    let world = program.world
    for _ in 0..<8 where !input.isEmpty {
        let choice = input.byte()
        let frame = input.take(min(Int(input.word()), 1_514))
        for (k, byte) in frame.enumerated() { World.workshop.put8(byte, k) }
        if choice & 1 == 0, frame.count >= 14 {
            Ethernet.write(
                World.workshop, destinationRaw: Ethernet.raw(World.localMAC), sourceRaw: Ethernet.raw(Peer.hardware),
                type: choice & 2 == 0 ? EtherType.ipv4 : EtherType.arp)
        }
        if choice & 7 == 0, frame.count >= 34 {
            World.workshop.putBig32(World.local.bits, 30)
            sealHeader(World.workshop)
            let number = UnsafeRawPointer(World.workshop).byte(23)
            if choice & 8 == 0 { number == IPProtocol.tcp ? fillText(World.workshop) : sealMessage(World.workshop) }
        }
        world.arrive(frame.count, headroom: choice & 16 == 0 ? 64 : 256)
        world.turn()
        world.check()
        if choice & 32 != 0 { world.wait(.seconds(Int64(choice >> 6) * 40)) }
    }
    world.end(settling: false)
}
