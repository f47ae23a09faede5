import Runtime

@testable import Net

/// The input is a program: three bytes choose the configuration and what is established at the beginning, then come steps,
/// each an operation with its parameters. After each step the whole structure is checked.
func testSegments(_ bytes: UnsafePointer<UInt8>?, _ count: Int) {
    var input = Input(bytes, count)
    let program = SegmentProgram(&input)
    var steps = 0
    while !input.isEmpty, steps < 96 {
        program.step(&input)
        steps += 1
    }
    program.end()
}

final class SegmentProgram {
    let world: World
    private let settles: Bool

    init(_ input: inout Input) {
        let (a, b, c) = (input.byte(), input.byte(), input.byte())
        settles = c & 0x70 == 0
        world = World { configuration in
            configuration.timestamps = a & 1 == 0
            configuration.strayHandling = a & 2 != 0
            configuration.keepalive = a & 4 != 0 ? .seconds(20) : 0
            configuration.sendFrames = [64, 2, 8, 24][Int(a >> 3 & 3)]
            configuration.mtu = [1_500, 576, 1_500, 900][Int(a >> 5 & 3)]
            configuration.receiveWindow = [16_384, 2_048, 70_000, 300_000][Int(b & 3)]
            configuration.maxHalfOpen = [16, 1, 2, 16][Int(b >> 2 & 3)]
            configuration.maxConnections = [32, 1, 2, 32][Int(b >> 4 & 3)]
            configuration.maxRetransmissions = b & 0x40 != 0 ? 3 : 15
            configuration.prefixLength = b & 0x80 != 0 ? 0 : 24
            Self.configureExtras(&configuration, c)
        }
        if c & 1 == 0 { establishPassively(0) }
        if c & 2 != 0 { establishActively(1) }
    }

    /// For the fuzzing of frames: the configuration as usual, one connection with or without timestamps.
    init(frames choice: UInt8) {
        settles = false
        world = World { configuration in
            configuration.timestamps = choice & 1 == 0
            configuration.strayHandling = choice & 2 != 0
            configuration.gateway = nil
        }
        if choice & 4 == 0 { establishPassively(0) }
    }

    /// What later parts of the stack added.
    private static func configureExtras(_ configuration: inout Stack.Configuration, _ c: UInt8) {
        configuration.congestionControl = c & 4 == 0 ? .cubic : .newReno
        configuration.ecn = c & 8 == 0 ? .answer : .offer
    }

    func end() {
        world.end(settling: settles)
    }

    // MARK: beginnings

    private func establishPassively(_ index: Int) {
        sendSyn(index, options: [2, 4, 5, 0xB4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 2])
        world.peers[index].next += 1
        send(index, world.peers[index].segment())
    }

    private func establishActively(_ index: Int) {
        connect(index)
        var answer = world.peers[index].segment([.syn, .ack])
        answer.options = [2, 4, 2, 0, 4, 2, 1, 1]
        send(index, answer)
        world.peers[index].next += 1
        send(index, world.peers[index].segment())
    }

    func connect(_ index: Int) {
        world.peers[index].port = UInt16(7_777 + index)
        guard
            let c = world.stack.connect(
                to: world.peers[index].address, port: world.peers[index].port, now: world.now)
        else { return }
        world.users.append(User(c))
        world.turn()
    }

    private func sendSyn(_ index: Int, options: [UInt8]) {
        world.peers[index].port = UInt16(40_000 + index)
        world.peers[index].localPort = World.listening
        var syn = world.peers[index].segment(.syn)
        syn.options = options
        send(index, syn)
    }

    // MARK: steps

    private var isTurning = true
    private var steps = 0

    func step(_ input: inout Input) {
        let operation = input.byte()
        if isTracing { trace(operation, input.left) }
        let index = Int(operation >> 5 & 3)
        isTurning = operation & 0x80 == 0
        switch operation & 31 {
        case 0...8, 26, 27, 31: stepSegment(Int(operation & 31), index, &input)
        case 9: sendSyn(index, options: Self.synOptions(&input))
        case 10:
            var answer = world.peers[index].segment([.syn, .ack])
            answer.options = Self.synOptions(&input)
            send(index, answer)
            world.peers[index].next += 1
        case 11:
            var reset = world.peers[index].segment(input.byte() & 1 == 0 ? .rst : [.rst, .ack])
            reset.sequence += Int(Int8(bitPattern: input.byte())) / 4
            send(index, reset)
        case 12: connect(index)
        case 13...18: stepUser(Int(operation & 31), index, &input)
        case 19: world.wait(Self.spans[input.int() & 15])
        case 20: world.wait(.milliseconds(Int64(input.byte())))
        case 21: quoteInError(index, &input)
        case 22: sendInFragments(index, &input)
        case 23: hoard(input.int())
        case 24: sendARP(index, &input)
        case 25: sendRaw(index, &input)
        case 28: repeatChanged(&input)
        case 29: sendEcho(index, &input)
        default: change(&input)
        }
        if isTurning { world.turn() }
        // What is wrong mostly stays wrong: not every step must look.
        steps += 1
        if steps & 3 == 0 { world.check() }
    }

    private static let spans: [Nanoseconds] = [
        .microseconds(20), .milliseconds(1), .milliseconds(10), .milliseconds(41), .milliseconds(200),
        .milliseconds(250),
        .milliseconds(600), .seconds(1), .seconds(3), .seconds(10), .seconds(61), .seconds(130), .seconds(400),
        .seconds(1_000), .seconds(601), .seconds(90_000),
    ]

    /// Options of a SYN: a plain choice, or any bytes.
    private static func synOptions(_ input: inout Input) -> [UInt8] {
        let choice = input.byte()
        var options: [UInt8] = []
        if choice & 1 == 0 { options += [2, 4, choice & 2 == 0 ? 5 : 0, choice & 4 == 0 ? 0xB4 : 20] }
        if choice & 8 == 0 { options += [4, 2, 8, 10, 0, 0, 0, choice, 0, 0, 0, 0] }
        if choice & 16 == 0 { options += [1, 3, 3, choice >> 5] }
        if choice & 32 != 0 { options += input.take(input.int() & 15) }
        return options
    }

    // MARK: sending

    func send(_ index: Int, _ segment: Peer.Segment) {
        if isTracing { traceIn(segment) }
        let count = world.peers[index].build(segment, now: world.now, mtu: world.stack.configuration.mtu)
        deliver(count)
    }

    /// What lies in the workshop arrives, and is a burst of its own unless the step says otherwise.
    func deliver(_ count: Int) {
        world.arrive(count)
        if isTurning {
            world.burstOut()
            world.turn()
        }
    }

    private func hoard(_ value: Int) {
        if value < 128 {
            for _ in 0..<value & 63 { if let frame = world.pool.allocateReserved() { world.hoard.append(frame) } }
        } else {
            for _ in 0..<value & 63 { if let frame = world.hoard.popLast() { world.pool.release(frame) } }
        }
    }

    private func change(_ input: inout Input) {
        let choice = input.byte()
        switch choice & 7 {
        case 0: world.stack.listen(port: World.listening)
        case 1: world.stack.stopListening(port: World.listening)
        case 2: world.answersARP.toggle()
        case 3: world.servesEvents.toggle()
        case 4: world.stack.setKeepalive(choice & 8 == 0 ? 0 : .seconds(5))
        case 5: world.stack.advanceTimers(now: world.now)
        case 6: world.stack.output(now: world.now)
        default: world.peers[0].next += Int(choice) << 20
        }
    }

    // MARK: the user

    private func stepUser(_ operation: Int, _ index: Int, _ input: inout Input) {
        guard !world.users.isEmpty else { return }
        let value = operation < 16 ? input.int() : 0
        let at = index % world.users.count
        switch operation {
        case 13: world.users[at].read(world.stack, value == 255 ? .max : value * 16)
        case 14: world.users[at].write(world.stack, value * 8 + 1)
        case 15:
            if value == 0 {
                world.users[at].writeNothing(world.stack)
            } else {
                world.users[at].write(world.stack, value * 60)
            }
        case 16: world.stack.shutdown(world.users[at].connection)
        case 17:
            world.stack.abort(world.users[at].connection)
            world.stack.free(world.users.remove(at: at).connection)
        default: world.stack.free(world.users.remove(at: at).connection)
        }
    }
}
