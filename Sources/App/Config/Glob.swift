/// Redis's glob patterns (stringmatchlen): * any bytes, ? one byte, [abc] [^abc] [a-z] one byte of a set, \ takes the
/// next byte as it is. Whole strings are compared.
///
/// Iterative: on a mismatch the latest * takes one byte more, so the cost is at most pattern times text.
func globMatches(_ pattern: [UInt8], _ text: [UInt8], ignoringCase: Bool = false) -> Bool {
    func folded(_ byte: UInt8) -> UInt8 { ignoringCase && byte >= 65 && byte <= 90 ? byte | 0x20 : byte }
    var p = 0
    var t = 0
    /// After the latest *, and where in the text it was tried last; -1: there was none.
    var star = -1
    var retry = 0
    while t < text.count {
        if p < pattern.count, pattern[p] == UInt8(ascii: "*") {
            p += 1
            star = p
            retry = t
            continue
        }
        if p < pattern.count, let next = matchOne(pattern, p, text[t], folded) {
            p = next
            t += 1
            continue
        }
        guard star >= 0 else { return false }
        retry += 1
        p = star
        t = retry
    }
    while p < pattern.count, pattern[p] == UInt8(ascii: "*") { p += 1 }
    return p == pattern.count
}

/// Matches `byte` with the element of the pattern at `start`; returns where the next element is, nil for no match.
private func matchOne(_ pattern: [UInt8], _ start: Int, _ byte: UInt8, _ folded: (UInt8) -> UInt8) -> Int? {
    switch pattern[start] {
    case UInt8(ascii: "?"):
        return start + 1
    case UInt8(ascii: "["):
        return matchSet(pattern, start + 1, folded(byte), folded)
    case UInt8(ascii: "\\") where start + 1 < pattern.count:
        return folded(pattern[start + 1]) == folded(byte) ? start + 2 : nil
    default:
        return folded(pattern[start]) == folded(byte) ? start + 1 : nil
    }
}

/// A set that is not closed ends with the pattern.
private func matchSet(_ pattern: [UInt8], _ start: Int, _ byte: UInt8, _ folded: (UInt8) -> UInt8) -> Int? {
    var p = start
    let negated = p < pattern.count && pattern[p] == UInt8(ascii: "^")
    if negated { p += 1 }
    var found = false
    while p < pattern.count, pattern[p] != UInt8(ascii: "]") {
        if pattern[p] == UInt8(ascii: "\\"), p + 1 < pattern.count {
            p += 1
            if folded(pattern[p]) == byte { found = true }
        } else if p + 2 < pattern.count, pattern[p + 1] == UInt8(ascii: "-") {
            let bounds = [folded(pattern[p]), folded(pattern[p + 2])].sorted()
            if bounds[0] <= byte && byte <= bounds[1] { found = true }
            p += 2
        } else if folded(pattern[p]) == byte {
            found = true
        }
        p += 1
    }
    if p < pattern.count { p += 1 }
    return found != negated ? p : nil
}
