import CLinux
import Glibc
import Net
import Runtime

/// A load generator's whole run over one transport, in real time: connect, each test with its progress, the reports.
final class BenchRun<T: BenchTransport> {
    private let settings: BenchSettings
    private let plans: [BenchPlan]
    private let loop: BenchLoop<T, SystemClock>
    private let clock = SystemClock()
    private let progress: BenchProgress
    private var results: [BenchResult] = []
    /// SIGINT or SIGTERM came.
    private var isStopped = false
    /// Signals are looked at, and progress is shown, at this time.
    private var nextLook: Nanoseconds = 0

    /// For so long after something was done the loop looks again at once; then it lets others have the core between looks,
    /// and then it sleeps.
    private static var spin: Nanoseconds { .microseconds(50) }
    private static var yielding: Nanoseconds { .milliseconds(2) }
    /// Without a reply for so long, a load is given up.
    private static var patience: Nanoseconds { .seconds(30) }

    init(_ settings: BenchSettings, _ plans: [BenchPlan], transport: T) {
        self.settings = settings
        self.plans = plans
        loop = BenchLoop(
            settings, transport: transport, clock: clock, run: UInt32(truncatingIfNeeded: Entropy.systemSecret().0))
        progress = BenchProgress(isShown: settings.showsProgress ?? (isatty(STDERR_FILENO) == 1))
    }

    /// SIGINT and SIGTERM are blocked in the calling thread. Returns the exit status.
    func run() throws(BenchError) -> Int32 {
        let server = try connect()
        let link = loop.transport.mode.isEmpty ? loop.transport.link : loop.transport.link + " " + loop.transport.mode
        let table = BenchTable(settings: settings, server: server, link: link)
        // JSON on standard output has it for itself.
        let output = settings.jsonFile == "-" ? STDERR_FILENO : STDOUT_FILENO
        write(table.heading + table.title, to: output)
        repeat {
            for (number, plan) in plans.enumerated() where !isStopped {
                loop.begin(plan.workload(settings, seed: settings.seed &+ UInt64(number), verifier: loop.verifier))
                try turns(until: { $0.isFinished }, shows: plan.name)
                let result = loop.takeResult()
                results.append(result)
                progress.clear()
                write(table.line(result) + remarks(result), to: output)
            }
        } while settings.isLooping && !isStopped
        loop.closeAll()
        if let file = settings.jsonFile {
            let json = BenchJSON(
                settings: settings, server: server, link: loop.transport.link, mode: loop.transport.mode)
            try save(json.document(results, time: Text.utc(unixMilliseconds: clock.unixMilliseconds)), file)
        }
        return results.contains { $0.wrong > 0 || $0.errors > 0 && !settings.showsErrors } ? 1 : 0
    }

    /// One connection first, which tells who the server is, then all.
    private func connect() throws(BenchError) -> String {
        loop.open(1)
        try turns(until: { $0.isOpen })
        loop.ask(BenchGreeting.request(["INFO", "server"]), replies: 1)
        try turns(until: { $0.collecting <= 0 })
        let server = ServerName.find(in: loop.collected)
        loop.open(settings.clients)
        try turns(until: { $0.isOpen })
        return server
    }

    private func turns(
        until done: (BenchLoop<T, SystemClock>) -> Bool, shows name: String? = nil
    ) throws(BenchError) {
        var lastWork = clock.monotonic
        nextLook = 0
        while !done(loop) {
            let worked = loop.turn()
            if loop.now >= nextLook { look(name) }
            if let failure = loop.failure { throw failure }
            if isStopped { return }
            if worked {
                lastWork = loop.now
            } else if loop.now - lastWork < Self.spin {
                apus_cpu_relax()
            } else {
                rest(since: lastWork)
            }
        }
    }

    /// Nothing happens at present.
    private func rest(since lastWork: Nanoseconds) {
        guard loop.now - lastWork > Self.yielding else {
            sched_yield()
            return
        }
        // Waiting has a grain of a millisecond: what is due sooner is waited for awake.
        let deadline = min(loop.nextDeadline, loop.now + .milliseconds(10))
        if deadline - loop.now > .milliseconds(2) {
            loop.transport.wait(until: deadline - .milliseconds(1), now: loop.now)
        } else {
            sched_yield()
        }
    }

    /// Ten times a second.
    private func look(_ name: String?) {
        nextLook = loop.now + .milliseconds(100)
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGINT)
        sigaddset(&signals, SIGTERM)
        var none = timespec()
        if sigtimedwait(&signals, nil, &none) > 0 { isStopped = true }
        guard let name else {
            progress.connecting(loop.readyCount, of: loop.wanted, now: loop.now)
            return
        }
        progress.show(name, loop.recorder, issued: loop.state.issued, now: loop.now)
        if loop.isWaiting, loop.now - loop.state.lastReply > Self.patience {
            let seconds = Self.patience / 1_000_000_000
            loop.fail("\(settings.host):\(settings.port) has not answered for \(seconds) seconds.")
        }
    }

    private func remarks(_ result: BenchResult) -> String {
        guard !settings.isCSV else { return "" }
        var text = ""
        if settings.showsErrors { text += loop.state.texts.map { "Error from server: \($0)\n" }.joined() }
        if result.errors > 0, !settings.showsErrors {
            text += "  \(result.errors) errors"
            if let first = result.errorText { text += ", the first: \(first)" }
            text += "\n"
        }
        if let first = result.wrongText { text += "  \(result.wrong) wrong replies, the first: \(first)\n" }
        if result.isInterrupted { text += "  stopped before its end\n" }
        return text
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

extension BenchLoop {
    /// A reply is due.
    var isWaiting: Bool { state.isSending && schedule == nil || recorder.count + state.lost < state.issued }
}

/// What INFO says of the server.
enum ServerName {
    /// "apus 0.3.0", "valkey 8.0.1", "redis 7.0.15"; empty when it does not say.
    static func find(in reply: [UInt8]) -> String {
        var fields: [Substring: Substring] = [:]
        let text = String(decoding: reply, as: UTF8.self)
        for line in text.split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[line[..<colon]] = line[line.index(after: colon)...]
        }
        for name in ["apus", "valkey", "keydb", "dragonfly", "redis"] {
            if let version = fields["\(name)_version"] { return "\(name) \(version)" }
        }
        return ""
    }
}

/// A line on standard error that is written anew each second.
final class BenchProgress {
    private let isShown: Bool
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private var lastTime: Nanoseconds = 0
    private var lastCount = 0
    private var lastSum: Nanoseconds = 0
    private var hasLine = false

    init(isShown: Bool) { self.isShown = isShown }

    func connecting(_ count: Int, of wanted: Int, now: Nanoseconds) {
        guard isDue(now), wanted > 1 else { return }
        tell("\(Text.grouped(count)) of \(Text.grouped(wanted)) connections are open")
    }

    func show(_ name: String, _ recorder: BenchRecorder, issued: Int, now: Nanoseconds) {
        if recorder.count < lastCount { (lastCount, lastSum) = (0, 0) }
        let span = now - lastTime
        guard isDue(now) else { return }
        let count = recorder.count - lastCount
        let mean = count == 0 ? 0 : Double(recorder.sum - lastSum) / Double(count) / 1e6
        (lastCount, lastSum) = (recorder.count, recorder.sum)
        let rate = Int(Double(count) * 1e9 / Double(max(1, span)))
        tell(
            "\(name): \(Text.grouped(rate)) requests/s, mean \(Text.fixed(mean, 3)) ms, "
                + "\(Text.grouped(recorder.count)) answered")
    }

    /// The line makes room for a result.
    func clear() {
        (lastCount, lastSum) = (0, 0)
        if hasLine, isTerminal { put("\r\u{1B}[K") }
        hasLine = false
    }

    private func isDue(_ now: Nanoseconds) -> Bool {
        guard isShown else { return false }
        if lastTime == 0 { lastTime = now }
        guard now - lastTime >= .seconds(1) else { return false }
        lastTime = now
        return true
    }

    private func tell(_ text: String) {
        put(isTerminal ? "\r\u{1B}[K" + text : text + "\n")
        hasLine = true
    }

    private func put(_ text: String) {
        var text = text
        text.withUTF8 { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
