import Glibc
import Runtime

@testable import App

/// Bytes that end right before a page that must not be touched: a read past the end ends the process.
/// `use` keeps them alive; with `view` alone the caller does.
final class GuardedBytes {
    private let map: UnsafeMutableRawPointer
    private let mapSize: Int
    let view: ByteView

    init(_ bytes: [UInt8]) {
        let page = 4096
        let pages = (bytes.count + page - 1) / page * page
        mapSize = pages + page
        map = mmap(nil, mapSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        precondition(map != MAP_FAILED)
        precondition(mprotect(map + pages, page, PROT_NONE) == 0)
        let start = map + (pages - bytes.count)
        bytes.withUnsafeBytes { if $0.count > 0 { start.copyMemory(from: $0.baseAddress!, byteCount: $0.count) } }
        view = ByteView(start, bytes.count)
    }

    deinit { munmap(map, mapSize) }

    func use<Result>(_ body: (ByteView) throws -> Result) rethrows -> Result {
        try withExtendedLifetime(self) { try body(view) }
    }
}

/// Feeds a reader as a session does and collects what comes out.
final class RequestCollector {
    let scratch: RequestScratch
    var reader = RequestReader()
    var commands: [[[UInt8]]] = []
    var error: ProtocolError?

    init(maximumBulkLength: Int = 512 << 20, maximumBuffered: Int = 1 << 30) {
        scratch = RequestScratch(maximumBulkLength: maximumBulkLength, maximumBuffered: maximumBuffered)
    }

    deinit {
        reader.discard(scratch)
        scratch.deallocate()
    }

    /// One chunk of received data, wholly consumed unless there is an error.
    func feed(_ chunk: [UInt8]) {
        guard error == nil else { return }
        GuardedBytes(chunk).use { view in
            var feed = RequestFeed(view)
            while let arguments = reader.next(&feed, scratch) {
                commands.append((0..<arguments.count).map { arguments[$0].array })
            }
            let consumed = reader.finish(&feed, scratch)
            precondition(consumed == chunk.count)
            error = feed.error
        }
    }

    func feed(_ chunks: [[UInt8]]) -> Self {
        for chunk in chunks { feed(chunk) }
        return self
    }

    var words: [[String]] { commands.map { $0.map { String(decoding: $0, as: UTF8.self) } } }
}

extension Array where Element == UInt8 {
    func cut(every size: Int) -> [[UInt8]] { cut(at: Array<Int>(stride(from: size, to: count, by: size))) }

    /// Cut before each of `positions`, which ascend.
    func cut(at positions: [Int]) -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        var start = 0
        for position in positions + [count] {
            pieces.append(Array(self[start..<position]))
            start = position
        }
        return pieces
    }
}

/// A request as clients send it.
func encoded(_ words: [[UInt8]]) -> [UInt8] {
    var bytes = Array("*\(words.count)\r\n".utf8)
    for word in words { bytes += Array("$\(word.count)\r\n".utf8) + word + [13, 10] }
    return bytes
}

func encoded(_ words: String...) -> [UInt8] { encoded(words.map { Array($0.utf8) }) }

/// splitmix64: reproducible from its seed.
struct TestRandom: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

extension ByteView {
    /// A view of bytes that live as long as the test.
    static func leaked(_ text: String) -> ByteView { leaked(Array(text.utf8)) }

    static func leaked(_ bytes: [UInt8]) -> ByteView {
        let copy = UnsafeMutableRawPointer.allocate(byteCount: Swift.max(1, bytes.count), alignment: 1)
        bytes.withUnsafeBytes { if $0.count > 0 { copy.copyMemory(from: $0.baseAddress!, byteCount: $0.count) } }
        return ByteView(copy, bytes.count)
    }
}
