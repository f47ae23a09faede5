import Testing

@testable import App

@Suite struct CommandsCounterTests {
    let s = CommandSession()

    @Test func incrAndDecr() {
        s.expect("INCR n", ":1\r\n")
        s.expect("INCR n", ":2\r\n")
        s.expect("DECR n", ":1\r\n")
        s.expect("DECR n", ":0\r\n")
        s.expect("DECR n", ":-1\r\n")
        s.expect("GET n", "$2\r\n-1\r\n")
        s.expect("INCRBY n 10", ":9\r\n")
        s.expect("INCR n", ":10\r\n")
        s.expect("DECRBY n 10", ":0\r\n")
        s.expect("INCRBY n -100", ":-100\r\n")
        s.expect("DECRBY n -101", ":1\r\n")
        s.expect("GET n", "$1\r\n1\r\n")
        s.expect("SET n 99", "+OK\r\n")
        s.expect("INCR n", ":100\r\n")
        s.expect("GET n", "$3\r\n100\r\n")
        s.expect("DECR n", ":99\r\n")
        s.expect("GET n", "$2\r\n99\r\n")
    }

    @Test func deadlineStays() {
        s.expect("SET n 9 EX 100", "+OK\r\n")
        s.expect("INCR n", ":10\r\n")
        s.expect("TTL n", ":100\r\n")
        s.expect("INCRBYFLOAT n 0.5", "$4\r\n10.5\r\n")
        s.expect("TTL n", ":100\r\n")
    }

    @Test func limits() {
        s.expect("SET n 9223372036854775806", "+OK\r\n")
        s.expect("INCR n", ":9223372036854775807\r\n")
        s.expect("INCR n", "-ERR increment or decrement would overflow\r\n")
        s.expect("INCRBY n 1", "-ERR increment or decrement would overflow\r\n")
        s.expect("GET n", "$19\r\n9223372036854775807\r\n")
        s.expect("SET n -9223372036854775807", "+OK\r\n")
        s.expect("DECR n", ":-9223372036854775808\r\n")
        s.expect("DECR n", "-ERR increment or decrement would overflow\r\n")
        s.expect("DECRBY n 1", "-ERR increment or decrement would overflow\r\n")
        s.expect("DECRBY n -9223372036854775808", "-ERR decrement would overflow\r\n")
        s.expect("INCRBY n 9223372036854775807", ":-1\r\n")
        s.expect("INCRBY n 9223372036854775808", "-ERR value is not an integer or out of range\r\n")
        s.expect("INCRBY n -9223372036854775809", "-ERR value is not an integer or out of range\r\n")
    }

    @Test func notNumbers() {
        for text in ["a", "", "1a", " 1", "1 ", "+1", "01", "-0", "-", "1.0", "0x1", "9223372036854775808"] {
            s.run([Array("SET".utf8), Array("k".utf8), Array(text.utf8)])
            s.expect("INCR k", "-ERR value is not an integer or out of range\r\n")
            s.expect("DECRBY k 1", "-ERR value is not an integer or out of range\r\n")
        }
        s.expect("INCRBY k abc", "-ERR value is not an integer or out of range\r\n")
        s.expect("DECRBY k 1.5", "-ERR value is not an integer or out of range\r\n")
        s.expect("INCRBY k \"\"", "-ERR value is not an integer or out of range\r\n")
        s.expect("SET k 0", "+OK\r\n")
        s.expect("INCR k", ":1\r\n")
    }

    @Test func incrbyfloat() {
        s.expect("INCRBYFLOAT f 0.1", "$3\r\n0.1\r\n")
        s.expect("INCRBYFLOAT f 0.2", "$3\r\n0.3\r\n")
        s.expect("SET f 10.50", "+OK\r\n")
        s.expect("INCRBYFLOAT f 0.1", "$4\r\n10.6\r\n")
        s.expect("INCRBYFLOAT f -5", "$3\r\n5.6\r\n")
        s.expect("SET f 5.0e3", "+OK\r\n")
        s.expect("INCRBYFLOAT f 2.0e2", "$4\r\n5200\r\n")
        s.expect("GET f", "$4\r\n5200\r\n")
        s.expect("INCRBYFLOAT f -5200", "$1\r\n0\r\n")
        s.expect("INCRBYFLOAT f -0.0", "$1\r\n0\r\n")
        s.expect("INCRBYFLOAT f 1e20", "$21\r\n100000000000000000000\r\n")
        s.expect("SET f 3", "+OK\r\n")
        s.expect("INCRBYFLOAT f 1.23456789012345678", "$19\r\n4.23456789012345678\r\n")
        s.expect("SET f 0x10", "+OK\r\n")
        s.expect("INCRBYFLOAT f 1", "$2\r\n17\r\n")
        s.expect("SET f 1e-30", "+OK\r\n")
        s.expect("INCRBYFLOAT f 0", "$1\r\n0\r\n")
    }

    @Test func incrbyfloatErrors() {
        s.expect("SET f abc", "+OK\r\n")
        s.expect("INCRBYFLOAT f 1", "-ERR value is not a valid float\r\n")
        s.expect("SET f \" 1\"", "+OK\r\n")
        s.expect("INCRBYFLOAT f 1", "-ERR value is not a valid float\r\n")
        s.expect("SET f 1", "+OK\r\n")
        s.expect("INCRBYFLOAT f abc", "-ERR value is not a valid float\r\n")
        s.expect("INCRBYFLOAT f \"\"", "-ERR value is not a valid float\r\n")
        s.expect("INCRBYFLOAT f \"1 \"", "-ERR value is not a valid float\r\n")
        s.expect("INCRBYFLOAT f nan", "-ERR value is not a valid float\r\n")
        s.expect("INCRBYFLOAT f 1e5000", "-ERR value is not a valid float\r\n")
        s.expect("INCRBYFLOAT f inf", "-ERR increment would produce NaN or Infinity\r\n")
        s.expect("INCRBYFLOAT f -inf", "-ERR increment would produce NaN or Infinity\r\n")
        s.expect("GET f", "$1\r\n1\r\n")
    }
}
