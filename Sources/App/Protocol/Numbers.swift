import Glibc
import Runtime

/// A signed 64-bit integer in the one form that prints back the same: no sign but `-`, no leading zeros, no blanks
/// (Redis's string2ll).
@inline(__always)
func parseInteger(_ text: ByteView) -> Int64? {
    let count = text.count
    // The commonest numbers are short and cannot overflow.
    if count == 0 || count > Decimal.maximumDigits { return nil }
    let first = text[0] &- 48
    if count == 1 { return first <= 9 ? Int64(first) : nil }
    return parseLongInteger(text)
}

@inline(never)
func parseLongInteger(_ text: ByteView) -> Int64? {
    let isNegative = text[0] == UInt8(ascii: "-")
    var index = isNegative ? 1 : 0
    guard index < text.count else { return nil }
    let first = text[index] &- 48
    guard first >= 1 && first <= 9 else { return nil }
    var magnitude = UInt64(first)
    index &+= 1
    // 18 digits cannot overflow.
    let safe = min(text.count, index &+ 17)
    while index < safe {
        let digit = text[index] &- 48
        guard digit <= 9 else { return nil }
        magnitude = magnitude &* 10 &+ UInt64(digit)
        index &+= 1
    }
    while index < text.count {
        let digit = text[index] &- 48
        guard digit <= 9 else { return nil }
        let (product, tooLarge) = magnitude.multipliedReportingOverflow(by: 10)
        let (sum, carried) = product.addingReportingOverflow(UInt64(digit))
        if tooLarge || carried { return nil }
        magnitude = sum
        index &+= 1
    }
    if isNegative { return magnitude <= 1 << 63 ? Int64(truncatingIfNeeded: 0 &- magnitude) : nil }
    return magnitude < 1 << 63 ? Int64(magnitude) : nil
}

/// C's `long double`: what Redis counts INCRBYFLOAT in.
#if arch(x86_64)
    typealias LongDouble = Float80
#else
    typealias LongDouble = Double
#endif

/// A floating point number as C reads it, `inf` and hexadecimal forms included; no blanks, no NaN, nothing behind it,
/// no overflow or underflow (Redis's string2ld).
func parseFloat(_ text: ByteView) -> LongDouble? {
    // MAX_LONG_DOUBLE_CHARS
    guard text.count > 0 && text.count < 5 * 1024, !isSpace(text[0]) else { return nil }
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: text.count + 1) { buffer -> LongDouble? in
        let start = buffer.baseAddress!
        memcpy(start, text.base, text.count)
        start[text.count] = 0
        var end: UnsafeMutablePointer<CChar>?
        errno = 0
        #if arch(x86_64)
            let value = strtold(start, &end)
        #else
            let value = strtod(start, &end)
        #endif
        guard let end, end - start == text.count, !value.isNaN else { return nil }
        if errno == ERANGE && (value.isInfinite || value.isZero) { return nil }
        return value
    }
}

/// The same for 64-bit numbers (Redis's string2d).
func parseDouble(_ text: ByteView) -> Double? {
    guard text.count > 0 && text.count < 5 * 1024, !isSpace(text[0]) else { return nil }
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: text.count + 1) { buffer -> Double? in
        let start = buffer.baseAddress!
        memcpy(start, text.base, text.count)
        start[text.count] = 0
        var end: UnsafeMutablePointer<CChar>?
        errno = 0
        let value = strtod(start, &end)
        guard let end, end - start == text.count, !value.isNaN else { return nil }
        if errno == ERANGE && (value.isInfinite || value.isZero) { return nil }
        return value
    }
}

private func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (byte >= 9 && byte <= 13) }

/// Plain decimal text with at most 17 digits behind the point and no zeros at its end, never an exponent
/// (Redis's ld2string with LD_STR_HUMAN).
func formatHumanFloat(_ value: LongDouble) -> String {
    if value.isInfinite { return value > 0 ? "inf" : "-inf" }
    if value.isNaN { return "nan" }
    #if arch(x86_64)
        var text = printed("%.17Lf", value)
    #else
        var text = printed("%.17f", value)
    #endif
    if text.contains(".") {
        while text.last == "0" { text.removeLast() }
        if text.last == "." { text.removeLast() }
    }
    return text == "-0" ? "0" : text
}

/// `%.17g`, `inf` or `-inf`.
func formatDouble(_ value: Double) -> String {
    if value.isInfinite { return value > 0 ? "inf" : "-inf" }
    if value.isNaN { return "nan" }
    if value == value.rounded() && abs(value) < 1e15 && !(value == 0 && value.sign == .minus) {
        return "\(Int64(value))"
    }
    return printed("%.17g", value)
}

private func printed(_ format: String, _ value: any CVarArg) -> String {
    withVaList([value]) { list in
        // A long double has up to 4933 digits before the point.
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 5 * 1024) { buffer in
            let count = vsnprintf(buffer.baseAddress!, buffer.count, format, list)
            return ByteView(buffer.baseAddress!, Int(count)).string
        }
    }
}
