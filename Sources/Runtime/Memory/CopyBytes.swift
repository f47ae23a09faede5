import Glibc

/// memmove without a call and without a loop for 16 to 128 bytes: blocks from the start and blocks from the end, which
/// overlap where the count is no multiple. Reads and writes exactly `count` bytes; all are read before the first is
/// written, so that source and target may overlap.
@inlinable @inline(__always)
public func copyBytes(_ source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, _ count: Int) {
    guard UInt(bitPattern: count &- 16) <= 112 else { return copyOtherCount(source, to: target, count) }
    let first = block(source, 0)
    let last = block(source, count &- 16)
    if count > 32 {
        let second = block(source, 16)
        let secondToLast = block(source, count &- 32)
        if count > 64 { copyInner(source, to: target, count) }
        put(second, target, 16)
        put(secondToLast, target, count &- 32)
    }
    put(first, target, 0)
    put(last, target, count &- 16)
}

@usableFromInline typealias Block16 = SIMD16<UInt8>

@inlinable @inline(__always) func block(_ source: UnsafeRawPointer, _ offset: Int) -> Block16 {
    (source + offset).loadUnaligned(as: Block16.self)
}

@inlinable @inline(__always) func put(_ block: Block16, _ target: UnsafeMutableRawPointer, _ offset: Int) {
    (target + offset).storeBytes(of: block, as: Block16.self)
}

/// What lies between the first and the last 32 bytes of 65 to 128.
@inlinable @inline(__always) func copyInner(
    _ source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, _ count: Int
) {
    let (third, fourth) = (block(source, 32), block(source, 48))
    let (fourthToLast, thirdToLast) = (block(source, count &- 64), block(source, count &- 48))
    put(third, target, 32)
    put(fourth, target, 48)
    put(fourthToLast, target, count &- 64)
    put(thirdToLast, target, count &- 48)
}

@usableFromInline @inline(never) func copyOtherCount(
    _ source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, _ count: Int
) {
    if UInt(bitPattern: count &- 4) < 12 {
        if count >= 8 {
            let first = source.loadUnaligned(as: UInt64.self)
            let last = (source + (count &- 8)).loadUnaligned(as: UInt64.self)
            target.storeBytes(of: first, as: UInt64.self)
            (target + (count &- 8)).storeBytes(of: last, as: UInt64.self)
        } else {
            let first = source.loadUnaligned(as: UInt32.self)
            let last = (source + (count &- 4)).loadUnaligned(as: UInt32.self)
            target.storeBytes(of: first, as: UInt32.self)
            (target + (count &- 4)).storeBytes(of: last, as: UInt32.self)
        }
    } else {
        memmove(target, source, count)
    }
}
