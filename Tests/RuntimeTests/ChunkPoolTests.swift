import Testing

@testable import Runtime

/// Memory for waiting bytes: nobody gets what another has, and what is free goes back to the kernel.
@Suite struct ChunkPoolTests {
    @Test(arguments: 1...5 as ClosedRange<UInt64>)
    func nobodyGetsWhatAnotherHas(seed: UInt64) {
        let pool = ChunkPool()
        var entropy = Entropy(seed: seed)
        var held: [(chunk: UnsafeMutableRawPointer, mark: UInt64)] = []
        for round in 0..<4 {
            for step in 0..<2_000 {
                if held.isEmpty || entropy.chance(round % 2 == 0 ? 0.8 : 0.25) {
                    let chunk = pool.allocate()
                    let mark = UInt64(round * 10_000 + step)
                    // The first and the last word.
                    chunk.storeBytes(of: mark, as: UInt64.self)
                    chunk.storeBytes(of: mark, toByteOffset: ChunkPool.chunkSize - 8, as: UInt64.self)
                    held.append((chunk, mark))
                } else {
                    held.swapAt(entropy.next(below: held.count), held.count - 1)
                    let (chunk, mark) = held.removeLast()
                    #expect(chunk.load(as: UInt64.self) == mark)
                    #expect(chunk.load(fromByteOffset: ChunkPool.chunkSize - 8, as: UInt64.self) == mark)
                    pool.release(chunk)
                }
                #expect(pool.inUse == held.count)
            }
        }
        for (chunk, _) in held { pool.release(chunk) }
        pool.deallocate()
    }

    /// One owner of many stays: only its chunks, and few free ones, keep their memory.
    @Test func whatIsFreeGoesBackAlthoughANeighbourStays() {
        let pool = ChunkPool()
        let all = (0..<10_000).map { _ in pool.allocate() }
        #expect(pool.footprint == 10_000 * ChunkPool.chunkSize)
        for (index, chunk) in all.enumerated() where index % 100 != 0 { pool.release(chunk) }
        #expect(pool.inUse == 100)
        #expect(pool.footprint <= (100 + ChunkPool.kept) * ChunkPool.chunkSize)
        // What was given back can be used again, before anything new is mapped.
        let mapped = pool.mapped
        let again = (0..<9_000).map { _ in pool.allocate() }
        #expect(pool.mapped == mapped)
        for chunk in again { pool.release(chunk) }
        for (index, chunk) in all.enumerated() where index % 100 == 0 { pool.release(chunk) }
        pool.trim()
        #expect(pool.inUse == 0 && pool.mapped == 0)
        pool.deallocate()
    }
}
