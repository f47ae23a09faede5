import Glibc

/// Numbers and times as people and other programs read them.
enum Text {
    /// Rounded to `digits` places behind the point; `trims`: without zeros at the end. The value is finite, and below 2^63
    /// when multiplied by 10^digits; otherwise it is shown as Swift shows it.
    static func fixed(_ value: Double, _ digits: Int, trims: Bool = false) -> String {
        let scale = pow(10, Double(digits))
        guard value.isFinite, abs(value) * scale < 9e18 else { return "\(value)" }
        let scaled = Int64((abs(value) * scale).rounded())
        let whole = scaled / Int64(scale)
        let part = String(scaled % Int64(scale))
        var tail = digits == 0 ? "" : String(repeating: "0", count: digits - part.count) + part
        if trims { while tail.hasSuffix("0") { tail.removeLast() } }
        return (value < 0 && scaled != 0 ? "-" : "") + "\(whole)" + (tail.isEmpty ? "" : "." + tail)
    }

    /// "1,234,567"
    static func grouped(_ value: Int) -> String {
        var text = ""
        let digits = String(value.magnitude)
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return (value < 0 ? "-" : "") + text
    }

    /// "50", "99.9"
    static func percentile(_ value: Double) -> String { fixed(value, 3, trims: true) }

    static func left(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
    static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    /// "2026-11-27T08:00:00Z"
    static func utc(unixMilliseconds: Int64) -> String {
        var seconds = time_t(unixMilliseconds / 1000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        var text = [CChar](repeating: 0, count: 32)
        strftime(&text, text.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension BenchSettings {
    /// "64", "10-1000"
    var sizeText: String {
        sizes.count == 1 ? "\(sizes.lowerBound)" : "\(sizes.lowerBound)-\(sizes.upperBound)"
    }
}
