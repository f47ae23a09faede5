import Testing

@testable import Runtime

@Suite struct FramePoolTests {
    @Test func takesAndReturnsEveryFrame() {
        let pool = FramePool(count: 8, frameSize: 256)
        defer { pool.deallocate() }
        #expect(pool.frameSize == 256 && pool.freeCount == 8 && pool.lowestFree == 8)
        var frames: Set<FrameID> = []
        for taken in 1...8 {
            let frame = pool.allocate()!
            frames.insert(frame)
            #expect(pool.info(frame).pointee.references == 1)
            #expect(pool.info(frame).pointee.next == .none)
            #expect(pool.address(frame) - pool.base == Int(frame) * 256)
            #expect(pool.freeCount == 8 - taken && pool.lowestFree == 8 - taken)
        }
        #expect(frames.count == 8)
        #expect(pool.allocate() == nil)
        for frame in frames { pool.release(frame) }
        #expect(pool.freeCount == 8 && pool.lowestFree == 0)
        // The last one returned is the first one given: its bytes are in the cache.
        let last = pool.allocate()!
        pool.release(last)
        #expect(pool.allocate() == last)
    }

    @Test func theLastReferenceReturnsTheFrame() {
        let pool = FramePool(count: 2)
        defer { pool.deallocate() }
        let frame = pool.allocate()!
        pool.retain(frame)
        pool.retain(frame)
        pool.release(frame)
        pool.release(frame)
        #expect(pool.freeCount == 1 && pool.info(frame).pointee.references == 1)
        pool.release(frame)
        #expect(pool.freeCount == 2 && pool.info(frame).pointee.references == 0)
    }

    @Test func flagsOfTheLastUseAreGone() {
        let pool = FramePool(count: 1)
        defer { pool.deallocate() }
        let frame = pool.allocate()!
        pool.info(frame).pointee.flags = 7
        pool.info(frame).pointee.next = 5
        pool.release(frame)
        let again = pool.allocate()!
        #expect(again == frame)
        #expect(pool.info(again).pointee.flags == 0 && pool.info(again).pointee.next == .none)
    }

    /// Random takes, retains and releases against a table of counts.
    @Test(arguments: 1...10) func againstAModel(seed: Int) {
        var entropy = Entropy(seed: UInt64(seed))
        let pool = FramePool(count: 16, frameSize: 64)
        defer { pool.deallocate() }
        var references = [Int](repeating: 0, count: 16)
        var lowest = 16
        for _ in 0..<5000 {
            let frame = entropy.next(below: 16)
            switch entropy.next(below: 3) {
            case 0:
                let taken = pool.allocate()
                #expect((taken == nil) == references.allSatisfy { $0 > 0 })
                if let taken {
                    #expect(references[Int(taken)] == 0)
                    references[Int(taken)] = 1
                }
            case 1 where references[frame] > 0:
                pool.retain(FrameID(frame))
                references[frame] += 1
            case 2 where references[frame] > 0:
                pool.release(FrameID(frame))
                references[frame] -= 1
            default: break
            }
            let free = references.filter { $0 == 0 }.count
            lowest = min(lowest, free)
            #expect(pool.freeCount == free && pool.lowestFree == lowest)
        }
    }

    @Test func infoIsHalfACacheLine() { #expect(MemoryLayout<FrameInfo>.stride == 32) }

    @Test func queueKeepsOrderOverTheWrap() {
        let queue = FrameQueue(capacity: 4)
        defer { queue.deallocate() }
        var pushed: UInt32 = 0
        var popped: UInt32 = 0
        var entropy = Entropy(seed: 9)
        for _ in 0..<1000 {
            if entropy.chance(0.5) {
                let fits = queue.push(FrameDescriptor(frame: pushed, offset: 1, length: 2))
                #expect(fits == (pushed - popped < 4))
                if fits { pushed += 1 }
            } else if entropy.chance(0.7) {
                #expect(queue.pop()?.frame == (popped < pushed ? popped : nil))
                if popped < pushed { popped += 1 }
            } else if queue.count > 1 {
                #expect(queue.peek(1).frame == popped + 1)
                queue.removeFirst(2)
                popped += 2
            }
            #expect(queue.count == Int(pushed - popped) && queue.room == 4 - queue.count)
            #expect(queue.isEmpty == (pushed == popped))
        }
    }
}

@Suite struct SlabTests {
    private struct Item {
        var a: UInt64
        var b: UInt64
        var c: UInt64
    }

    @Test(arguments: 1...5) func againstAModel(seed: Int) {
        var entropy = Entropy(seed: UInt64(seed))
        let slab = Slab<Item>(objectsPerChunk: 8)
        defer { slab.deallocate() }
        var live: [UnsafeMutablePointer<Item>: UInt64] = [:]
        for step in 0..<5000 as Range<UInt64> {
            if entropy.chance(live.count > 60 ? 0.2 : 0.6) {
                let item = slab.allocate()
                #expect(live[item] == nil, "given twice")
                item.initialize(to: Item(a: step, b: step, c: step))
                live[item] = step
            } else if let (item, value) = live.first {
                #expect(item.pointee.a == value && item.pointee.b == value && item.pointee.c == value)
                slab.free(item)
                live[item] = nil
            }
            #expect(slab.liveCount == live.count && slab.capacity >= live.count)
        }
        for (item, value) in live { #expect(item.pointee.c == value) }
        #expect(slab.footprint == slab.capacity * MemoryLayout<Item>.stride)
        // It grew by need: never a chunk more than the most that lived at once.
        #expect(slab.capacity <= 80)
    }

    @Test func cacheLines() {
        let slab = Slab<(Item, Item, UInt64, UInt64)>(objectsPerChunk: 4)
        defer { slab.deallocate() }
        for _ in 0..<10 { #expect(UInt(bitPattern: slab.allocate()) % 64 == 0) }
    }
}
