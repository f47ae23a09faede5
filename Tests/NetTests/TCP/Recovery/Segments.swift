import Runtime
import Testing

@testable import Net

/// Conversations about loss in whole segments of 1,000 bytes, numbered from 0, with a round trip of 100 ms.
extension Conversation {
    static let size = 1_000

    /// The remote opens with SACK (or without); the round trip is 100 ms. Then `text` segments are written.
    static func begin(
        text count: Int, sack: Bool = true, timestamps: Bool = false,
        _ change: (inout Stack.Configuration) -> Void = { _ in }
    ) -> Conversation {
        let t = Conversation(frames: 1_024) {
            $0.timestamps = timestamps
            change(&$0)
        }
        if timestamps { t.timestamp = 5_000 }
        let mss = Self.size + (timestamps ? 12 : 0)
        t.send(.syn, seq: 0, options: Self.mss(mss) + (sack ? [4, 2] : []), window: 65_535)
        guard let answer = t.next() else { fatalError("no SYN,ACK") }
        t.localISS = answer.sequence
        t.wait(.milliseconds(100))
        t.timestampEcho = answer.timestamps?.value ?? 0
        t.send(.ack, seq: 1, ack: 1)
        t.connection = t.stack.nextEvent()
        _ = t.stack.takeEvents(t.connection)
        if count > 0 { t.write(ramp(count * Self.size)) }
        return t
    }

    static func number(_ segment: Int) -> Int { 1 + segment * size }

    /// The remote acknowledges all segments before `next`, and reports ranges of others, or other octets.
    func ack(
        _ next: Int, sacks: [Range<Int>] = [], octets: [Range<Int>] = [], echo: UInt32? = nil, window: Int = 65_535
    ) {
        if timestamp != nil {
            timestamp! &+= 1
            if let echo { timestampEcho = echo }
        }
        let ranges = sacks.map { Self.number($0.lowerBound)..<Self.number($0.upperBound) } + octets
        var options: [UInt8] = []
        if !ranges.isEmpty {
            options = [1, 1, 5, UInt8(2 + 8 * ranges.count)]
            for range in ranges {
                for edge in [range.lowerBound, range.upperBound] {
                    let value = localISS &+ UInt32(truncatingIfNeeded: edge)
                    options += (0..<4).map { UInt8(value >> (24 - 8 * $0) & 255) }
                }
            }
        }
        send(.ack, seq: 1, ack: Self.number(next), [], window: window, options: options)
    }

    /// The congestion window has grown to so many segments, just now.
    func setWindow(_ segments: Int) {
        connection.block.pointee.cwnd = UInt32(segments * Self.size)
        connection.block.pointee.idleSince = UInt32(truncatingIfNeeded: now / 1_000_000)
    }

    /// Exactly these segments have left, whole and in this order.
    func expectSegments(_ numbers: [Int], _ location: SourceLocation = #_sourceLocation) {
        let sent = takeSegments(location)
        #expect(sent == numbers, sourceLocation: location)
    }

    func expectSegments(_ numbers: Range<Int>, _ location: SourceLocation = #_sourceLocation) {
        expectSegments(Array(numbers), location)
    }

    /// The numbers of the segments that have left; their text is right.
    func takeSegments(_ location: SourceLocation = #_sourceLocation) -> [Int] {
        var sent: [Int] = []
        while let segment = next() {
            let offset = Int(segment.sequence &- localISS) - 1
            #expect(segment.checksumsValid && offset % Self.size == 0, sourceLocation: location)
            let isRight = segment.text == ramp(segment.text.count, from: offset)
            #expect(isRight && segment.text.count == Self.size, "text", sourceLocation: location)
            sent.append(offset / Self.size)
        }
        return sent
    }

    var block: ControlBlock { connection.block.pointee }
    var sendState: SendState { connection.block.pointee.send?.pointee ?? SendState() }
    /// The congestion window in segments.
    var window: Double { Double(block.cwnd) / Double(Self.size) }
    var isRecovering: Bool { block.flags.contains(.fastRecovery) }
}
