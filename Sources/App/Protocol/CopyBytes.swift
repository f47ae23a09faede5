import Glibc

/// memcpy without a call for short runs. Reads and writes exactly `count` bytes.
@inline(__always)
func copyBytes(_ source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, _ count: Int) {
    typealias Block = SIMD16<UInt8>
    if count >= 16 && count <= 128 {
        var offset = 0
        let last = count &- 16
        while offset < last {
            (target + offset).storeBytes(of: (source + offset).loadUnaligned(as: Block.self), as: Block.self)
            offset &+= 16
        }
        (target + last).storeBytes(of: (source + last).loadUnaligned(as: Block.self), as: Block.self)
    } else {
        target.copyMemory(from: source, byteCount: count)
    }
}
