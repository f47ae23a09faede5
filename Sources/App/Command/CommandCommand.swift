import Runtime

/// COMMAND and its subcommands. Replies have Redis 7's shapes: sets and maps in RESP3, arrays before.
func commandCommand(_ c: inout CommandContext) {
    let table = CommandTable.shared
    guard c.arguments.count > 1 else { return writeAllInfo(table, &c.reply) }
    let subcommand = c.arguments[1]
    if subcommand.equalsIgnoringCase("count") {
        c.reply.integer(table.commandCount)
    } else if subcommand.equalsIgnoringCase("info") {
        commandInfo(&c, table)
    } else if subcommand.equalsIgnoringCase("docs") {
        commandDocs(&c, table)
    } else if subcommand.equalsIgnoringCase("list") {
        commandList(&c, table)
    } else if subcommand.equalsIgnoringCase("getkeys") {
        commandGetKeys(&c, table, withFlags: false)
    } else if subcommand.equalsIgnoringCase("getkeysandflags") {
        commandGetKeys(&c, table, withFlags: true)
    } else if subcommand.equalsIgnoringCase("help") {
        writeHelp(&c, "COMMAND", commandHelp)
    } else {
        table.writeUnknown(c.arguments, to: &c.reply)
    }
}

private let commandHelp: [StaticString] = [
    "(no subcommand)",
    "    Return details about all commands.",
    "COUNT",
    "    Return the number of commands.",
    "LIST [FILTERBY MODULE <name>|ACLCAT <category>|PATTERN <pattern>]",
    "    Return the names of commands.",
    "INFO [<command-name> ...]",
    "    Return details about commands, all of them if none is named.",
    "DOCS [<command-name> ...]",
    "    Return documentation of commands, all of them if none is named.",
    "GETKEYS <full-command>",
    "    Return the keys of a full command.",
    "GETKEYSANDFLAGS <full-command>",
    "    Return the keys of a full command and how it uses them.",
]

/// The reply of every container's HELP subcommand.
func writeHelp(_ c: inout CommandContext, _ container: StaticString, _ lines: [StaticString]) {
    c.reply.array(lines.count + 3)
    c.reply.simpleString("\(container) <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
    for line in lines { c.reply.simpleString(line) }
    c.reply.simpleString("HELP")
    c.reply.simpleString("    Prints this help.")
}

// MARK: INFO

private func writeAllInfo(_ table: CommandTable, _ reply: inout ReplyWriter) {
    reply.array(table.commandCount)
    for number in 0..<table.commandCount { writeInfo(table, table.entries + number, &reply) }
}

private func commandInfo(_ c: inout CommandContext, _ table: CommandTable) {
    guard c.arguments.count > 2 else { return writeAllInfo(table, &c.reply) }
    c.reply.array(c.arguments.count - 2)
    for index in 2..<c.arguments.count {
        if let entry = table.named(c.arguments[index]) {
            writeInfo(table, entry, &c.reply)
        } else {
            c.reply.null()
        }
    }
}

private func writeInfo(_ table: CommandTable, _ entry: UnsafePointer<CommandEntry>, _ reply: inout ReplyWriter) {
    let spec = table.spec(entry)
    reply.array(10)
    reply.bulk(entry.pointee.fullName)
    reply.integer(spec.arity)
    writeFlags(CommandFlags.names, spec.flags, &reply)
    reply.integer(spec.keys?.first ?? 0)
    reply.integer(spec.keys?.last ?? 0)
    reply.integer(spec.keys?.step ?? 0)
    let categories = ACLCategories(spec)
    let names = ACLCategories.names.filter { categories.contains($0.0) }
    reply.set(names.count)
    for (_, name) in names { reply.simpleString("@" + name) }
    reply.set(spec.tips.count)
    for tip in spec.tips { reply.bulk(tip) }
    writeKeySpecs(spec, &reply)
    let subcommands = table.subcommands(of: entry)
    if subcommands.isEmpty { return reply.set(0) }
    reply.array(subcommands.count)
    for number in subcommands { writeInfo(table, table.entries + number, &reply) }
}

/// The names of the flags that are set.
private func writeFlags<Flags: OptionSet>(_ names: [(Flags, String)], _ flags: Flags, _ reply: inout ReplyWriter)
where Flags.Element == Flags {
    let present = names.filter { flags.contains($0.0) }
    reply.set(present.count)
    for (_, name) in present { reply.simpleString(name) }
}

/// All our commands have their keys at fixed places: one specification at most, found by index, with a range.
private func writeKeySpecs(_ spec: CommandSpec, _ reply: inout ReplyWriter) {
    guard let keys = spec.keys else { return reply.set(0) }
    reply.set(1)
    reply.map(3)
    reply.bulk("flags")
    writeFlags(KeyFlags.names, spec.keyFlags, &reply)
    reply.bulk("begin_search")
    reply.map(2)
    reply.bulk("type")
    reply.bulk("index")
    reply.bulk("spec")
    reply.map(1)
    reply.bulk("index")
    reply.integer(keys.first)
    reply.bulk("find_keys")
    reply.map(2)
    reply.bulk("type")
    reply.bulk("range")
    reply.bulk("spec")
    reply.map(3)
    reply.bulk("lastkey")
    // Counted from the first key, unless from the end.
    reply.integer(keys.last < 0 ? keys.last : keys.last - keys.first)
    reply.bulk("keystep")
    reply.integer(keys.step)
    reply.bulk("limit")
    reply.integer(0)
}

// MARK: LIST

private func commandList(_ c: inout CommandContext, _ table: CommandTable) {
    var numbers: [Int]
    if c.arguments.count == 2 {
        numbers = Array(0..<table.commandCount)
    } else if c.arguments.count == 5 && c.arguments[2].equalsIgnoringCase("filterby") {
        // A filter looks at subcommands too.
        numbers = Array(0..<table.entryCount)
        let wanted = c.arguments[4]
        if c.arguments[3].equalsIgnoringCase("module") {
            numbers = []
        } else if c.arguments[3].equalsIgnoringCase("aclcat") {
            let name = wanted.string.lowercased()
            let category = ACLCategories.names.first { $0.1 == name }?.0 ?? []
            numbers = numbers.filter { !ACLCategories(table.spec(table.entries + $0)).isDisjoint(with: category) }
        } else if c.arguments[3].equalsIgnoringCase("pattern") {
            numbers = numbers.filter { stringMatch(wanted, table.entries[$0].fullName, ignoringCase: true) }
        } else {
            return c.reply.error("ERR syntax error")
        }
    } else {
        return c.reply.error("ERR syntax error")
    }
    c.reply.array(numbers.count)
    for number in numbers { c.reply.bulk(table.entries[number].fullName) }
}

// MARK: GETKEYS

private func commandGetKeys(_ c: inout CommandContext, _ table: CommandTable, withFlags: Bool) {
    let command = Arguments(base: c.arguments.base + 2, count: c.arguments.count - 2)
    guard let entry = table.resolve(command) else { return c.reply.error("ERR Invalid command specified") }
    let spec = table.spec(entry)
    guard spec.keys != nil else { return c.reply.error("ERR The command has no key arguments") }
    guard entry.pointee.accepts(argumentCount: command.count) else {
        return c.reply.error("ERR Invalid number of arguments specified for command")
    }
    let positions = entry.pointee.keyPositions(argumentCount: command.count)
    c.reply.array(positions.count)
    for position in positions {
        if withFlags { c.reply.array(2) }
        c.reply.bulk(command[position])
        if withFlags { writeFlags(KeyFlags.names, keyFlags(of: command, spec), &c.reply) }
    }
}

/// SET reads its key only with GET among its options.
private func keyFlags(of command: Arguments, _ spec: CommandSpec) -> KeyFlags {
    guard spec.keyFlags.contains(.variableFlags) else { return spec.keyFlags }
    let reads = command.count > 3 && (3..<command.count).contains { command[$0].equalsIgnoringCase("get") }
    return reads ? [.rw, .access, .update] : [.ow, .update]
}
