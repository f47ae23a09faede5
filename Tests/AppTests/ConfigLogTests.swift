import Glibc
import Testing

@testable import App

@Suite struct ConfigLogTests {
    @Test func linesLookLikeRediss() throws {
        // The zone is this machine's, so hours and days are not compared.
        let line = Log.line(process: 42, .notice, unixMicroseconds: 1_700_000_000_123_456, "Ready to\naccept")
        #expect(line.wholeMatch(of: /42:M 1[45] Nov 2023 \d\d:\d\d:20\.123 \* Ready to accept\n/) != nil, "\(line)")
        #expect(Log.line(process: 1, .warning, unixMicroseconds: 0, "x").hasSuffix(".000 # x\n"))
        #expect(Log.line(process: 1, .verbose, unixMicroseconds: 0, "x").hasSuffix(" - x\n"))
        #expect(Log.line(process: 1, .debug, unixMicroseconds: 0, "x").hasSuffix(" . x\n"))
    }

    @Test func theLevelIsHonoured() throws {
        let path = "/tmp/apus-log-\(getpid()).log"
        unlink(path)
        defer { unlink(path) }
        let log = try Log(path: path, level: .notice)
        log.verbose("unseen")
        log.notice("one")
        log.level = .debug
        log.debug("two")
        log.level = .warning
        log.notice("unseen")
        let stream = try #require(fopen(path, "r"))
        defer { fclose(stream) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let text = String(decoding: bytes[..<fread(&bytes, 1, bytes.count, stream)], as: UTF8.self)
        #expect(text.split(separator: "\n").map { String($0.suffix(5)) } == ["* one", ". two"])
    }

    @Test func aFileThatCannotBeWrittenIsAnError() {
        do throws(ConfigError) {
            _ = try Log(path: "/none/x.log")
            Issue.record("no error")
        } catch {
            #expect(error.text == "cannot open the log file '/none/x.log': No such file or directory")
        }
    }
}
