import Runtime
import Testing

@testable import Net

/// The parts of the lossy bridge that need no interface. Tests/EndToEnd/suites/badnet.py has the whole.
struct BridgePartsTests {
    private static func frame(_ id: Int) -> FrameDescriptor {
        FrameDescriptor(frame: FrameID(id), offset: 0, length: 60)
    }

    // MARK: delay queue

    @Test func framesLeaveWhenTheyAreDueAndEqualsInOrder() {
        var entropy = Entropy(seed: 7)
        var queue = DelayQueue()
        var expected: [(due: Int64, id: Int)] = []
        for id in 0..<2_000 {
            let due = Int64(entropy.next(below: 200))
            queue.insert(Self.frame(id), due: due)
            expected.append((due, id))
        }
        // A stable order by due time: the serial is the second key.
        expected.sort { ($0.due, $0.id) < ($1.due, $1.id) }
        #expect(queue.nextDue == expected[0].due)
        var order: [Int] = []
        for now in Int64(0)..<200 {
            while let (frame, due) = queue.popDue(now) {
                #expect(due == now)
                order.append(Int(frame.frame))
            }
        }
        #expect((order == expected.map(\.id)) as Bool)
        #expect(queue.count == 0 && queue.nextDue == .max)
    }

    @Test func nothingLeavesEarly() {
        var queue = DelayQueue()
        queue.insert(Self.frame(1), due: 100)
        #expect(queue.popDue(99) == nil)
        #expect(queue.popDue(100)?.frame.frame == 1)
        #expect(queue.popDue(.max) == nil)
    }

    // MARK: rate

    @Test func framesPassTheSlowestLinkOneAfterTheOther() {
        var impairment = Impairment()
        impairment.rate = 8_000_000  // a byte each microsecond
        impairment.queueLimit = 3
        var gate = RateGate(impairment)
        #expect(gate.pass(bytes: 1000, arrival: 0) == .microseconds(1000))
        #expect(gate.pass(bytes: 500, arrival: 0) == .microseconds(1500))
        #expect(gate.pass(bytes: 500, arrival: .microseconds(100)) == .microseconds(2000))
        #expect(gate.pass(bytes: 1, arrival: .microseconds(999)) == nil, "three wait: tail drop")
        #expect(gate.pass(bytes: 100, arrival: .microseconds(1000)) == .microseconds(2100))
        // After a pause the link is free at once.
        #expect(gate.pass(bytes: 100, arrival: .microseconds(5000)) == .microseconds(5100))
    }

    @Test func withoutARateNothingWaits() {
        var gate = RateGate(Impairment())
        for arrival in Int64(0)..<5_000 { #expect(gate.pass(bytes: 1514, arrival: arrival) == arrival) }
    }

    // MARK: fates

    @Test func aSeedGivesTheSameFatesWhateverElseIsAsked() {
        var some = Impairment()
        some.loss = 0.1
        var all = some
        all.duplication = 0.5
        all.corruption = 0.5
        all.reordering = 0.5
        var first = Entropy(seed: 3)
        var second = Entropy(seed: 3)
        var lost = 0
        for _ in 0..<10_000 {
            let one = FrameFate(some, &first)
            let other = FrameFate(all, &second)
            #expect(one.isLost == other.isLost)
            #expect(one.flip == nil && one.holdBack == 0 && !one.isDuplicated)
            #expect(other.holdBack >= 0 && other.holdBack <= all.reorderSpan)
            if one.isLost { lost += 1 }
        }
        #expect((900...1_100).contains(lost))
    }

    // MARK: what a bystander sees

    /// An Ethernet frame with a TCP segment of `count` octets, ports 1 and 2.
    private static func segment(_ sequence: UInt32, count: Int, flags: TCPFlags = .ack) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 54 + count)
        bytes.withUnsafeMutableBytes { raw in
            let p = raw.baseAddress!
            p.putBig16(EtherType.ipv4, 12)
            p.put8(0x45, 14)
            p.putBig16(UInt16(40 + count), 16)
            p.put8(IPProtocol.tcp, 23)
            p.putBig16(1, 34)
            p.putBig16(2, 36)
            p.putBig32(sequence, 38)
            p.put8(0x50, 46)
            p.put8(flags.rawValue, 47)
        }
        return bytes
    }

    private static func see(_ watch: inout FlowWatch, _ bytes: [UInt8]) {
        bytes.withUnsafeBytes { watch.see(SeenSegment(frame: $0.baseAddress!, length: $0.count)!) }
    }

    @Test func retransmissionsAreCountedAcrossTheWrap() {
        var watch = FlowWatch()
        Self.see(&watch, Self.segment(0xFFFF_FF00, count: 0, flags: .syn))
        Self.see(&watch, Self.segment(0xFFFF_FF01, count: 200))
        Self.see(&watch, Self.segment(0xFFFF_FFC9, count: 200))
        #expect(watch.segments == 2 && watch.octets == 400 && watch.resentSegments == 0)
        // One whole segment again, then one that is half new.
        Self.see(&watch, Self.segment(0xFFFF_FF01, count: 200))
        Self.see(&watch, Self.segment(0xFFFF_FFC9 &+ 100, count: 200))
        #expect(watch.resentSegments == 2 && watch.resentOctets == 300)
        // Pure ACKs do not count.
        Self.see(&watch, Self.segment(0xFFFF_FF01, count: 0))
        #expect(watch.segments == 4)
    }

    @Test func whatIsNoWholeSegmentIsNotSeen() {
        let good = Self.segment(1, count: 10)
        for length in 0..<good.count {
            let whole = good.withUnsafeBytes { SeenSegment(frame: $0.baseAddress!, length: length) }
            #expect(whole == nil)
        }
        for (place, value) in [(12, UInt8(0x86)), (14, 0x44), (23, 17), (20, 0x20), (46, 0x40), (46, 0xF0)] {
            var bad = good
            bad[place] = value
            let seen = bad.withUnsafeBytes { SeenSegment(frame: $0.baseAddress!, length: $0.count) }
            #expect(seen == nil, "byte \(place)")
        }
    }
}
