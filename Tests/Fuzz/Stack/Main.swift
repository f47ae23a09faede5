import Glibc

// libFuzzer has the main function and calls these two. `apus-fuzz-stack MODE [libFuzzer's options and folders]`: see
// docs/testing.md. The modes: `segments` plays remote hosts and the user against a live stack, `frames` feeds arbitrary
// frames.

private typealias Test = @Sendable (UnsafePointer<UInt8>?, Int) -> Void

private let modes: [String: Test] = ["segments": testSegments, "frames": testFrames]

nonisolated(unsafe) private var chosen: Test = { _, _ in }

/// Takes the mode out of the arguments before libFuzzer reads them.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>
) -> CInt {
    let all = arguments.pointee
    // libFuzzer starts itself again for merging, with the arguments it has: then the environment knows.
    let word = count.pointee > 1 ? all[1].map { String(cString: $0) } : nil
    if let word, modes[word] != nil {
        setenv("APUS_FUZZ_MODE", word, 1)
        for index in 1..<Int(count.pointee) { all[index] = all[index + 1] }
        count.pointee -= 1
    }
    guard let mode = getenv("APUS_FUZZ_MODE").flatMap({ modes[String(cString: $0)] }) else {
        fail("usage: apus-fuzz-stack segments|frames [libFuzzer's arguments]")
    }
    chosen = mode
    return 0
}

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    chosen(bytes, count)
    return 0
}

/// Set by the environment's APUS_FUZZ_TRACE: each step, and what is there before it, to the standard error.
let isTracing = getenv("APUS_FUZZ_TRACE") != nil

func say(_ text: String) {
    var line = text + "\n"
    line.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

/// What is wrong, to the standard error; then libFuzzer writes the input down.
func fail(_ text: String) -> Never {
    say("apus-fuzz: \(text)")
    abort()
}
