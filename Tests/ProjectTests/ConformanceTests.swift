import Foundation
import Testing

/// docs/tcp.md says for each requirement where the code is and which test shows it. Names that do not exist are lies.
@Suite("Conformance tables")
struct ConformanceTests {
    static let path = "docs/tcp.md"

    @Test func namesInTheTablesExist() {
        let tables = ConformanceTables(Project.read(Self.path))
        #expect(tables.rows > 100)
        #expect(tables.references > 300)
        for problem in tables.problems { Issue.record("\(Self.path): \(problem)") }
    }

    /// RFC 9293, appendix B: every label has a row.
    @Test func theChecklistIsWhole() {
        let words = Set(Project.read(Self.path).split { !($0.isLetter || $0.isNumber || $0 == "-") })
        for (kind, count) in [("MUST", 69), ("SHLD", 31), ("MAY", 18), ("REC", 1)] {
            for number in 1...count {
                #expect(words.contains("\(kind)-\(number)"), "\(Self.path) says nothing of \(kind)-\(number)")
            }
        }
    }

    @Test(arguments: [
        ("`TCP/Timers.swift: armTimer` and words", "`NetTests/TCP/TCPCloseTests.swift: abortResets`", 0),
        ("`TCP/Timers.swift`", "`EndToEnd/suites/queues.py: test_ping_on_either_queue`; `perf/synflood`", 0),
        ("`TCP/Timers.swift: armTimer, armClock`", "-", 1),
        ("`TCP/Clocks.swift: armTimer`", "-", 1),
        ("`perf/nothing`", "-", 1),
        ("-", "`TCPCloseTests.swift: abortResets`", 1),
        ("-", "`NetTests/TCP/TCPCloseTests.swift: resetAborts`, `EndToEnd/suites/queues.py: test_pong`", 2),
    ])
    func wrongNamesAreFound(code: String, test: String, problems: Int) {
        let tables = ConformanceTables("`no/table`\n## Conformance\n| - | asks | \(code) | \(test) |\n")
        #expect(tables.rows == 1)
        #expect(tables.problems.count == problems, "\(tables.problems)")
    }

    @Test func rowsHaveFourCells() {
        #expect(ConformanceTables("## Conformance\n| a | b | c |\n").problems.count == 1)
    }
}

/// The tables behind the heading "Conformance": in their third cell sources, in their fourth one tests, each as
/// `path: name, name` in backticks.
private struct ConformanceTables {
    private(set) var rows = 0
    private(set) var references = 0
    private(set) var problems: [String] = []
    private var names: [String: Set<Substring>] = [:]

    init(_ document: String) {
        guard let start = document.range(of: "## Conformance\n") else {
            problems = ["there is no section \"Conformance\""]
            return
        }
        for line in document[start.upperBound...].split(separator: "\n") where line.hasPrefix("| ") {
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            if cells.allSatisfy({ $0 == "---" }) { continue }
            rows += 1
            guard cells.count == 4 else {
                problems.append("a row without four cells: \(line)")
                continue
            }
            check(cells[2], below: ["Sources/Net/", "Sources/", ""])
            check(cells[3], below: ["Tests/", ""])
        }
    }

    /// What is between backticks and has a slash or a suffix is a file of ours; names follow behind a colon.
    private mutating func check(_ cell: String, below folders: [String]) {
        let parts = cell.split(separator: "`", omittingEmptySubsequences: false)
        for index in stride(from: 1, to: parts.count, by: 2) {
            let halves = parts[index].split(separator: ":", maxSplits: 1)
            guard let file = halves.first.map(String.init),
                file.contains("/") || file.hasSuffix(".swift") || file.hasSuffix(".py")
            else { continue }
            references += 1
            guard let path = folders.map({ $0 + file }).first(where: Project.exists) else {
                problems.append("there is no file \(file)")
                continue
            }
            guard halves.count == 2 else { continue }
            for name in halves[1].split(separator: ",").map({ $0.trimmingCharacters(in: .whitespaces) })
            where !declared(in: path).contains(name[...]) {
                problems.append("\(file) declares no \(name)")
            }
        }
    }

    private mutating func declared(in path: String) -> Set<Substring> {
        if let known = names[path] { return known }
        let declaration = /\b(?:func|var|let|case|struct|enum|class|def) (\w+)/
        let found = Set(Project.read(path).matches(of: declaration).map(\.output.1))
        names[path] = found
        return found
    }
}
