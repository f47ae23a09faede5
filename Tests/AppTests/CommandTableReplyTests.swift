import Testing

@testable import App

/// Expected bytes are those of redis-server 7.0.15, but for summaries.
@Suite struct CommandTableReplyTests {
    private let s = CommandSession()

    @Test func count() {
        s.expect("COMMAND COUNT", ":\(CommandID.allCases.count)\r\n")
        s.expect("COMMAND COUNT x", "-ERR wrong number of arguments for 'command|count' command\r\n")
        s.expect("COMMAND foo", "-ERR unknown subcommand 'foo'. Try COMMAND HELP.\r\n")
        #expect(
            s.run("COMMAND").hasPrefix("*\(CommandID.allCases.count)\r\n*10\r\n$4\r\nping\r\n:-1\r\n*1\r\n+fast\r\n"))
        #expect(s.run("COMMAND") == s.run("COMMAND INFO"))
    }

    @Test func info() {
        let get = """
            *10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*3\r\n+@read\r\n+@string\r\n+@fast\r\n\
            *0\r\n*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\n\
            index\r\n$4\r\nspec\r\n*2\r\n$5\r\nindex\r\n:1\r\n$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\n\
            spec\r\n*6\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n*0\r\n
            """
        s.expect("COMMAND INFO get", "*1\r\n" + get)
        s.expect("COMMAND INFO nope GET client|nope", "*3\r\n$-1\r\n" + get + "$-1\r\n")
        s.expect(
            "COMMAND INFO client|list",
            """
            *1\r\n*10\r\n$11\r\nclient|list\r\n:-2\r\n*4\r\n+admin\r\n+noscript\r\n+loading\r\n+stale\r\n:0\r\n:0\r\n:0\r\n\
            *4\r\n+@admin\r\n+@slow\r\n+@dangerous\r\n+@connection\r\n*1\r\n$23\r\nnondeterministic_output\r\n*0\r\n*0\r\n
            """)
    }

    @Test func infoInRESP3() {
        s.run("HELLO 3")
        s.expect(
            "COMMAND INFO get nope",
            """
            *2\r\n*10\r\n$3\r\nget\r\n:2\r\n~2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n~3\r\n+@read\r\n+@string\r\n+@fast\r\n\
            ~0\r\n~1\r\n%3\r\n$5\r\nflags\r\n~2\r\n+RO\r\n+access\r\n$12\r\nbegin_search\r\n%2\r\n$4\r\ntype\r\n$5\r\n\
            index\r\n$4\r\nspec\r\n%1\r\n$5\r\nindex\r\n:1\r\n$9\r\nfind_keys\r\n%2\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\n\
            spec\r\n%3\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n~0\r\n_\r\n
            """)
    }

    @Test func docs() {
        s.expect("COMMAND DOCS nope", "*0\r\n")
        s.expect(
            "COMMAND DOCS nope strlen",
            """
            *2\r\n$6\r\nstrlen\r\n*10\r\n$7\r\nsummary\r\n$37\r\nReturns the length of a string value.\r\n$5\r\nsince\r\n\
            $5\r\n2.2.0\r\n$5\r\ngroup\r\n$6\r\nstring\r\n$10\r\ncomplexity\r\n$4\r\nO(1)\r\n$9\r\narguments\r\n*1\r\n*6\r\n\
            $4\r\nname\r\n$3\r\nkey\r\n$4\r\ntype\r\n$3\r\nkey\r\n$14\r\nkey_spec_index\r\n:0\r\n
            """)
        let setnx = s.run("COMMAND DOCS setnx")
        #expect(setnx.contains("$9\r\ndoc_flags\r\n*1\r\n+deprecated\r\n$16\r\ndeprecated_since\r\n$6\r\n2.6.12\r\n"))
        #expect(setnx.contains("$11\r\nreplaced_by\r\n$28\r\n`SET` with the `NX` argument\r\n"))
        let config = s.run("COMMAND DOCS config")
        #expect(config.contains("$11\r\nsubcommands\r\n*10\r\n$10\r\nconfig|get\r\n"))
    }

    @Test func list() {
        s.expect("COMMAND LIST FILTERBY PATTERN *tTl", "*2\r\n$3\r\nttl\r\n$4\r\npttl\r\n")
        s.expect("COMMAND LIST FILTERBY ACLCAT nope", "*0\r\n")
        s.expect("COMMAND LIST FILTERBY MODULE m", "*0\r\n")
        s.expect("COMMAND LIST FILTERBY x y", "-ERR syntax error\r\n")
        s.expect("COMMAND LIST x", "-ERR syntax error\r\n")
        #expect(s.run("COMMAND LIST").hasPrefix("*\(CommandID.allCases.count)\r\n$4\r\nping\r\n"))
        #expect(s.run("COMMAND LIST FILTERBY ACLCAT Dangerous").contains("config|set\r\n"))
    }

    @Test func getKeys() {
        s.expect("COMMAND GETKEYS del a b c", "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n")
        s.expect("COMMAND GETKEYS get k", "*1\r\n$1\r\nk\r\n")
        s.expect("COMMAND GETKEYS foo", "-ERR Invalid command specified\r\n")
        s.expect("COMMAND GETKEYS ping", "-ERR The command has no key arguments\r\n")
        s.expect("COMMAND GETKEYS get", "-ERR Invalid number of arguments specified for command\r\n")
        s.expect("COMMAND GETKEYSANDFLAGS set a b", "*1\r\n*2\r\n$1\r\na\r\n*2\r\n+OW\r\n+update\r\n")
        s.expect(
            "COMMAND GETKEYSANDFLAGS set a b get", "*1\r\n*2\r\n$1\r\na\r\n*3\r\n+RW\r\n+access\r\n+update\r\n")
    }

    @Test func help() {
        let help = s.run("COMMAND HELP")
        #expect(help.hasPrefix("*17\r\n+COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n"))
        #expect(help.hasSuffix("+HELP\r\n+    Prints this help.\r\n"))
    }

    /// A map or array says how many elements follow: no reply may have more or fewer.
    @Test(arguments: [2, 3]) func repliesAreWellFormed(version: Int) {
        s.run("HELLO \(version)")
        for line in ["COMMAND", "COMMAND DOCS", "COMMAND LIST", "COMMAND HELP"] {
            let bytes = Array(s.run(line).unicodeScalars.map { UInt8($0.value) })
            var position = 0
            #expect(skipReply(bytes, &position) && position == bytes.count, "\(line)")
        }
    }

    private func skipReply(_ bytes: [UInt8], _ position: inout Int) -> Bool {
        guard position < bytes.count, let end = bytes[position...].firstIndex(of: 13) else { return false }
        let type = bytes[position]
        let number = Int(String(decoding: bytes[(position + 1)..<end], as: UTF8.self)) ?? 0
        position = end + 2
        switch type {
        case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: ":"), UInt8(ascii: "_"): return true
        case UInt8(ascii: "$"):
            if number >= 0 { position += number + 2 }
            return position <= bytes.count
        case UInt8(ascii: "*"), UInt8(ascii: "~"), UInt8(ascii: "%"):
            for _ in 0..<(type == UInt8(ascii: "%") ? number * 2 : number) where !skipReply(bytes, &position) {
                return false
            }
            return true
        default: return false
        }
    }
}
