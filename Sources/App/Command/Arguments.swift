import Runtime

/// The words of one command, in place where they were received: `arguments[0]` is the command's name.
/// Valid until the command returns.
struct Arguments: BitwiseCopyable {
    let base: UnsafePointer<ByteView>
    /// Always at least 1.
    let count: Int

    subscript(_ index: Int) -> ByteView { base[index] }
}
