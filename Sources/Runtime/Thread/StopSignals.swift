import Glibc

/// The signals that ask a program to end, SIGTERM and SIGINT, and others it may listen to: blocked for all threads, and taken
/// by the one that waits or looks for them.
public struct StopSignals {
    private var signals = sigset_t()

    /// - Parameter others: signals beside the two.
    public init(others: [Int32] = []) {
        sigemptyset(&signals)
        for number in [SIGTERM, SIGINT] + others { sigaddset(&signals, number) }
    }

    /// Before any thread starts, because threads inherit the mask. A peer that is gone is an error of the write from now on,
    /// not a signal.
    public func block() {
        var signals = signals
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    /// Waits for one; returns which came.
    @discardableResult
    public func wait() -> Int32 {
        var signals = signals
        var number: Int32 = 0
        sigwait(&signals, &number)
        return number
    }

    /// Takes one that has come, without waiting.
    public func hasCome() -> Bool {
        var signals = signals
        var none = timespec()
        return sigtimedwait(&signals, nil, &none) > 0
    }
}
