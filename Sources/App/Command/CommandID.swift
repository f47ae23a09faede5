/// One for each top-level command; `execute` switches over it. Subcommands (CLIENT LIST) share their container's.
enum CommandID: UInt8, CaseIterable {
    // Connection
    case ping, echo, hello, quit, reset, select, client, auth
    // Strings
    case get, set, setnx, setex, psetex, getset, getdel, getex, append, strlen, getrange, substr, setrange
    case incr, decr, incrby, decrby, incrbyfloat
    // Keys of any type
    case del, unlink, exists, touch, type
    case expire, pexpire, expireat, pexpireat, ttl, pttl, expiretime, pexpiretime, persist
    // Server
    case dbsize, flushdb, flushall, info, config, command, time, shutdown, debug
}
