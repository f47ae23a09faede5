import Runtime

/// What every connection says before its load: HELLO, AUTH, SELECT, as far as the settings ask for it. Owns its bytes.
struct BenchGreeting {
    private(set) var bytes: [UInt8] = []
    private(set) var replies = 0

    init(_ settings: BenchSettings) {
        if let password = settings.password {
            add(["AUTH"] + (settings.user.map { [$0] } ?? []) + [password])
        }
        if settings.usesRESP3 { add(["HELLO", "3"]) }
        if settings.database != 0 { add(["SELECT", "\(settings.database)"]) }
    }

    private mutating func add(_ words: [String]) {
        bytes += Self.request(words)
        replies += 1
    }

    static func request(_ words: [String]) -> [UInt8] {
        var text = "*\(words.count)\r\n"
        for word in words { text += "$\(word.utf8.count)\r\n\(word)\r\n" }
        return Array(text.utf8)
    }
}
