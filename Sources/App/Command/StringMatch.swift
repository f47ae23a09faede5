import Runtime

/// Redis's glob patterns (stringmatchlen): `*` any bytes, `?` one byte, `[abc]` `[^abc]` `[a-z]` one byte of a set, `\x`
/// the byte x. The whole string must match. A set that is not closed ends with the pattern; a range may be reversed.
/// As in Redis, the empty string matches the empty pattern alone, not `*`.
///
/// On a mismatch only the latest `*` takes one byte more, which is enough (an earlier one could not help), so the cost is
/// at most pattern times string.
func stringMatch(_ pattern: ByteView, _ string: ByteView, ignoringCase: Bool = false) -> Bool {
    if string.count == 0 { return pattern.count == 0 }
    let matcher = GlobMatcher(pattern: pattern, ignoringCase: ignoringCase)
    var p = 0
    var s = 0
    /// Behind the latest `*`, and where in the string it was tried last; -1: there was none.
    var star = -1
    var retry = 0
    while s < string.count {
        if p < pattern.count {
            if pattern[p] == UInt8(ascii: "*") {
                p &+= 1
                star = p
                retry = s
                continue
            }
            let next = matcher.matchOne(at: p, string[s])
            if next >= 0 {
                p = next
                s &+= 1
                continue
            }
        }
        guard star >= 0 else { return false }
        retry &+= 1
        p = star
        s = retry
    }
    while p < pattern.count && pattern[p] == UInt8(ascii: "*") { p &+= 1 }
    return p == pattern.count
}

private struct GlobMatcher {
    let pattern: ByteView
    let ignoringCase: Bool

    private func folded(_ byte: UInt8) -> UInt8 { ignoringCase && byte >= 65 && byte <= 90 ? byte | 0x20 : byte }

    /// Matches one byte with the element at `start`, which is not `*`. Where the next element is, or -1.
    func matchOne(at start: Int, _ byte: UInt8) -> Int {
        switch pattern[start] {
        case UInt8(ascii: "?"):
            return start &+ 1
        case UInt8(ascii: "["):
            return matchSet(at: start &+ 1, byte)
        case UInt8(ascii: "\\") where start &+ 1 < pattern.count:
            return folded(pattern[start &+ 1]) == folded(byte) ? start &+ 2 : -1
        default:
            return folded(pattern[start]) == folded(byte) ? start &+ 1 : -1
        }
    }

    /// `start` is behind the bracket.
    private func matchSet(at start: Int, _ byte: UInt8) -> Int {
        var index = start
        let isNegated = index < pattern.count && pattern[index] == UInt8(ascii: "^")
        if isNegated { index &+= 1 }
        var isFound = false
        while index < pattern.count && pattern[index] != UInt8(ascii: "]") {
            let left = pattern.count &- index
            if pattern[index] == UInt8(ascii: "\\") && left >= 2 {
                // Redis compares an escaped byte with its case.
                if pattern[index &+ 1] == byte { isFound = true }
                index &+= 2
            } else if left >= 3 && pattern[index &+ 1] == UInt8(ascii: "-") {
                // Redis puts the ends in order before it folds them.
                let low = folded(min(pattern[index], pattern[index &+ 2]))
                let high = folded(max(pattern[index], pattern[index &+ 2]))
                if folded(byte) >= low && folded(byte) <= high { isFound = true }
                index &+= 3
            } else {
                if folded(pattern[index]) == folded(byte) { isFound = true }
                index &+= 1
            }
        }
        // Behind the closing bracket, if there is one.
        let next = min(index &+ 1, pattern.count)
        return isFound != isNegated ? next : -1
    }
}
