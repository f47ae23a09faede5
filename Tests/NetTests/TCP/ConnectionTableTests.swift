import Runtime
import Testing

@testable import Net

/// The table against a dictionary, while it grows and shrinks, and what one operation may do.
@Suite struct ConnectionTableTests {
    /// A table with blocks of its own, and its naive twin.
    private struct Twin: ~Copyable {
        var entropy: Entropy
        var table: ConnectionTable
        let blocks = Slab<ControlBlock>()
        var model: [UInt64: Block] = [:]
        /// In no order, for picking one.
        var keys: [UInt64] = []

        init(seed: UInt64) {
            entropy = Entropy(seed: seed)
            var secrets = Entropy(seed: seed &+ 1)
            table = ConnectionTable(entropy: &secrets)
        }

        deinit { blocks.deallocate() }

        mutating func insert() {
            // Few addresses and ports that follow each other, as clients have them.
            let key = UInt64(entropy.next(below: 4)) << 32 | UInt64(entropy.next(below: 1 << 17))
            guard model[key] == nil else { return }
            let block = blocks.allocate()
            block.initialize(to: ControlBlock())
            block.pointee.key = key
            table.insert(key, block)
            model[key] = block
            keys.append(key)
        }

        mutating func remove() {
            guard !keys.isEmpty else { return }
            let index = entropy.next(below: keys.count)
            keys.swapAt(index, keys.count - 1)
            let key = keys.removeLast()
            table.remove(key)
            blocks.free(model.removeValue(forKey: key)!)
        }

        /// What the short way does not find.
        func hidden() -> [UInt64] { keys.filter { table.findPresent($0) != model[$0] } }

        /// Whether the table has just what the model has.
        func isSame() -> Bool {
            var seen = 0
            table.forEach { _ in seen += 1 }
            return table.count == model.count && seen == model.count
                && model.allSatisfy { key, block in table.find(key) == block }
        }
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func growsAndShrinksLikeADictionary(seed: UInt64) {
        var twin = Twin(seed: seed)
        for round in 0..<12 {
            // Up, mostly; down, mostly; and so on, each time from another size.
            let share = round % 2 == 0 ? 0.85 : 0.2
            for _ in 0..<twin.entropy.next(below: 8_000) {
                if twin.entropy.chance(share) { twin.insert() } else { twin.remove() }
            }
            let (isSame, absent) = (twin.isSame(), twin.table.find(1 << 40) == nil)
            #expect(isSame && absent)
        }
        while !twin.keys.isEmpty { twin.remove() }
        for _ in 0..<10_000 { twin.table.tend(slots: 256) }
        let (isSame, footprint) = (twin.isSame(), twin.table.footprint)
        #expect(isSame)
        #expect(footprint == ConnectionTable.minimumCapacity * 8)
    }

    /// Old and new slots together are at most 32 bytes a connection, from a page on, at every moment of growth.
    @Test func theFootprintIsBoundedWhileItGrows() {
        var twin = Twin(seed: 1)
        var worst = 0.0
        for _ in 0..<60_000 {
            twin.insert()
            guard twin.table.count >= ConnectionTable.minimumCapacity else { continue }
            worst = max(worst, Double(twin.table.footprint) / Double(twin.table.count))
        }
        #expect(worst <= ConnectionTable.worstBytesPerConnection + 0.1)
        #expect(worst > 20)
    }

    /// A connection that has not moved yet is found by the long way, and by the short way once it has.
    @Test func whatHasNotMovedIsFound() {
        var twin = Twin(seed: 3)
        while !twin.table.isMoving || twin.table.count < 3_000 { twin.insert() }
        let hidden = twin.hidden()
        let areFound = hidden.allSatisfy { twin.table.find($0) == twin.model[$0] }
        #expect(hidden.count > 2_000 && areFound)
        // A step looks at as many slots as it was told, and goes on to the end of the run.
        let before = hidden.count
        twin.table.move(slots: 64)
        let after = twin.hidden().count
        #expect(before - after >= 1 && before - after < 64 + 100)
        twin.table.move(slots: .max)
        let isMoving = twin.table.isMoving
        #expect(!isMoving)
        let left = twin.hidden().count
        #expect(left == 0)
    }

    /// Whoever chooses ports cannot choose their slots: the longest run stays short.
    @Test func removalClosesGaps() {
        var twin = Twin(seed: 9)
        for _ in 0..<50_000 {
            for _ in 0..<3 { twin.insert() }
            for _ in 0..<3 { twin.remove() }
        }
        let isSame = twin.isSame()
        #expect(isSame)
    }
}
