/// A command with places to fill in, and how it is sent. The words are those of redis-benchmark: `__rand_int__` is a key's
/// number in 12 digits, `__key__` is `key:` and such a number, `__data__` is a value.
struct RequestTemplate {
    /// What stands at a place.
    enum Part: Equatable {
        case bytes([UInt8])
        /// 12 digits of the next key's number.
        case key
        /// A value, without its length.
        case data
    }

    /// As in redis-benchmark's output.
    let name: String
    /// The arguments, each a sequence of parts.
    let words: [[Part]]
    /// Sent as it is, not as an array of bulk strings (PING_INLINE).
    let isInline: Bool

    init(_ name: String, _ words: [String], isInline: Bool = false) {
        self.name = name
        self.words = words.map(Self.parts)
        self.isInline = isInline
    }

    /// Parts of one argument: neighbouring bytes are one part.
    private static func parts(_ word: String) -> [Part] {
        let text = word.replacing("__key__", with: "key:__rand_int__")
        var parts: [Part] = []
        var rest = text[...]
        while true {
            let key = rest.firstRange(of: "__rand_int__")
            let data = rest.firstRange(of: "__data__")
            guard let next = [key, data].compactMap({ $0 }).min(by: { $0.lowerBound < $1.lowerBound }) else { break }
            append(rest[..<next.lowerBound], to: &parts)
            parts.append(next == key ? .key : .data)
            rest = rest[next.upperBound...]
        }
        append(rest, to: &parts)
        return parts
    }

    private static func append(_ text: Substring, to parts: inout [Part]) {
        if !text.isEmpty { parts.append(.bytes(Array(text.utf8))) }
    }

    /// Digits of a key's number.
    static let keyDigits = 12
}

extension RequestTemplate {
    /// The tests that can be named with -t, in redis-benchmark's order; `mixed` is made of `set` and `get`.
    static let catalogue: [RequestTemplate] = [
        RequestTemplate("PING_INLINE", ["PING"], isInline: true),
        RequestTemplate("PING_MBULK", ["PING"]),
        RequestTemplate("SET", ["SET", "__key__", "__data__"]),
        RequestTemplate("GET", ["GET", "__key__"]),
        RequestTemplate("INCR", ["INCR", "counter:__rand_int__"]),
        RequestTemplate("LPUSH", ["LPUSH", "mylist", "__data__"]),
        RequestTemplate("RPUSH", ["RPUSH", "mylist", "__data__"]),
        RequestTemplate("LPOP", ["LPOP", "mylist"]),
        RequestTemplate("RPOP", ["RPOP", "mylist"]),
        RequestTemplate("SADD", ["SADD", "myset", "element:__rand_int__"]),
        RequestTemplate("HSET", ["HSET", "myhash", "element:__rand_int__", "__data__"]),
        RequestTemplate("SPOP", ["SPOP", "myset"]),
        RequestTemplate("ZADD", ["ZADD", "myzset", "0", "element:__rand_int__"]),
        RequestTemplate("ZPOPMIN", ["ZPOPMIN", "myzset"]),
        RequestTemplate("LRANGE_100", ["LRANGE", "mylist", "0", "99"]),
        RequestTemplate("LRANGE_300", ["LRANGE", "mylist", "0", "299"]),
        RequestTemplate("LRANGE_500", ["LRANGE", "mylist", "0", "449"]),
        RequestTemplate("LRANGE_600", ["LRANGE", "mylist", "0", "599"]),
        RequestTemplate("MSET", ["MSET"] + Array(repeating: ["__key__", "__data__"], count: 10).flatMap { $0 }),
        RequestTemplate("MGET", ["MGET"] + Array(repeating: "__key__", count: 10)),
        RequestTemplate("DEL", ["DEL", "__key__"]),
        RequestTemplate("XADD", ["XADD", "mystream", "*", "myfield", "__data__"]),
    ]

    /// The templates that a word of -t stands for; none: there is no such test. `ping`, `lrange` name several.
    static func named(_ word: String) -> [RequestTemplate] {
        let name = word.uppercased()
        switch name {
        case "PING", "LRANGE": return catalogue.filter { $0.name.hasPrefix(name + "_") }
        default: return catalogue.filter { $0.name == name }
        }
    }
}
