import Glibc
import Runtime

/// Writes what was found: a line after each test, and JSON at the end.
struct BenchOutput {
    let settings: BenchSettings
    /// As INFO tells it; empty when it does not.
    let server: String
    /// "xdp" and "copy"; the second may be empty.
    let link: String
    let mode: String
    private var results: [BenchResult] = []

    init(_ settings: BenchSettings, server: String, link: String, mode: String) {
        self.settings = settings
        self.server = server
        self.link = link
        self.mode = mode
    }

    private var table: BenchTable {
        BenchTable(settings: settings, server: server, link: mode.isEmpty ? link : link + " " + mode)
    }

    /// JSON on standard output has it for itself.
    private var descriptor: Int32 { settings.jsonFile == "-" ? STDERR_FILENO : STDOUT_FILENO }

    func begin() { write(table.heading + table.title, to: descriptor) }

    /// - Parameter errors: texts to show.
    mutating func add(_ result: BenchResult, errors: [String]) {
        results.append(result)
        var text = table.lines(result)
        if settings.showsErrors { text += errors.map { "Error from server: \($0)\n" }.joined() }
        if !settings.isCSV { text += remarks(result) }
        write(text, to: descriptor)
    }

    private func remarks(_ result: BenchResult) -> String {
        var text = ""
        if result.errors > 0, !settings.showsErrors {
            text += "  \(result.errors) errors" + (result.errorText.map { ", the first: \($0)" } ?? "") + "\n"
        }
        if let first = result.wrongText { text += "  \(result.wrong) wrong replies, the first: \(first)\n" }
        if result.isInterrupted { text += "  stopped before its end\n" }
        return text
    }

    /// Returns the exit status.
    func finish() throws(BenchError) -> Int32 {
        if let file = settings.jsonFile {
            let time = Text.utc(unixMilliseconds: SystemClock().unixMilliseconds)
            let json = BenchJSON(settings: settings, server: server, link: link, mode: mode)
            try save(json.document(results, time: time), file)
        }
        return results.contains { $0.wrong > 0 || $0.errors > 0 && !settings.showsErrors } ? 1 : 0
    }

    private func write(_ text: String, to descriptor: Int32) {
        var text = text
        text.withUTF8 { bytes in
            var done = 0
            while done < bytes.count {
                let count = Glibc.write(descriptor, bytes.baseAddress! + done, bytes.count - done)
                guard count > 0 else { return }
                done += count
            }
        }
    }

    private func save(_ text: String, _ file: String) throws(BenchError) {
        if file == "-" { return write(text, to: STDOUT_FILENO) }
        let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw BenchError("Cannot write '\(file)': \(String(cString: strerror(errno))) (--json).")
        }
        write(text, to: descriptor)
        close(descriptor)
    }
}
