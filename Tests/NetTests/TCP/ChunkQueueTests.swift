import Runtime
import Testing

@testable import Net

/// Bytes beyond the frames, against an array.
@Suite struct ChunkQueueTests {
    @Test func anEmptyQueueIsAWord() {
        #expect(MemoryLayout<ChunkQueue>.size == 8)
        #expect(ChunkQueue().count == 0)
        #expect(ChunkQueue().first.count == 0)
    }

    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func bytesComeOutAsTheyWentIn(seed: UInt64) {
        var entropy = Entropy(seed: seed)
        let pool = ChunkPool()
        var queue = ChunkQueue()
        var model: [UInt8] = []
        var written: UInt8 = 0
        for _ in 0..<400 {
            if entropy.chance(0.55) {
                let bytes = (0..<entropy.next(below: 9_000)).map { _ in
                    written &+= 1
                    return written
                }
                bytes.withUnsafeBytes { if $0.count > 0 { queue.append($0.baseAddress!, $0.count, pool) } }
                model += bytes
            } else if queue.count > 0 {
                let piece = queue.first
                let taken = 1 + entropy.next(below: piece.count)
                #expect(piece.array == Array(model.prefix(piece.count)))
                queue.consume(taken, pool)
                model.removeFirst(taken)
            }
            #expect(queue.count == model.count)
            #expect((queue.head == nil) == model.isEmpty)
        }
        queue.removeAll(pool)
        #expect(pool.inUse == 0)
        pool.deallocate()
    }

    @Test func aSpanThatIsNotUsedLeavesNothing() {
        let pool = ChunkPool()
        defer { pool.deallocate() }
        var queue = ChunkQueue()
        let span = queue.span(pool)
        #expect(span.room == ChunkQueue.capacity)
        queue.commit(span.cursor, pool)
        #expect(queue.head == nil)
    }
}
