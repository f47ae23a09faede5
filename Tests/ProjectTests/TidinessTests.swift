import Testing

@Suite("Tidiness")
struct TidinessTests {
    static let sources = Project.swiftFiles(in: "Sources")

    @Test func filesAreShort() {
        var tooLong: [String: Int] = [:]
        for file in Self.sources where file.lineCount > Allowances.fileLimit { tooLong[file.path] = file.lineCount }
        Self.compare(tooLong, with: Allowances.files, limit: Allowances.fileLimit)
    }

    @Test func functionsAreShort() {
        var tooLong: [String: Int] = [:]
        for file in Self.sources {
            for function in file.functions where function.lines > Allowances.functionLimit {
                tooLong["\(file.path) \(function.name)"] = function.lines
            }
        }
        Self.compare(tooLong, with: Allowances.functions, limit: Allowances.functionLimit)
    }

    private static func compare(_ tooLong: [String: Int], with allowed: [String: Int], limit: Int) {
        for (what, lines) in tooLong.sorted(by: { $0.key < $1.key }) {
            #expect(lines <= allowed[what] ?? limit, "\(what) has \(lines) lines; the limit is \(limit)")
        }
        for what in allowed.keys.sorted() {
            #expect(tooLong[what] != nil, "\(what) is within the limit now: remove it from Allowances.swift")
        }
    }

    /// What each module may import. Net, Store and Runtime stay clear of Foundation and Dispatch, whose calls allocate.
    static let allowedImports: [String: Set<String>] = [
        "Runtime": ["CLinux", "CURCU", "Glibc"],
        "Store": ["Runtime", "CLinux", "Glibc"],
        "Net": ["Runtime", "CLinux", "CXDP", "Glibc"],
        "App": ["Runtime", "Net", "Store", "CLinux", "CURCU", "Glibc", "Histogram"],
        "Main": ["App", "Net", "Store", "Runtime", "CLinux", "Glibc", "ArgumentParser"],
    ]

    @Test func importsRunOneWay() {
        #expect(!Self.sources.isEmpty)
        for file in Self.sources {
            let module = String(file.path.split(separator: "/")[1])
            guard let allowed = Self.allowedImports[module] else {
                Issue.record("\(file.path): no rule says what this module may import")
                continue
            }
            for name in file.imports {
                let granted = name == "Foundation" && Allowances.foundation.contains(file.path)
                #expect(granted || allowed.contains(name), "\(file.path) must not import \(name)")
            }
        }
        for path in Allowances.foundation.sorted() {
            let needed = Self.sources.contains { $0.path == path && $0.imports.contains("Foundation") }
            #expect(needed, "\(path) does not import Foundation any more: remove it from Allowances.swift")
        }
    }

    /// Folders whose code runs for every packet or command.
    static let hotFolders = [
        "Sources/Net/TCP/", "Sources/Net/Wire/", "Sources/Net/IP/", "Sources/Net/Stack/", "Sources/Store/",
        "Sources/App/Protocol/", "Sources/App/Shard/",
    ]

    /// Constructs that allocate, lock, switch threads or call through an existential.
    static let forbidden = [
        "import Dispatch", "DispatchQueue", "async ", "await ", "actor ", "any ", "NSLock", "Mutex", "print(", "try!",
    ]

    @Test func hotFoldersAreFreeOfSlowConstructs() {
        var found: [String: [Int]] = [:]
        for file in Self.sources where Self.hotFolders.contains(where: file.path.hasPrefix) {
            for (number, line) in file.codeLines.enumerated() {
                for construct in Self.forbidden where line.containsWord(construct) {
                    found["\(file.path): \(construct)", default: []].append(number + 1)
                }
            }
        }
        for (what, lines) in found.sorted(by: { $0.key < $1.key }) {
            #expect(lines.count <= Allowances.constructs[what] ?? 0, "\(what) in lines \(lines)")
        }
        for what in Allowances.constructs.keys.sorted() {
            #expect(found[what] != nil, "\(what) is gone: remove it from Allowances.swift")
        }
    }

    @Test func theScannerFindsWhatItShould() {
        let text = """
            /* a { comment */ func short() { let s = "}\\(f("{"))}" } // {
            protocol P {
                func requirement(a: Int) -> Int
                var x: Int { get }
                init(b: Int)
            }
            func long(
                a: Int
            ) -> Int {
                let c = { 1 }
                return c()
            }
            """
        let file = SourceFile(path: "x", text: text, code: SwiftText.blanked(text))
        #expect(file.functions.map(\.name) == ["short", "long"])
        #expect(file.functions.map(\.lines) == [1, 6])
        #expect(!file.code.contains("comment"))
    }
}

extension SourceFile {
    /// Names of the imported modules.
    var imports: [String] {
        codeLines.compactMap { line in
            let words = line.split(separator: " ")
            guard let position = words.firstIndex(of: "import"), position + 1 < words.count,
                words[..<position].allSatisfy({ $0.hasPrefix("@") || ["public", "internal", "package"].contains($0) })
            else { return nil }
            let kinds: Set<Substring> = ["struct", "class", "enum", "func", "protocol", "typealias", "var", "let"]
            let name = kinds.contains(words[position + 1]) ? words[position + 2] : words[position + 1]
            return String(name.split(separator: ".")[0])
        }
    }
}

extension Substring {
    /// Whether the construct occurs and is not the tail of a longer word ("many " is not "any ").
    func containsWord(_ construct: String) -> Bool {
        var rest = self[...]
        while let range = rest.firstRange(of: construct) {
            let before = range.lowerBound == startIndex ? nil : self[index(before: range.lowerBound)]
            if !(before.map { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "." } ?? false) { return true }
            rest = rest[range.upperBound...]
        }
        return false
    }
}
