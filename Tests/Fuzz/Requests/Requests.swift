import Glibc
import Runtime

@testable import App

/// A stream of requests, read at once and in pieces: both must give the same arguments and the same error. The first byte
/// says how it is cut.
@_cdecl("LLVMFuzzerTestOneInput")
public func testRequests(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard count > 1, let bytes else { return 0 }
    let stream = UnsafeBufferPointer(start: bytes + 1, count: count - 1)
    let whole = ReadRequests(stream, cut: 0)
    let pieces = ReadRequests(stream, cut: bytes[0])
    if whole.digest != pieces.digest || whole.requests != pieces.requests || whole.error != pieces.error {
        fail("cut by \(bytes[0]): \(pieces), whole: \(whole)")
    }
    return 0
}

/// What is wrong, to the standard error; then libFuzzer writes the input down.
private func fail(_ text: String) -> Never {
    var line = "apus-fuzz-requests: \(text)\n"
    line.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
    abort()
}

/// What a reader makes of a stream that comes in pieces.
struct ReadRequests {
    private(set) var requests = 0
    /// FNV-1a over all arguments with their lengths.
    private(set) var digest: UInt64 = 0xCBF2_9CE4_8422_2325
    private(set) var error: String?

    init(_ stream: UnsafeBufferPointer<UInt8>, cut: UInt8) {
        let scratch = RequestScratch(maximumBulkLength: 1 << 20, maximumBuffered: 1 << 20)
        var reader = RequestReader()
        var state = UInt32(cut)
        var at = 0
        while at < stream.count, error == nil {
            state = state &* 1_664_525 &+ 1_013_904_223
            let most = cut == 0 ? stream.count : 1 + Int(state >> 24) % (1 + Int(cut))
            let n = min(most, stream.count - at)
            // Memory of its own: what is read beyond its end is found.
            let piece = UnsafeMutableRawPointer.allocate(byteCount: n, alignment: 1)
            piece.copyMemory(from: stream.baseAddress! + at, byteCount: n)
            var feed = RequestFeed(ByteView(piece, n))
            while let arguments = reader.next(&feed, scratch) { add(arguments) }
            let used = reader.finish(&feed, scratch)
            error = feed.error.map { "\($0)" }
            if error == nil, used != n { fail("\(used) of \(n) bytes were consumed") }
            piece.deallocate()
            at += n
        }
        reader.discard(scratch)
        scratch.deallocate()
    }

    private mutating func add(_ arguments: Arguments) {
        requests += 1
        for index in 0..<arguments.count {
            let argument = arguments[index]
            add(UInt8(truncatingIfNeeded: argument.count))
            for k in 0..<argument.count { add(argument[k]) }
        }
        add(0xFE)
    }

    private mutating func add(_ byte: UInt8) { digest = (digest ^ UInt64(byte)) &* 0x100_0000_01B3 }
}
