import Runtime

@testable import Net

/// Large streams from the sender of a `Bottleneck` to its receivers, one each, with a record of the windows.
final class BulkTransfer {
    let bottleneck: Bottleneck
    private var connections: [TCPConnection] = []
    private var written: [Int]
    private(set) var received: [Int]
    /// When the last byte of each came; nil: it has not.
    private(set) var finished: [Nanoseconds?]
    private let total: Int
    /// Congestion windows in bytes of the first connection, one each `logEvery`.
    private(set) var windows: [(Nanoseconds, UInt32)] = []
    var logEvery: Nanoseconds = .milliseconds(20)
    private let start: Nanoseconds
    private var accepted: [TCPConnection?]

    init(_ bottleneck: Bottleneck, bytes total: Int) {
        self.bottleneck = bottleneck
        self.total = total
        start = bottleneck.now
        let count = bottleneck.receivers.count
        written = Array(repeating: 0, count: count)
        received = written
        finished = Array(repeating: nil, count: count)
        accepted = Array(repeating: nil, count: count)
        for host in bottleneck.receivers {
            host.stack.listen(port: 7)
            connections.append(
                bottleneck.sender.stack.connect(
                    to: IPv4Address(10, 0, 0, host.number), port: 7, now: bottleneck.now)!)
        }
    }

    var block: Block { connections[0].block }

    /// Until all is received, or this span of virtual time has passed.
    func run(for limit: Nanoseconds) {
        let end = bottleneck.now + limit
        var nextLog = bottleneck.now
        while bottleneck.now < end, finished.contains(where: { $0 == nil }) {
            bottleneck.turn(serveSender: { send($0) }, serveReceiver: { receive($0, $1) })
            if bottleneck.now >= nextLog {
                windows.append((bottleneck.now - start, block.pointee.cwnd))
                nextLog = bottleneck.now + logEvery
            }
        }
    }

    /// Bytes a second of one connection, from the opening to its end or till now.
    func rate(_ index: Int = 0) -> Double {
        Double(received[index]) / (Double((finished[index] ?? bottleneck.now) - start) / 1e9)
    }

    private func send(_ stack: Stack) {
        while let c = stack.nextEvent() { _ = stack.takeEvents(c) }
        for (index, c) in connections.enumerated() {
            while written[index] < total, stack.backlog(c) < 4 << 20 {
                let span = stack.outputSpan(c)
                let n = min(span.room, total - written[index])
                span.cursor.initializeMemory(
                    as: UInt8.self, repeating: UInt8(truncatingIfNeeded: written[index]), count: n)
                stack.commit(c, span.cursor + n)
                written[index] += n
            }
        }
    }

    private func receive(_ index: Int, _ stack: Stack) {
        while let c = stack.nextEvent() {
            _ = stack.takeEvents(c)
            accepted[index] = c
        }
        guard let c = accepted[index] else { return }
        while true {
            let n = stack.received(c).count
            if n == 0 { break }
            stack.consume(c, n)
            received[index] += n
        }
        if received[index] == total, finished[index] == nil { finished[index] = bottleneck.now }
    }
}
