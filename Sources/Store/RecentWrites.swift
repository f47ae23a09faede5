import Runtime

/// Which keys were changed lately, for who has read some and wants to know whether they still say the same: whether a key was
/// changed since an earlier moment may be answered with yes although it was not, never with no although it was.
///
/// Keys share cells by a few of their bytes; a cell has the number of the last change of any of its keys. The store notes what
/// expires, all else is noted by who changes it: entries may be written to without the store. A handle.
public struct RecentWrites: BitwiseCopyable {
    /// 4 KiB: a small part of the first cache.
    private static let cellCount = 1024
    /// The cells, and behind them the number of the last change. Numbers wrap: what is half the range old counts as new.
    private let cells: UnsafeMutablePointer<UInt32>

    init() {
        cells = .allocate(capacity: Self.cellCount + 1)
        cells.initialize(repeating: 0, count: Self.cellCount + 1)
    }

    func deallocate() { cells.deallocate() }

    /// The number of the last change.
    @inline(__always) public var position: UInt32 { cells[Self.cellCount] }

    @inline(__always) public func note(_ key: ByteView) {
        let number = position &+ 1
        cells[Self.cellCount] = number
        cells[Self.cell(of: key)] = number
    }

    /// Every key may have been changed.
    @inline(never) public func noteAll() {
        let number = position &+ 1
        for index in 0...Self.cellCount { cells[index] = number }
    }

    /// False only if `key` was not changed after the change numbered `position`.
    @inline(__always) public func mayHaveChanged(_ key: ByteView, since position: UInt32) -> Bool {
        Int32(bitPattern: cells[Self.cell(of: key)] &- position) > 0
    }

    /// By the key's last eight bytes and its length; keys that share a cell cost time only.
    @inline(__always) private static func cell(of key: ByteView) -> Int {
        let end = key.base + key.count
        let word: UInt64
        if key.count >= 8 {
            word = (end - 8).loadUnaligned(as: UInt64.self)
        } else if key.count >= 4 {
            word = UInt64((end - 4).loadUnaligned(as: UInt32.self)) &<< 8 | UInt64(key[0])
        } else {
            word = key.count == 0 ? 0 : UInt64(key[0]) | UInt64(key[key.count &- 1]) &<< 8
        }
        return Int(((word &+ UInt64(truncatingIfNeeded: key.count)) &* 0x9E37_79B9_7F4A_7C15) &>> 54)
    }
}
