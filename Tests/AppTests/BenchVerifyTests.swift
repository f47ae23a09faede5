import Net
import Runtime
import Testing

@testable import App

@Suite("Bench: verification")
struct BenchVerifyTests {
    private func verifier(keys: Int = 10, sizes: ClosedRange<Int> = 64...64, clients: Int = 2) -> Verifier {
        var settings = BenchSettings()
        settings.keyspace = keys
        settings.sizes = sizes
        settings.clients = clients
        return Verifier(settings, ring: 4, run: 7)
    }

    private func value(_ verifier: Verifier, key: Int, size: Int = 64) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: size)
        bytes.withUnsafeMutableBytes { verifier.write($0.baseAddress!, size: size, key: key) }
        return bytes
    }

    private func bulk(_ value: [UInt8]) -> [UInt8] { Array("$\(value.count)\r\n".utf8) + value + [13, 10] }

    private func check(_ verifier: Verifier, _ reply: [UInt8], client: Int = 0, position: Int) -> String? {
        reply.withUnsafeBytes {
            verifier.check(ByteView($0.baseAddress!, $0.count), client: client, position: position)
        }
    }
    private func check(_ verifier: Verifier, _ reply: String, position: Int) -> String? {
        check(verifier, Array(reply.utf8), position: position)
    }

    /// SET of `key`, confirmed; returns the value.
    private func write(_ verifier: Verifier, key: Int, client: Int = 1) -> [UInt8] {
        let value = value(verifier, key: key)
        verifier.sent(.set, client: client, position: 0, key: key)
        #expect(check(verifier, Array("+OK\r\n".utf8), client: client, position: 0) == nil)
        return value
    }

    @Test func typesAreChecked() {
        let verifier = verifier()
        verifier.sent(.ping, client: 0, position: 0, key: 0)
        #expect(check(verifier, "+PONG\r\n", position: 0) == nil)
        #expect(check(verifier, "+OK\r\n", position: 0) == "PING was answered by \"+OK\\r\\n\"")
        verifier.sent(.get, client: 0, position: 1, key: 3)
        #expect(check(verifier, ":1\r\n", position: 1) == "GET of key 3 was answered by \":1\\r\\n\"")
        _ = value(verifier, key: 3)
        verifier.sent(.set, client: 0, position: 2, key: 3)
        #expect(check(verifier, ":1\r\n", position: 2) == "SET of key 3 was answered by \":1\\r\\n\"")
    }

    @Test func aValueMustBeTheLastOneOfItsKey() {
        let verifier = verifier()
        verifier.sent(.get, client: 0, position: 0, key: 3)
        #expect(check(verifier, "$-1\r\n", position: 0) == nil)
        let first = write(verifier, key: 3)
        let last = write(verifier, key: 3)
        let other = write(verifier, key: 4)
        verifier.sent(.get, client: 0, position: 1, key: 3)
        #expect(check(verifier, bulk(last), position: 1) == nil)
        #expect(check(verifier, bulk(first), position: 1) == "GET of key 3 found an older value than the last")
        #expect(check(verifier, bulk(other), position: 1) == "GET of key 3 found a value of key 4")
        #expect(check(verifier, "$-1\r\n", position: 1) == "GET of key 3 found nothing, and it was written before")
        #expect(
            check(verifier, bulk(Array(last.dropLast())), position: 1)
                == "GET of key 3 found 63 bytes; values have 64 to 64")
        var damaged = last
        damaged[40] ^= 1
        #expect(
            check(verifier, bulk(damaged), position: 1)
                == "GET of key 3 found a value that was never written, from byte 40 on")
    }

    /// With two writes under way, any of them may come last: either value is right.
    @Test func writesAtTheSameTimeMayEndInEitherOrder() {
        let verifier = verifier()
        let first = value(verifier, key: 3)
        verifier.sent(.set, client: 0, position: 0, key: 3)
        let second = value(verifier, key: 3)
        verifier.sent(.set, client: 1, position: 0, key: 3)
        #expect(check(verifier, Array("+OK\r\n".utf8), client: 1, position: 0) == nil)
        #expect(check(verifier, Array("+OK\r\n".utf8), client: 0, position: 0) == nil)
        verifier.sent(.get, client: 0, position: 1, key: 3)
        #expect(check(verifier, bulk(first), position: 1) == nil)
        #expect(check(verifier, bulk(second), position: 1) == nil)
        // A read that was sent before a write may find what was there before or after.
        let third = value(verifier, key: 3)
        verifier.sent(.set, client: 1, position: 1, key: 3)
        #expect(check(verifier, bulk(third), position: 1) == nil)
    }

    @Test func countersGrowByOne() {
        let verifier = verifier()
        verifier.sent(.incr, client: 0, position: 0, key: 5)
        verifier.sent(.incr, client: 1, position: 0, key: 5)
        #expect(check(verifier, Array(":8\r\n".utf8), client: 1, position: 0) == nil)
        #expect(check(verifier, ":7\r\n", position: 0) == nil)
        #expect(verifier.finish().wrong == 0)
        verifier.sent(.incr, client: 0, position: 1, key: 5)
        #expect(check(verifier, ":8\r\n", position: 1) == "INCR of counter 5 was answered by 8, and it was 8 before")
        #expect(verifier.finish().wrong == 1)
        #expect(verifier.finish().text == "counter 5 went from 7 to 8 with 3 increments")
    }

    @Test(arguments: [1, 2, 7, 100]) func repliesComeInPieces(piece: Int) {
        let verifier = verifier()
        let bytes = Array("+OK\r\n$3\r\na\r\n\r\n*2\r\n:1\r\n$1\r\nx\r\n+END\r\n".utf8)
        var seen: [String] = []
        bytes.withUnsafeBytes { memory in
            for start in stride(from: 0, to: memory.count, by: piece) {
                let view = ByteView(memory.baseAddress! + start, min(piece, memory.count - start))
                verifier.receive(view, client: 0) { seen.append($0.string) }
            }
        }
        #expect(seen == ["+OK\r\n", "$3\r\na\r\n\r\n", "*2\r\n:1\r\n$1\r\nx\r\n", "+END\r\n"])
    }

    // MARK: the whole loop against a server that is not right

    @Test func aForeignValueIsFound() throws {
        let bed = BenchBed {
            $0.requests = 100
            $0.keyspace = 10
            $0.sizes = 64...64
            $0.verifies = true
        }
        #expect(try bed.run("set").wrong == 0)
        #expect(try bed.run("get").wrong == 0)
        bed.meddle("SET key:000000000003 " + String(repeating: "x", count: 64))
        let result = try bed.run("get")
        #expect(result.wrong > 0 && result.wrong < 100)
        #expect(result.wrongText == "GET of key 3 found a value that was never written, from byte 0 on")
        bed.meddle("DEL key:000000000003")
        #expect(try bed.run("get").wrongText == "GET of key 3 found nothing, and it was written before")
        // A single write of 100 is lost.
        #expect(try bed.run("incr").wrong == 0)
        bed.meddle("DECR counter:000000000003")
        let counted = try bed.run("incr")
        #expect(counted.wrong > 0)
        #expect(counted.wrongText?.hasPrefix("INCR of counter 3 was answered by ") == true)
    }
}
