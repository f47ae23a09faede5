import Net

/// Where a `ReplyWriter` gets memory from: a stream's transmit frames, or a cross-shard request's reply area.
/// Called once for each span of some kilobytes, never for each reply.
class ReplySink {
    /// Takes the bytes written so far (those below `cursor` of the span given last) and lends the next span, which has
    /// room for at least one byte.
    func next(after cursor: UnsafeMutableRawPointer) -> OutputSpan { fatalError("abstract") }
}
