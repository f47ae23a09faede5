import Glibc

/// memcpy without a call and without a loop for 16 to 128 bytes: blocks from the start and blocks from the end, which
/// overlap where the count is no multiple. Reads and writes exactly `count` bytes.
@inline(__always)
func copyBytes(_ source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, _ count: Int) {
    guard count >= 16 && count <= 128 else { return target.copyMemory(from: source, byteCount: count) }
    copyBlock(source, target, 0)
    copyBlock(source, target, count &- 16)
    guard count > 32 else { return }
    copyBlock(source, target, 16)
    copyBlock(source, target, count &- 32)
    guard count > 64 else { return }
    copyBlock(source, target, 32)
    copyBlock(source, target, 48)
    copyBlock(source, target, count &- 64)
    copyBlock(source, target, count &- 48)
}

@inline(__always)
private func copyBlock(_ source: UnsafeRawPointer, _ target: UnsafeMutableRawPointer, _ offset: Int) {
    typealias Block = SIMD16<UInt8>
    (target + offset).storeBytes(of: (source + offset).loadUnaligned(as: Block.self), as: Block.self)
}
