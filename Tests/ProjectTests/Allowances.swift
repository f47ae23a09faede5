/// What is longer than the limits, with its present length. Entries may shrink or go, never grow; an entry that is no
/// longer needed fails the test as well.
enum Allowances {
    static let fileLimit = 400
    static let functionLimit = 70

    /// Path of a file: its number of lines.
    static let files: [String: Int] = [:]

    /// "path function": its number of lines.
    static let functions: [String: Int] = [:]

    /// Files of Sources that may import Foundation.
    static let foundation: Set<String> = []
}
