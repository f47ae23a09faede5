import Net

/// A directive's value after checking: it cannot be nonsense.
enum ConfigValue: Equatable, Sendable {
    case integer(Int)
    case toggle(Bool)
    /// Also choices (in the table's spelling), addresses and shard counts.
    case text(String)
    case words([String])
    case savePoints([SavePoint])
    case outputLimits(OutputLimits)

    /// As CONFIG GET shows it.
    var description: String {
        switch self {
        case .integer(let number): String(number)
        case .toggle(let on): on ? "yes" : "no"
        case .text(let text): text
        case .words(let words): words.joined(separator: " ")
        case .savePoints(let points): points.map { "\($0.seconds) \($0.changes)" }.joined(separator: " ")
        case .outputLimits(let limits): limits.description
        }
    }
}

/// Why a value was refused, in Redis's words.
struct ValueError: Error, Equatable {
    let text: String
    init(_ text: String) { self.text = text }
}

extension DirectiveKind {
    /// Checks `words` (a line of the file without the directive's name). `previous` is the value so far, of which
    /// groups that are not named stay.
    func parse(_ words: [String], previous: ConfigValue?) throws(ValueError) -> ConfigValue {
        switch self {
        case .words:
            guard words.count <= 16 else { throw ValueError("Too many bind addresses specified.") }
            return .words(words.filter { !$0.isEmpty })
        case .savePoints:
            return .savePoints(try SavePoint.parse(words))
        case .outputLimits:
            var limits = OutputLimits.none
            if case .outputLimits(let present)? = previous { limits = present }
            return .outputLimits(try limits.changed(by: words))
        default:
            guard words.count == 1 else { throw ValueError("wrong number of arguments") }
            return try parseOne(words[0])
        }
    }

    private func parseOne(_ word: String) throws(ValueError) -> ConfigValue {
        switch self {
        case .integer(let range):
            guard let number = strictInteger(word) else {
                throw ValueError("argument couldn't be parsed into an integer")
            }
            return .integer(try check(number, range))
        case .memory(let range):
            guard let number = memorySize(word) else { throw ValueError("argument must be a memory value") }
            return .integer(try check(number, range))
        case .toggle:
            return .toggle(try yesOrNo(word))
        case .alwaysNo(let reason):
            if try yesOrNo(word) { throw ValueError(reason) }
            return .toggle(false)
        case .choice(let choices):
            if let choice = choices.first(where: { $0 == word.lowercased() }) { return .text(choice) }
            throw ValueError("argument(s) must be one of the following: " + choices.joined(separator: ", "))
        case .shardCount:
            if word.lowercased() == "auto" { return .text("auto") }
            guard let number = strictInteger(word), (1...1024).contains(number) else {
                throw ValueError("argument must be 'auto' or between 1 and 1024 inclusive")
            }
            return .text(String(number))
        case .subnetAddress:
            guard word.isEmpty || SubnetAddress(word) != nil else {
                throw ValueError("argument must be an IPv4 address with a prefix length, such as 10.9.0.9/24")
            }
            return .text(word)
        case .ipv4Address:
            guard word.isEmpty || IPv4Address(word) != nil else { throw ValueError("argument must be an IPv4 address") }
            return .text(word)
        case .text, .words, .savePoints, .outputLimits:
            return .text(word)
        }
    }

    private func check(_ number: Int, _ range: ClosedRange<Int>) throws(ValueError) -> Int {
        guard range.contains(number) else {
            throw ValueError("argument must be between \(range.lowerBound) and \(range.upperBound) inclusive")
        }
        return number
    }

    private func yesOrNo(_ word: String) throws(ValueError) -> Bool {
        switch word.lowercased() {
        case "yes": return true
        case "no": return false
        default: throw ValueError("argument must be 'yes' or 'no'")
        }
    }
}

/// A decimal number as Redis's string2ll takes it: no plus sign, no leading zeros, no spaces.
func strictInteger(_ text: String) -> Int? {
    guard let number = Int(text), String(number) == text else { return nil }
    return number
}

/// Bytes as Redis's memtoull takes them: digits and a unit. Powers of ten without b, of two with it.
/// nil: no digits, a sign, another unit, or more than Int.max.
func memorySize(_ text: String) -> Int? {
    let digits = text.prefix { ("0"..."9").contains($0) }
    guard !digits.isEmpty, let number = Int(digits) else { return nil }
    let factor: Int
    switch text.dropFirst(digits.count).lowercased() {
    case "", "b": factor = 1
    case "k": factor = 1000
    case "kb": factor = 1 << 10
    case "m": factor = 1_000_000
    case "mb": factor = 1 << 20
    case "g": factor = 1_000_000_000
    case "gb": factor = 1 << 30
    default: return nil
    }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: factor)
    return overflow ? nil : bytes
}
