import Runtime
import Store

// Keys of whatever type. DEL, UNLINK, EXISTS and TOUCH run once for each shard that owns some of the keys, with only
// those keys in the arguments; the client's shard adds up the numbers.

/// DEL key [key ...], UNLINK key [key ...]: how many existed.
@inline(never)
func delCommand(_ c: inout CommandContext) {
    var removed: Int64 = 0
    for index in 1..<c.arguments.count where c.database.remove(c.arguments[index], now: c.now) { removed &+= 1 }
    c.reply.integer(removed)
}

/// EXISTS key [key ...], TOUCH key [key ...]: how many exist; a key named twice counts twice.
@inline(never)
func existsCommand(_ c: inout CommandContext) {
    var found: Int64 = 0
    for index in 1..<c.arguments.count where c.lookupRead(c.arguments[index]) != nil { found &+= 1 }
    c.reply.integer(found)
}

/// TYPE key
func typeCommand(_ c: inout CommandContext) {
    guard let entry = c.lookupRead(c.arguments[1]) else { return c.reply.simpleString("none") }
    switch entry.type {
    case .string: c.reply.simpleString("string")
    }
}
