/// COMMAND and its subcommands.
func commandCommand(_ c: inout CommandContext) { c.reply.array(0) }
