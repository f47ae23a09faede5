import Runtime

/// COMMAND DOCS: what redis-cli asks for when it starts, for its hints and its help.
func commandDocs(_ c: inout CommandContext, _ table: CommandTable) {
    var entries: [UnsafePointer<CommandEntry>] = []
    if c.arguments.count == 2 {
        entries = (0..<table.commandCount).map { table.entries + $0 }
    } else {
        for index in 2..<c.arguments.count {
            // Unknown ones are left out.
            if let entry = table.named(c.arguments[index]) { entries.append(entry) }
        }
    }
    c.reply.map(entries.count)
    for entry in entries {
        c.reply.bulk(entry.pointee.fullName)
        writeDocs(table, entry, &c.reply)
    }
}

private func writeDocs(_ table: CommandTable, _ entry: UnsafePointer<CommandEntry>, _ reply: inout ReplyWriter) {
    let spec = table.spec(entry)
    let subcommands = table.subcommands(of: entry)
    let isDeprecated = spec.deprecatedSince != nil
    reply.map(
        4 + (isDeprecated ? 2 : 0) + (spec.replacedBy != nil ? 1 : 0) + (spec.syntax.isEmpty ? 0 : 1)
            + (subcommands.isEmpty ? 0 : 1))
    reply.bulk("summary")
    reply.bulk(spec.summary)
    reply.bulk("since")
    reply.bulk(spec.since)
    reply.bulk("group")
    reply.bulk(spec.group.rawValue)
    reply.bulk("complexity")
    reply.bulk(spec.complexity)
    if let since = spec.deprecatedSince {
        reply.bulk("doc_flags")
        reply.set(1)
        reply.simpleString("deprecated")
        reply.bulk("deprecated_since")
        reply.bulk(since)
    }
    if let replacement = spec.replacedBy {
        reply.bulk("replaced_by")
        reply.bulk(replacement)
    }
    if !spec.syntax.isEmpty {
        reply.bulk("arguments")
        writeSyntax(spec.syntax, &reply)
    }
    if !subcommands.isEmpty {
        reply.bulk("subcommands")
        reply.map(subcommands.count)
        for number in subcommands {
            reply.bulk(table.entries[number].fullName)
            writeDocs(table, table.entries + number, &reply)
        }
    }
}

private func writeSyntax(_ arguments: [ArgumentSpec], _ reply: inout ReplyWriter) {
    reply.array(arguments.count)
    for argument in arguments {
        var flags: [StaticString] = []
        if argument.isOptional { flags.append("optional") }
        if argument.isMultiple { flags.append("multiple") }
        let hasParts = argument.kind == .oneof || argument.kind == .block
        let isKey = argument.kind == .key
        reply.map(
            2 + (isKey ? 1 : 0) + (argument.token != nil ? 1 : 0) + (argument.since != nil ? 1 : 0)
                + (flags.isEmpty ? 0 : 1) + (hasParts ? 1 : 0))
        reply.bulk("name")
        reply.bulk(argument.name)
        reply.bulk("type")
        reply.bulk(argument.kind.rawValue)
        if isKey {
            reply.bulk("key_spec_index")
            reply.integer(0)
        }
        if let token = argument.token {
            reply.bulk("token")
            reply.bulk(token)
        }
        if let since = argument.since {
            reply.bulk("since")
            reply.bulk(since)
        }
        if !flags.isEmpty {
            reply.bulk("flags")
            reply.set(flags.count)
            for flag in flags { reply.simpleString(flag) }
        }
        if hasParts {
            reply.bulk("arguments")
            writeSyntax(argument.parts, &reply)
        }
    }
}
