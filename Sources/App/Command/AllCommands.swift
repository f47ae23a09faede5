extension CommandTable {
    /// One for each `CommandID`, in its order.
    static let allSpecs: [CommandSpec] = CommandID.allCases.map {
        CommandSpec(
            name: "\($0)", id: $0, arity: -1, flags: [], keys: nil, categories: [], routing: .local, group: .server,
            since: "1.0.0", complexity: "O(1)", summary: "")
    }
}
