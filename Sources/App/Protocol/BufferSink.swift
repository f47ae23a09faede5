import Net
import Runtime

/// A sink that keeps everything, for tests and for replies that are put together elsewhere before they are sent.
final class BufferSink: ReplySink {
    /// What was written up to the last `next`.
    private(set) var bytes: [UInt8] = []
    private let span: UnsafeMutableRawPointer
    private let spanSize: Int

    /// `spanSize`: bytes lent at a time, at least 1.
    init(spanSize: Int = 4096) {
        self.spanSize = spanSize
        span = .allocate(byteCount: spanSize, alignment: 16)
    }

    deinit { span.deallocate() }

    /// A writer into the empty sink.
    func writer(isRESP3: Bool = false) -> ReplyWriter {
        bytes = []
        return ReplyWriter(
            OutputSpan(cursor: span, limit: span + spanSize), sink: self, isRESP3: isRESP3)
    }

    /// Takes the rest of what `writer` wrote. All of it is in `bytes` then.
    func finish(_ writer: ReplyWriter) {
        _ = next(after: writer.finish())
    }

    override func next(after cursor: UnsafeMutableRawPointer) -> OutputSpan {
        bytes.append(contentsOf: UnsafeRawBufferPointer(start: span, count: cursor - span))
        return OutputSpan(cursor: span, limit: span + spanSize)
    }
}

/// A sink that keeps nothing (CLIENT REPLY OFF).
final class DiscardSink: ReplySink {
    private static let spanSize = 4096
    private let span: UnsafeMutableRawPointer = .allocate(byteCount: DiscardSink.spanSize, alignment: 16)

    deinit { span.deallocate() }

    var firstSpan: OutputSpan { OutputSpan(cursor: span, limit: span + Self.spanSize) }

    override func next(after cursor: UnsafeMutableRawPointer) -> OutputSpan { firstSpan }
}
