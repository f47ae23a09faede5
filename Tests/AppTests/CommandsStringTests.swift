import Testing

@testable import App

@Suite struct CommandsStringTests {
    let s = CommandSession()

    @Test func setAndGet() {
        s.expect("GET k", "$-1\r\n")
        s.expect("SET k v", "+OK\r\n")
        s.expect("GET k", "$1\r\nv\r\n")
        s.expect("get k", "$1\r\nv\r\n")
        s.expect("SET k \"\"", "+OK\r\n")
        s.expect("GET k", "$0\r\n\r\n")
        s.expect("SET \"\" x", "+OK\r\n")
        s.expect("GET \"\"", "$1\r\nx\r\n")
        s.expect("SET \"a\\r\\nb\" \"\\x00\\xff\\r\\n\"", "+OK\r\n")
        s.expect("GET \"a\\r\\nb\"", "$4\r\n\u{0}\u{ff}\r\n\r\n")
    }

    @Test func arities() {
        s.expect("GET", "-ERR wrong number of arguments for 'get' command\r\n")
        s.expect("GET a b", "-ERR wrong number of arguments for 'get' command\r\n")
        s.expect("SET a", "-ERR wrong number of arguments for 'set' command\r\n")
        s.expect("SETNX a", "-ERR wrong number of arguments for 'setnx' command\r\n")
        s.expect("SETEX a 1", "-ERR wrong number of arguments for 'setex' command\r\n")
        s.expect("PSETEX a 1", "-ERR wrong number of arguments for 'psetex' command\r\n")
        s.expect("GETSET a", "-ERR wrong number of arguments for 'getset' command\r\n")
        s.expect("GETDEL", "-ERR wrong number of arguments for 'getdel' command\r\n")
        s.expect("GETEX", "-ERR wrong number of arguments for 'getex' command\r\n")
        s.expect("APPEND a", "-ERR wrong number of arguments for 'append' command\r\n")
        s.expect("STRLEN", "-ERR wrong number of arguments for 'strlen' command\r\n")
        s.expect("GETRANGE a 0", "-ERR wrong number of arguments for 'getrange' command\r\n")
        s.expect("SUBSTR a 0", "-ERR wrong number of arguments for 'substr' command\r\n")
        s.expect("SETRANGE a 0", "-ERR wrong number of arguments for 'setrange' command\r\n")
        s.expect("INCR", "-ERR wrong number of arguments for 'incr' command\r\n")
        s.expect("DECR a b", "-ERR wrong number of arguments for 'decr' command\r\n")
        s.expect("INCRBY a", "-ERR wrong number of arguments for 'incrby' command\r\n")
        s.expect("DECRBY a", "-ERR wrong number of arguments for 'decrby' command\r\n")
        s.expect("INCRBYFLOAT a", "-ERR wrong number of arguments for 'incrbyfloat' command\r\n")
    }

    @Test func setConditions() {
        s.expect("SET k v XX", "$-1\r\n")
        s.expect("EXISTS k", ":0\r\n")
        s.expect("SET k v NX", "+OK\r\n")
        s.expect("SET k w NX", "$-1\r\n")
        s.expect("GET k", "$1\r\nv\r\n")
        s.expect("SET k w xx", "+OK\r\n")
        s.expect("GET k", "$1\r\nw\r\n")
        s.expect("SET k x NX NX", "$-1\r\n")
        s.expect("SET k x NX XX", "-ERR syntax error\r\n")
        s.expect("SET k x XX NX", "-ERR syntax error\r\n")
        s.expect("SET k x FOO", "-ERR syntax error\r\n")
        s.expect("SET k x PERSIST", "-ERR syntax error\r\n")
        s.expect("GET k", "$1\r\nw\r\n")
    }

    @Test func setWithGet() {
        s.expect("SET k a GET", "$-1\r\n")
        s.expect("SET k b GET", "$1\r\na\r\n")
        s.expect("SET k c NX GET", "$1\r\nb\r\n")
        s.expect("GET k", "$1\r\nb\r\n")
        s.expect("SET new c NX GET", "$-1\r\n")
        s.expect("GET new", "$1\r\nc\r\n")
        s.expect("SET other c XX GET", "$-1\r\n")
        s.expect("EXISTS other", ":0\r\n")
        s.expect("SET k d XX GET", "$1\r\nb\r\n")
        s.expect("GET k", "$1\r\nd\r\n")
        s.expect("SET k d GET EX 0", "-ERR invalid expire time in 'set' command\r\n")
    }

    @Test func setLifetimeSyntax() {
        s.expect("SET k v EX", "-ERR syntax error\r\n")
        s.expect("SET k v PX", "-ERR syntax error\r\n")
        s.expect("SET k v EXAT", "-ERR syntax error\r\n")
        s.expect("SET k v PXAT", "-ERR syntax error\r\n")
        s.expect("SET k v EX ten", "-ERR value is not an integer or out of range\r\n")
        s.expect("SET k v EX 1.5", "-ERR value is not an integer or out of range\r\n")
        s.expect("SET k v EX 0", "-ERR invalid expire time in 'set' command\r\n")
        s.expect("SET k v EX -1", "-ERR invalid expire time in 'set' command\r\n")
        s.expect("SET k v PX 0", "-ERR invalid expire time in 'set' command\r\n")
        s.expect("SET k v EXAT 0", "-ERR invalid expire time in 'set' command\r\n")
        s.expect("SET k v PXAT -5", "-ERR invalid expire time in 'set' command\r\n")
        s.expect("SET k v EX 9223372036854775807", "-ERR invalid expire time in 'set' command\r\n")
        s.expect("SET k v EX 9223372036854775", "-ERR invalid expire time in 'set' command\r\n")
        s.expect("SET k v PX 9223372036854775807", "-ERR invalid expire time in 'set' command\r\n")
        s.expect("SET k v EXAT 9223372036854776", "-ERR invalid expire time in 'set' command\r\n")
        s.expect("SET k v EX 9223372036854775808", "-ERR value is not an integer or out of range\r\n")
        s.expect("SET k v EX 10 PX 10", "-ERR syntax error\r\n")
        s.expect("SET k v EX 10 KEEPTTL", "-ERR syntax error\r\n")
        s.expect("SET k v KEEPTTL EX 10", "-ERR syntax error\r\n")
        s.expect("SET k v PXAT 10 EXAT 10", "-ERR syntax error\r\n")
        s.expect("EXISTS k", ":0\r\n")
        s.expect("SET k v EX 10 EX 20", "+OK\r\n")
        s.expect("TTL k", ":20\r\n")
        s.expect("SET k v PXAT 9223372036854775807", "+OK\r\n")
        s.expect("PEXPIRETIME k", ":9223372036854775807\r\n")
    }

    @Test func setLifetimes() {
        s.expect("SET k v EX 100", "+OK\r\n")
        s.expect("TTL k", ":100\r\n")
        s.expect("SET k v ex 50 xx get", "$1\r\nv\r\n")
        s.expect("TTL k", ":50\r\n")
        s.expect("SET k w KEEPTTL", "+OK\r\n")
        s.expect("TTL k", ":50\r\n")
        s.expect("GET k", "$1\r\nw\r\n")
        s.expect("SET k v", "+OK\r\n")
        s.expect("TTL k", ":-1\r\n")
        s.expect("SET fresh v KEEPTTL", "+OK\r\n")
        s.expect("TTL fresh", ":-1\r\n")
        s.expect("SET k v PX 60000", "+OK\r\n")
        s.expect("TTL k", ":60\r\n")
        s.expect("SET k v EXAT 33000000000", "+OK\r\n")
        s.expect("EXPIRETIME k", ":33000000000\r\n")
        s.expect("SET k v PXAT 33000000000123", "+OK\r\n")
        s.expect("PEXPIRETIME k", ":33000000000123\r\n")
        s.expect("SET k v EXAT 1", "+OK\r\n")
        s.expect("GET k", "$-1\r\n")
        s.expect("SET k v", "+OK\r\n")
        s.expect("SET k w GET PXAT 1", "$1\r\nv\r\n")
        s.expect("EXISTS k", ":0\r\n")
        s.expect("DBSIZE", ":1\r\n")
    }

    @Test func setnx() {
        s.expect("SETNX k v", ":1\r\n")
        s.expect("SETNX k w", ":0\r\n")
        s.expect("GET k", "$1\r\nv\r\n")
    }

    @Test func setexAndPsetex() {
        s.expect("SETEX k 100 v", "+OK\r\n")
        s.expect("TTL k", ":100\r\n")
        s.expect("PSETEX k 90000 w", "+OK\r\n")
        s.expect("TTL k", ":90\r\n")
        s.expect("GET k", "$1\r\nw\r\n")
        s.expect("SETEX k 0 v", "-ERR invalid expire time in 'setex' command\r\n")
        s.expect("SETEX k -1 v", "-ERR invalid expire time in 'setex' command\r\n")
        s.expect("SETEX k x v", "-ERR value is not an integer or out of range\r\n")
        s.expect("SETEX k 9223372036854775807 v", "-ERR invalid expire time in 'setex' command\r\n")
        s.expect("PSETEX k 0 v", "-ERR invalid expire time in 'psetex' command\r\n")
        s.expect("PSETEX k 9223372036854775807 v", "-ERR invalid expire time in 'psetex' command\r\n")
        s.expect("GET k", "$1\r\nw\r\n")
    }

    @Test func getsetAndGetdel() {
        s.expect("GETSET k a", "$-1\r\n")
        s.expect("EXPIRE k 100", ":1\r\n")
        s.expect("GETSET k b", "$1\r\na\r\n")
        s.expect("TTL k", ":-1\r\n")
        s.expect("GETDEL k", "$1\r\nb\r\n")
        s.expect("GETDEL k", "$-1\r\n")
        s.expect("EXISTS k", ":0\r\n")
    }

    @Test func getex() {
        s.expect("GETEX k", "$-1\r\n")
        s.expect("GETEX k EX 0", "$-1\r\n")
        s.expect("SET k v", "+OK\r\n")
        s.expect("GETEX k", "$1\r\nv\r\n")
        s.expect("TTL k", ":-1\r\n")
        s.expect("GETEX k EX 100", "$1\r\nv\r\n")
        s.expect("TTL k", ":100\r\n")
        s.expect("GETEX k px 50000", "$1\r\nv\r\n")
        s.expect("TTL k", ":50\r\n")
        s.expect("GETEX k PERSIST", "$1\r\nv\r\n")
        s.expect("TTL k", ":-1\r\n")
        s.expect("GETEX k EXAT 33000000000", "$1\r\nv\r\n")
        s.expect("EXPIRETIME k", ":33000000000\r\n")
        s.expect("GETEX k PXAT 33000000000123", "$1\r\nv\r\n")
        s.expect("PEXPIRETIME k", ":33000000000123\r\n")
        s.expect("GETEX k EX 0", "-ERR invalid expire time in 'getex' command\r\n")
        s.expect("GETEX k EX", "-ERR syntax error\r\n")
        s.expect("GETEX k EX 10 PERSIST", "-ERR syntax error\r\n")
        s.expect("GETEX k PERSIST EX 10", "-ERR syntax error\r\n")
        s.expect("GETEX k NX", "-ERR syntax error\r\n")
        s.expect("GETEX k KEEPTTL", "-ERR syntax error\r\n")
        s.expect("GETEX k EX ten", "-ERR value is not an integer or out of range\r\n")
        s.expect("GETEX k EXAT 1", "$1\r\nv\r\n")
        s.expect("EXISTS k", ":0\r\n")
    }

    @Test func appendAndStrlen() {
        s.expect("STRLEN k", ":0\r\n")
        s.expect("APPEND k Hello", ":5\r\n")
        s.expect("EXPIRE k 100", ":1\r\n")
        s.expect("APPEND k \" World\"", ":11\r\n")
        s.expect("TTL k", ":100\r\n")
        s.expect("GET k", "$11\r\nHello World\r\n")
        s.expect("APPEND k \"\"", ":11\r\n")
        s.expect("STRLEN k", ":11\r\n")
        s.expect("APPEND empty \"\"", ":0\r\n")
        s.expect("EXISTS empty", ":1\r\n")
        s.expect("SET n 12", "+OK\r\n")
        s.expect("APPEND n 34", ":4\r\n")
        s.expect("INCR n", ":1235\r\n")
    }

    @Test func getrange() {
        s.expect("SET k \"Hello World\"", "+OK\r\n")
        s.expect("GETRANGE k 0 4", "$5\r\nHello\r\n")
        s.expect("SUBSTR k 0 4", "$5\r\nHello\r\n")
        s.expect("GETRANGE k -5 -1", "$5\r\nWorld\r\n")
        s.expect("GETRANGE k 0 -1", "$11\r\nHello World\r\n")
        s.expect("GETRANGE k -100 100", "$11\r\nHello World\r\n")
        s.expect("GETRANGE k 5 3", "$0\r\n\r\n")
        s.expect("GETRANGE k -1 -5", "$0\r\n\r\n")
        s.expect("GETRANGE k -100 -99", "$1\r\nH\r\n")
        s.expect("GETRANGE k -100 -100", "$1\r\nH\r\n")
        s.expect("GETRANGE k 11 20", "$0\r\n\r\n")
        s.expect("GETRANGE k 10 20", "$1\r\nd\r\n")
        s.expect("GETRANGE k -9223372036854775808 9223372036854775807", "$11\r\nHello World\r\n")
        s.expect("GETRANGE k 9223372036854775807 -9223372036854775808", "$0\r\n\r\n")
        s.expect("GETRANGE none 0 -1", "$0\r\n\r\n")
        s.expect("GETRANGE k a 1", "-ERR value is not an integer or out of range\r\n")
        s.expect("GETRANGE none 0 b", "-ERR value is not an integer or out of range\r\n")
        s.expect("SET e \"\"", "+OK\r\n")
        s.expect("GETRANGE e 0 -1", "$0\r\n\r\n")
    }

    @Test func setrange() {
        s.expect("SETRANGE k 0 \"\"", ":0\r\n")
        s.expect("EXISTS k", ":0\r\n")
        s.expect("SETRANGE k 3 abc", ":6\r\n")
        s.expect("GET k", "$6\r\n\u{0}\u{0}\u{0}abc\r\n")
        s.expect("SETRANGE k 0 XYZ", ":6\r\n")
        s.expect("GET k", "$6\r\nXYZabc\r\n")
        s.expect("SETRANGE k 5 123", ":8\r\n")
        s.expect("GET k", "$8\r\nXYZab123\r\n")
        s.expect("SETRANGE k 100 \"\"", ":8\r\n")
        s.expect("SETRANGE k -1 a", "-ERR offset is out of range\r\n")
        s.expect("SETRANGE k x a", "-ERR value is not an integer or out of range\r\n")
        s.expect("EXPIRE k 100", ":1\r\n")
        s.expect("SETRANGE k 9 z", ":10\r\n")
        s.expect("TTL k", ":100\r\n")
        s.expect(
            "SETRANGE k 536870912 a", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n")
        s.expect(
            "SETRANGE k 9223372036854775807 a", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n")
        s.expect("STRLEN k", ":10\r\n")
    }

    @Test func stringsAreNoLongerThanArguments() {
        s.expect("CONFIG SET proto-max-bulk-len 1048576", "+OK\r\n")
        s.expect("SETRANGE k 1048575 ab", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n")
        s.expect("SETRANGE k 1048575 a", ":1048576\r\n")
        s.expect("APPEND k a", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n")
        s.expect("APPEND k \"\"", ":1048576\r\n")
        s.expect("STRLEN k", ":1048576\r\n")
        s.expect("CONFIG SET proto-max-bulk-len 536870912", "+OK\r\n")
    }

    @Test func nullsInRESP3() {
        s.run("HELLO 3")
        s.expect("GET none", "_\r\n")
        s.expect("GETDEL none", "_\r\n")
        s.expect("GETEX none", "_\r\n")
        s.expect("GETSET none v", "_\r\n")
        s.expect("SET none v NX", "_\r\n")
        s.expect("SET other v GET", "_\r\n")
        s.expect("GET none", "$1\r\nv\r\n")
        s.expect("GETRANGE nothing 0 1", "$0\r\n\r\n")
    }
}
