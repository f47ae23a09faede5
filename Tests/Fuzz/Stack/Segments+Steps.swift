import Runtime

@testable import Net

/// The steps in which a remote host sends something.
extension SegmentProgram {
    /// Segments from right to wrong.
    func stepSegment(_ operation: Int, _ index: Int, _ input: inout Input) {
        let value = operation == 0 ? 0 : input.int()
        var s = world.peers[index].segment()
        var moves = false
        switch operation {
        case 0: break
        case 1: (s.text, s.flags, moves) = (value, [.ack, .psh], true)
        case 2: (s.text, moves) = (value * 6, true)
        case 3:
            (s.text, s.flags, moves) = (value & 15, [.ack, .fin], true)
            world.peers[index].next += 1
        case 4:
            // A part of what is not yet acknowledged.
            let owed = world.peers[index].seen - world.peers[index].told
            s.acknowledgement = world.peers[index].told + owed * value / 255
        case 5:
            s.acknowledgement = world.peers[index].told
            for _ in 0..<value & 3 { send(index, s) }
        case 6:
            s.sequence += value * 8 + 1
            s.text = input.int() * 4
            if s.text & 4 != 0 { s.flags.insert(.fin) }
        case 7:
            s.sequence = s.sequence - value * 4
            s.text = input.int() * 4
        case 26: addSack(&s, index, value, &input)
        case 27:
            let windows: [UInt16] = [0, 1, 10, 100, 536, 1_460, 4_096, 65_535]
            world.peers[index].window = windows[value & 7]
            s.window = world.peers[index].window
        case 31:
            s.typeOfService = UInt8(value & 3)
            if value & 4 != 0 { s.flags.formUnion(TCPFlags(rawValue: 0x40)) }
            if value & 8 != 0 { s.flags.formUnion(TCPFlags(rawValue: 0x80)) }
            (s.text, moves) = (value >> 4 * 90, true)
        default: makeOdd(&s, index, value, &input)
        }
        if moves {
            // As the stack's window allows, mostly.
            world.peers[index].next += s.text
        }
        world.peers[index].told = s.acknowledgement
        send(index, s)
    }

    /// Anything in any field.
    private func makeOdd(_ s: inout Peer.Segment, _ index: Int, _ value: Int, _ input: inout Input) {
        let peer = world.peers[index]
        if value & 1 != 0 { s.flags = TCPFlags(rawValue: input.byte()) }
        switch value >> 1 & 3 {
        case 1: s.sequence += Int(Int8(bitPattern: input.byte()))
        case 2: s.sequence = peer.edge + Int(Int8(bitPattern: input.byte()))
        case 3: s.sequence = SequenceNumber(input.long())
        default: break
        }
        switch value >> 3 & 3 {
        case 1: s.acknowledgement += Int(Int8(bitPattern: input.byte()))
        case 2: s.acknowledgement = peer.told - input.int() * 256
        case 3: s.acknowledgement = SequenceNumber(input.long())
        default: break
        }
        if value & 32 != 0 { s.text = input.int() * 8 }
        if value & 64 != 0 {
            let choice = input.byte()
            s.timestampDelta =
                choice == 0 ? nil : Int32(Int8(bitPattern: choice)) &* (choice & 1 == 0 ? 1 : 0x0100_0000)
            s.window = input.word()
        }
        if value & 128 != 0 {
            s.options = Array(input.take(input.int() & 31))
            s.reserved = input.byte() & 15
            s.urgent = UInt16(input.byte())
        }
    }

    /// SACK blocks relative to what the peer has been told of, right or wrong.
    private func addSack(_ s: inout Peer.Segment, _ index: Int, _ value: Int, _ input: inout Input) {
        let peer = world.peers[index]
        s.acknowledgement = value & 4 == 0 ? peer.told : peer.seen
        let blocks = 1 + value & 3
        let limit = peer.usesTimestamps ? 3 : 4
        s.options = [1, 1, 5, UInt8(2 + 8 * min(blocks, limit))]
        for _ in 0..<min(blocks, limit) {
            let scale = value & 8 == 0 ? 100 : 1
            var left = peer.told + input.int() * scale
            if value & 16 != 0 { left = left - 2_000 }
            var right = left + input.int() * scale
            if value & 32 == 0, right > peer.seen { right = peer.seen }
            for byte in [left.raw, right.raw].flatMap({ n in
                (0..<4).map { UInt8(truncatingIfNeeded: n >> (24 - 8 * $0)) }
            }) {
                s.options.append(byte)
            }
        }
        if value & 64 != 0 { for _ in 0..<2 { send(index, s) } }
    }

    /// An ICMP error about what the stack sent last (RFC 792): with the segment's own numbers, or wrong ones.
    func quoteInError(_ index: Int, _ input: inout Input) {
        let kinds: [(UInt8, UInt8)] = [(3, 4), (3, 4), (3, 1), (3, 3), (3, 2), (4, 0), (11, 0), (12, 0)]
        let choice = input.byte()
        let (type, code) = kinds[Int(choice & 7)]
        let mtu = [68, 576, 700, 1_000, 1_400, 1_500, 0, input.int() * 8][Int(choice >> 3 & 7)]
        let p = World.workshop
        var quoted = world.peers[index].copyQuote(to: p + 42)
        if choice & 64 != 0 { quoted = min(quoted, 28) }
        if choice & 128 != 0, quoted > 28 { (p + 42).put8(input.byte(), 20 + input.int() % 8) }
        p.put8(type, 34)
        p.put8(code, 35)
        p.putRaw32(0, 36)
        p.putBig16(UInt16(mtu), 40)
        world.peers[index].writeHeaders(p, total: 28 + quoted, number: IPProtocol.icmp)
        sealMessage(p)
        deliver(42 + quoted)
    }

    func sendEcho(_ index: Int, _ input: inout Input) {
        let p = World.workshop
        let count = input.int() * 5
        p.putRaw64(8, 34)
        for at in 0..<count { p.put8(UInt8(truncatingIfNeeded: at), 42 + at) }
        world.peers[index].writeHeaders(p, total: 28 + count, number: IPProtocol.icmp)
        sealMessage(p)
        deliver(42 + count)
    }

    /// The next right segment in up to four fragments, whose places may be wrong.
    func sendInFragments(_ index: Int, _ input: inout Input) {
        let choice = input.byte()
        var s = world.peers[index].segment([.ack, .psh], text: input.int() * 5)
        s.typeOfService = choice & 64 != 0 ? 3 : 0
        let count = world.peers[index].build(s, now: world.now, mtu: world.stack.configuration.mtu)
        if choice & 128 == 0 { world.peers[index].next += max(0, count - 34 - 32) }
        var datagram = [UInt8](UnsafeRawBufferPointer(start: World.workshop + 34, count: count - 34))
        if choice & 3 == 3 { datagram += input.take(12) }
        let identification = UInt16(choice >> 2 & 3)
        let step = max(8, (datagram.count / (1 + Int(choice & 3)) + 7) / 8 * 8)
        var pieces: [(Int, Int)] = []
        var at = 0
        while at < datagram.count {
            pieces.append((at, min(step, datagram.count - at)))
            at += step
        }
        let shuffle = input.byte()
        if shuffle & 1 != 0 { pieces.reverse() }
        if shuffle & 2 != 0 { pieces.append(pieces[0]) }
        if shuffle & 4 != 0 { pieces.removeLast() }
        for (start, length) in pieces {
            let wrong = shuffle & 8 != 0 ? Int(Int8(bitPattern: input.byte())) / 16 : 0
            let p = World.workshop
            for k in 0..<length { p.put8(datagram[start + k], 34 + k) }
            world.peers[index].writeHeaders(p, total: 20 + length, number: IPProtocol.tcp)
            let more = start + length < datagram.count && shuffle & 16 == 0 ? UInt16(0x2000) : 0
            p.putBig16(identification, 18)
            p.putBig16(more | UInt16(max(0, start / 8 + wrong) & 0x1FFF), 20)
            sealHeader(p)
            deliver(34 + length)
        }
    }

    func sendARP(_ index: Int, _ input: inout Input) {
        let choice = input.byte()
        let sender = choice & 1 == 0 ? world.peers[index].address : IPv4Address(10, 0, 0, input.byte())
        let hardware = choice & 2 == 0 ? Peer.hardware : MACAddress(bits: 0x02_00_00_00_00_00 | UInt64(input.byte()))
        let packet = ARPPacket(
            choice & 4 == 0 ? .request : .reply, senderHardware: hardware, senderAddress: sender,
            targetHardware: World.localMAC, targetAddress: choice & 8 == 0 ? World.local : IPv4Address(10, 0, 0, 77))
        Ethernet.write(
            World.workshop, destinationRaw: Ethernet.raw(choice & 16 == 0 ? World.localMAC : .broadcast),
            sourceRaw: Ethernet.raw(hardware), type: EtherType.arp)
        packet.write(World.workshop + Ethernet.headerLength)
        deliver(choice & 32 == 0 ? 42 : 20 + input.int() & 63)
    }

    /// Bytes of the input behind headers that are right as far as wanted.
    func sendRaw(_ index: Int, _ input: inout Input) {
        let choice = input.byte()
        let bytes = input.take(input.int())
        let p = World.workshop
        let start = [0, 14, 34, 34][Int(choice & 3)]
        for (k, byte) in bytes.enumerated() { p.put8(byte, start + k) }
        let total = start + bytes.count
        if start == 34 {
            world.peers[index].writeHeaders(
                p, total: total - 14, number: choice & 1 == 0 ? IPProtocol.tcp : IPProtocol.icmp)
            if choice & 4 == 0 { choice & 1 == 0 ? fillText(p) : sealMessage(p) }
        } else if start == 14 {
            Ethernet.write(
                p, destinationRaw: Ethernet.raw(World.localMAC), sourceRaw: Ethernet.raw(Peer.hardware),
                type: choice & 8 == 0 ? EtherType.ipv4 : EtherType.arp)
            if total >= 34, choice & 4 == 0 { sealHeader(p) }
        }
        deliver(total)
    }

    /// What lies in the workshop since the last step comes again, one byte of its headers changed, mostly with right sums.
    func repeatChanged(_ input: inout Input) {
        let p = World.workshop
        let raw = UnsafeRawPointer(p)
        let count = min(1_514, Int(raw.big16(16)) + 14)
        let place = 14 + input.int() % 80
        let change = input.byte()
        if change != 0 {
            p.put8(raw.byte(place) ^ change, place)
            sealHeader(p)
            fillText(p)
        }
        deliver(count)
    }
}
