/// Runs a command whose arity was checked. Runs on the shard that its routing class names.
func execute(_ id: CommandID, _ c: inout CommandContext) {
    switch id {
    case .command: commandCommand(&c)
    default: c.reply.error("ERR this command is not built yet")
    }
}
