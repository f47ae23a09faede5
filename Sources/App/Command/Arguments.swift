import Runtime

/// The words of one command, in place where they were received: `arguments[0]` is the command's name.
/// Valid until the command returns.
struct Arguments: BitwiseCopyable, @unchecked Sendable {
    let base: UnsafePointer<ByteView>
    /// Always at least 1.
    let count: Int
    /// Set when the command was received in several pieces.
    private let partial: UnsafeMutablePointer<PartialRequest>?

    init(base: UnsafePointer<ByteView>, count: Int, partial: UnsafeMutablePointer<PartialRequest>? = nil) {
        self.base = base
        self.count = count
        self.partial = partial
    }

    /// For a context whose command is not yet read: no word may be asked for.
    static let none = Arguments(base: UnsafePointer(bitPattern: 8)!, count: 0)

    subscript(_ index: Int) -> ByteView { base[index] }

    /// If the bytes of argument `index` are a malloc block of their own (large values received in several pieces):
    /// gives the block to the caller, who frees it or hands it on. The view stays valid as long as the block does.
    /// The block has exactly the argument's length (1 byte for an empty one). At most once for an argument.
    @inline(__always)
    func takeBlock(_ index: Int) -> UnsafeMutableRawPointer? { partial?.pointee.takeBlock(index) }
}
