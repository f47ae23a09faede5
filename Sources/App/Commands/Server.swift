import Runtime

/// TIME: seconds and microseconds, as strings.
func timeCommand(_ c: inout CommandContext) {
    let microseconds = c.shard.unixMicroseconds
    c.reply.array(2)
    c.reply.bulk(String(microseconds / 1_000_000))
    c.reply.bulk(String(microseconds % 1_000_000))
}

/// SHUTDOWN [NOSAVE|SAVE] [NOW] [FORCE] [ABORT]: on success the reply is the end of the connection.
func shutdownCommand(_ c: inout CommandContext) {
    var save = false
    var noSave = false
    var abort = false
    var other = false
    for index in 1..<c.arguments.count {
        let word = c.arguments[index]
        if word.equalsIgnoringCase("nosave") {
            noSave = true
        } else if word.equalsIgnoringCase("save") {
            save = true
        } else if word.equalsIgnoringCase("now") || word.equalsIgnoringCase("force") {
            other = true
        } else if word.equalsIgnoringCase("abort") {
            abort = true
        } else {
            return c.replySyntaxError()
        }
    }
    if save && noSave || abort && (save || noSave || other) { return c.replySyntaxError() }
    // A shutdown takes no time, so there is never one to abort.
    if abort { return c.reply.error("ERR No shutdown in progress.") }
    c.shard.control.shutDown()
}

// MARK: parts that run on every shard (see AllShards.swift)

/// DBSIZE: the shard's keys in the selected database.
func dbsizePart(_ c: inout CommandContext) { c.replyPart(UInt64(c.database.count)) }

/// FLUSHDB [ASYNC|SYNC]
func flushdbPart(_ c: inout CommandContext) {
    if c.flushOptionsAreValid { c.database.removeAll() }
}

/// FLUSHALL [ASYNC|SYNC]
func flushallPart(_ c: inout CommandContext) {
    guard c.flushOptionsAreValid else { return }
    for index in 0..<c.shard.keyspace.databaseCount { c.shard.keyspace.database(index).removeAll() }
}

func combineFlush(_ c: inout CommandContext) {
    if c.flushOptionsAreValid { c.reply.ok() } else { c.replySyntaxError() }
}

extension CommandContext {
    /// Both words mean the same here: memory is given back in small steps anyway.
    fileprivate var flushOptionsAreValid: Bool {
        arguments.count == 1
            || arguments.count == 2
                && (arguments[1].equalsIgnoringCase("async") || arguments[1].equalsIgnoringCase("sync"))
    }
}
