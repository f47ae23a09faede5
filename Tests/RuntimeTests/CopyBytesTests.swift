import Runtime
import Testing

@Suite struct CopyBytesTests {
    /// As memmove, for every count around the blocks' borders and every way in which two ranges can overlap.
    @Test func copiesAsMemmove() {
        let (size, start) = (400, 130)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        defer { memory.deallocate() }
        let before = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ $0 >> 3) }
        for count in 0...140 {
            for shift in -130...130 where start + shift + count <= size {
                before.withUnsafeBytes { memory.copyMemory(from: $0.baseAddress!, byteCount: size) }
                copyBytes(memory + start, to: memory + start + shift, count)
                var expected = before
                expected.replaceSubrange(start + shift..<start + shift + count, with: before[start..<start + count])
                let result = [UInt8](UnsafeRawBufferPointer(start: memory, count: size))
                #expect(result == expected, "\(count) bytes, \(shift) further")
            }
        }
    }
}
