import Glibc
import Runtime

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

    func show(_ name: String, _ recorder: BenchRecorder, now: Nanoseconds) {
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
