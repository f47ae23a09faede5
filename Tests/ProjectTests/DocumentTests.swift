import Foundation
import Testing

@Suite("Documents")
struct DocumentTests {
    @Test func linksLeadSomewhere() throws {
        let link = try Regex(#"\]\(([^)\s]+)\)"#, as: (Substring, Substring).self)
        for path in Project.files(in: "", suffix: ".md") {
            for match in Project.read(path).matches(of: link) {
                let target = match.output.1.split(separator: "#", omittingEmptySubsequences: false)[0]
                if target.isEmpty || target.contains("://") || target.hasPrefix("mailto:") { continue }
                let folder = (path as NSString).deletingLastPathComponent
                let resolved = ((folder as NSString).appendingPathComponent(String(target)) as NSString)
                    .standardizingPath
                #expect(Project.exists(resolved), "\(path) links to \(target), which does not exist")
            }
        }
    }

    /// A path on one developer's machine works nowhere else.
    @Test func noPathOfOneMachine() {
        let foreign = ["work", "home", "Users"].map { "/" + $0 + "/" }
        let suffixes = [".swift", ".md", ".h", ".modulemap", ".py", ".c", ".txt", ".conf", ".json", "Makefile"]
        let scripts = ["tools/", "perf/", ".ci/"]
        for path in Project.files(in: "")
        where suffixes.contains(where: path.hasSuffix) || scripts.contains(where: path.hasPrefix) {
            let text = Project.read(path)
            for prefix in foreign where text.contains(prefix) {
                Issue.record("\(path) names \(prefix)...")
            }
        }
    }
}
