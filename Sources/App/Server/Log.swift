import CLinux
import Glibc
import Runtime

/// How much a log line matters.
public enum LogLevel: UInt32, CaseIterable, Sendable {
    case debug, verbose, notice, warning

    public var name: String {
        switch self {
        case .debug: "debug"
        case .verbose: "verbose"
        case .notice: "notice"
        case .warning: "warning"
        }
    }

    var mark: String {
        switch self {
        case .debug: "."
        case .verbose: "-"
        case .notice: "*"
        case .warning: "#"
        }
    }
}

/// The log, in Redis's format: `1234:M 22 Nov 2026 10:00:00.123 * Ready to accept connections`.
///
/// Each line is one write(2), so threads need no lock. The file is opened for each line, so that it may be rotated
/// at any time. Not for the data path.
public final class Log: @unchecked Sendable {
    /// "" is the standard output.
    private let path: String
    /// The least severe level that is written; another thread may change it.
    private let threshold: UnsafeMutablePointer<UInt32>
    private let clock: SystemClock

    /// - Throws: when the file cannot be written, so that this is known at the start and not later.
    public init(path: String = "", level: LogLevel = .notice, clock: SystemClock = SystemClock()) throws(ConfigError) {
        self.path = path
        self.clock = clock
        if !path.isEmpty {
            let descriptor = Self.open(path)
            guard descriptor >= 0 else {
                throw ConfigError("cannot open the log file '\(path)': \(String(cString: strerror(errno)))")
            }
            close(descriptor)
        }
        threshold = .allocate(capacity: 1)
        threshold.initialize(to: level.rawValue)
    }

    public convenience init(_ config: Config) throws(ConfigError) {
        try self.init(path: config.logFile, level: config.logLevel)
    }

    deinit { threshold.deallocate() }

    public var level: LogLevel {
        get { LogLevel(rawValue: apus_load_relaxed_u32(threshold)) ?? .notice }
        set { apus_store_relaxed_u32(threshold, newValue.rawValue) }
    }

    public func debug(_ message: @autoclosure () -> String) { write(.debug, message) }
    public func verbose(_ message: @autoclosure () -> String) { write(.verbose, message) }
    public func notice(_ message: @autoclosure () -> String) { write(.notice, message) }
    public func warning(_ message: @autoclosure () -> String) { write(.warning, message) }

    private func write(_ level: LogLevel, _ message: () -> String) {
        guard level.rawValue >= apus_load_relaxed_u32(threshold) else { return }
        var line = Self.line(process: getpid(), level, unixMicroseconds: clock.unixMicroseconds, message())
        let descriptor = path.isEmpty ? STDOUT_FILENO : Self.open(path)
        guard descriptor >= 0 else { return }
        line.withUTF8 { bytes in
            // A full disk or a closed pipe must not stop the server.
            _ = Glibc.write(descriptor, bytes.baseAddress, bytes.count)
        }
        if !path.isEmpty { close(descriptor) }
    }

    private static func open(_ path: String) -> Int32 {
        Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o644)
    }

    /// One line with its line break; line breaks within the message become spaces. Local time.
    static func line(process: Int32, _ level: LogLevel, unixMicroseconds: Int64, _ message: String) -> String {
        var seconds = time_t(unixMicroseconds / 1_000_000)
        var parts = tm()
        localtime_r(&seconds, &parts)
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func padded(_ number: Int, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let day = "\(padded(Int(parts.tm_mday), 2)) \(months[Int(parts.tm_mon)]) \(Int(parts.tm_year) + 1900)"
        let hour = "\(padded(Int(parts.tm_hour), 2)):\(padded(Int(parts.tm_min), 2)):\(padded(Int(parts.tm_sec), 2))"
        let fraction = padded(Int(unixMicroseconds / 1000 % 1000), 3)
        let text = message.split(whereSeparator: \.isNewline).joined(separator: " ")
        return "\(process):M \(day) \(hour).\(fraction) \(level.mark) \(text)\n"
    }
}
