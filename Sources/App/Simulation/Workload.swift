import Runtime

/// Random commands on keys that only one client uses, with the replies that a naive model of Redis gives.
struct Workload {
    private let prefix: String
    private var entropy: Entropy
    /// The keys of this client; nothing else touches them.
    private var model: [String: [UInt8]] = [:]

    init(client: Int, entropy: Entropy) {
        prefix = "client\(client):"
        self.entropy = entropy
    }

    /// The next request and its reply.
    mutating func next() -> (request: [UInt8], reply: [UInt8]) {
        let key = prefix + "key\(entropy.next(below: 20))"
        switch entropy.next(below: 10) {
        case 0, 1, 2:
            let value = randomValue()
            model[key] = value
            return (command("SET", key, value), Array("+OK\r\n".utf8))
        case 3, 4, 5: return (command("GET", key), bulk(model[key]))
        case 6:
            let removed = model.removeValue(forKey: key) != nil
            return (command("DEL", key), integer(removed ? 1 : 0))
        case 7:
            let value = randomValue(atMost: 40)
            // APPEND of nothing still makes the key.
            model[key, default: []] += value
            return (command("APPEND", key, value), integer(model[key]!.count))
        case 8:
            let counter = prefix + "counter"
            let old = model[counter].flatMap { Int(String(decoding: $0, as: UTF8.self)) } ?? 0
            model[counter] = Array(String(old + 1).utf8)
            return (command("INCR", counter), integer(old + 1))
        default:
            // Several keys, usually of several shards.
            let keys = (0..<4).map { prefix + "key\($0 * 5 + entropy.next(below: 5))" }
            let count = keys.filter { model[$0] != nil }.count
            return (encode([Array("EXISTS".utf8)] + keys.map { Array($0.utf8) }), integer(count))
        }
    }

    private mutating func randomValue(atMost limit: Int? = nil) -> [UInt8] {
        // Mostly short, sometimes longer than a segment, sometimes empty.
        let longest = limit ?? (entropy.chance(0.05) ? 5000 : 100)
        let byte = UInt8(truncatingIfNeeded: entropy.next())
        return (0..<entropy.next(below: longest + 1)).map { byte &+ UInt8(truncatingIfNeeded: $0) }
    }

    private func command(_ name: String, _ key: String, _ value: [UInt8]? = nil) -> [UInt8] {
        encode([Array(name.utf8), Array(key.utf8)] + (value.map { [$0] } ?? []))
    }
}

/// The RESP of one request.
func encode(_ words: [[UInt8]]) -> [UInt8] {
    var bytes = Array("*\(words.count)\r\n".utf8)
    for word in words { bytes += Array("$\(word.count)\r\n".utf8) + word + Array("\r\n".utf8) }
    return bytes
}

private func integer(_ value: Int) -> [UInt8] { Array(":\(value)\r\n".utf8) }

private func bulk(_ value: [UInt8]?) -> [UInt8] {
    guard let value else { return Array("$-1\r\n".utf8) }
    return Array("$\(value.count)\r\n".utf8) + value + Array("\r\n".utf8)
}
