/// The fuzzer's bytes as a program: read from the front, zeros behind the end.
struct Input {
    private var next: UnsafePointer<UInt8>
    private(set) var left: Int

    init(_ bytes: UnsafePointer<UInt8>?, _ count: Int) {
        next = bytes ?? UnsafePointer(bitPattern: 1)!
        left = bytes == nil ? 0 : count
    }

    var isEmpty: Bool { left == 0 }

    mutating func byte() -> UInt8 {
        guard left > 0 else { return 0 }
        let value = next.pointee
        next += 1
        left -= 1
        return value
    }

    mutating func int() -> Int { Int(byte()) }
    mutating func word() -> UInt16 { UInt16(byte()) << 8 | UInt16(byte()) }
    mutating func long() -> UInt32 { UInt32(word()) << 16 | UInt32(word()) }

    /// The next bytes as they lie, at most `count`.
    mutating func take(_ count: Int) -> UnsafeBufferPointer<UInt8> {
        let n = min(count, left)
        defer {
            next += n
            left -= n
        }
        return UnsafeBufferPointer(start: next, count: n)
    }
}
