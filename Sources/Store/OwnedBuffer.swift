import Glibc
import Runtime

/// Malloc'd memory on its way to become a value: filled by the protocol while a large argument arrives, then handed to
/// `Database.adopt`. Exactly one owner: either `adopt` or `deallocate` ends it.
@frozen
public struct OwnedBuffer: BitwiseCopyable {
    public let base: UnsafeMutableRawPointer
    /// Bytes of the value so far; `count <= capacity`.
    public var count: Int
    public let capacity: Int

    /// Uninitialised memory of `capacity` bytes (at least 1), or nil when there is none.
    public init?(capacity: Int) {
        guard let memory = malloc(max(capacity, 1)) else { return nil }
        base = memory
        count = 0
        self.capacity = max(capacity, 1)
    }

    /// Takes over a block from malloc that holds `count` bytes.
    public init(adopting block: UnsafeMutableRawPointer, count: Int) {
        base = block
        self.count = count
        capacity = max(count, 1)
    }

    public var view: ByteView { ByteView(base, count) }

    public func deallocate() { free(base) }
}
