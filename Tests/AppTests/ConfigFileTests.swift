import Glibc
import Testing

@testable import App

/// Files in a folder of its own, removed at the end.
private final class Folder {
    let path: String

    init() {
        var template = Array("/tmp/apus-config-XXXXXX".utf8CString)
        path = String(cString: mkdtemp(&template)!)
    }

    deinit {
        for name in names { unlink(name) }
        rmdir(path)
    }

    private var names: [String] = []

    func write(_ name: String, _ text: String) -> String {
        let file = "\(path)/\(name)"
        names.append(file)
        let stream = fopen(file, "w")!
        fputs(text, stream)
        fclose(stream)
        return file
    }
}

@Suite struct ConfigFileTests {
    private let folder = Folder()

    private func failure(_ arguments: String...) -> String {
        do throws(ConfigError) {
            _ = try Config.load(arguments: arguments)
            return "no error"
        } catch {
            return error.text
        }
    }

    @Test func aTypicalRedisFileLoads() throws {
        let file = folder.write(
            "redis.conf",
            """
            # comment
            bind 127.0.0.1 -::1
            protected-mode yes
            PORT 7000

            \ttcp-backlog 511
            daemonize no
            pidfile /var/run/redis_6379.pid
            loglevel notice
            logfile ""
            databases 32
            always-show-logo no
            save 3600 1
            save 300 100 60 10000
            stop-writes-on-bgsave-error yes
            rdbcompression yes
            dbfilename "dump 1.rdb"
            client-output-buffer-limit normal 0 0 0
            client-output-buffer-limit replica 1mb 1mb 60
            hash-max-listpack-entries 512
            hash-max-listpack-entries 128
            io-threads 4
            """)
        let config = try Config.load(arguments: [file])
        #expect(config.file == file)
        #expect(config.port == 7000)
        #expect(config.bind == ["127.0.0.1", "-::1"])
        #expect(config.databases == 32)
        #expect(config.dbFilename == "dump 1.rdb")
        #expect(config.savePoints.map(\.seconds) == [3600, 300, 60])
        #expect(config.limits.output.replica == OutputLimit(hard: 1 << 20, soft: 1 << 20, softSeconds: 60))
        #expect(config.directory.hasPrefix("/"))
        // Each once, and nothing about what keeps its default.
        let told = config.notices.joined(separator: "\n")
        #expect(told.contains("'pidfile' is not supported yet"))
        #expect(told.components("hash-max-listpack-entries") == 1)
        #expect(told.contains("'io-threads' has no effect"))
        #expect(told.contains("'save' has no effect"))
        #expect(!told.contains("daemonize"))
        #expect(!told.contains("tcp-backlog"))
    }

    @Test func theCommandLineOverridesTheFile() throws {
        let file = folder.write("a.conf", "port 7000\nsave 60 1\nmaxclients 10\n")
        let config = try Config.load(arguments: [
            file, "--port", "7001", "--save", "300", "1", "--save", "100", "2", "--logfile", "", "--shards=2",
            "--bind", "127.0.0.1", "-::1", "--slowlog-log-slower-than", "-1",
        ])
        #expect(config.port == 7001)
        #expect(config.savePoints.map(\.seconds) == [300, 100])
        #expect(config.maxClients == 10)
        #expect(config.shards == 2)
        #expect(config.bind == ["127.0.0.1", "-::1"])
        #expect(try Config.load(arguments: [file, "--save", ""]).savePoints.isEmpty)
    }

    @Test func anEmptyBindTurnsTheListenerOff() throws {
        let config = try Config.load(arguments: ["--bind", ""])
        #expect(config.bind.isEmpty)
        #expect(!config.hasKernelListener)
        #expect(Config().hasKernelListener)
        #expect(try !Config(["port": "0"]).hasKernelListener)
    }

    @Test func ourOwnDirectives() throws {
        let config = try Config.load(arguments: [
            "--link", "XDP", "--interface", "eth1", "--address", "10.9.0.9/24", "--gateway", "10.9.0.1", "--xdp-mode",
            "zero-copy",
        ])
        #expect(config.link == .xdp)
        #expect(config.interface == "eth1")
        #expect(config.address?.address.description == "10.9.0.9")
        #expect(config.address?.prefixLength == 24)
        #expect(config.gateway?.description == "10.9.0.1")
        #expect(config.xdpMode == .zeroCopy)
        #expect(Config().interface == nil)
        #expect(Config().address == nil)
        #expect(Config().gateway == nil)
        #expect(Config().shards == nil)
    }

    @Test func aBadLineIsAFatalErrorInRedissShape() {
        let file = folder.write("bad.conf", "port 7000\n# fine\n  nonsense 1 \n")
        #expect(
            failure(file) == """
                *** FATAL CONFIG FILE ERROR (Apus \(Config.version)) ***
                Reading the configuration file, at line 3
                >>> 'nonsense 1'
                Bad directive or wrong number of arguments
                """)
        for (line, reason) in [
            ("port", "wrong number of arguments"), ("port 1 2", "wrong number of arguments"),
            ("port abc", "argument couldn't be parsed into an integer"),
            ("port 65536", "argument must be between 0 and 65535 inclusive"),
            ("logfile \"a", "Unbalanced quotes in configuration line"),
            ("daemonize yes", "Apus stays in the foreground; use a service manager"),
            ("address 10.9.0.9", "argument must be an IPv4 address with a prefix length, such as 10.9.0.9/24"),
            ("shards 0", "argument must be 'auto' or between 1 and 1024 inclusive"),
        ] {
            let file = folder.write("bad.conf", line + "\n")
            #expect(failure(file).hasSuffix(">>> '\(line)'\n\(reason)"), "\(line)")
        }
    }

    @Test func aBadArgumentIsOneSentence() {
        #expect(failure("--port", "abc") == "--port abc: argument couldn't be parsed into an integer")
        #expect(failure("--nonsense", "a b") == #"--nonsense "a b": Bad directive or wrong number of arguments"#)
        #expect(failure("--port") == "--port: wrong number of arguments")
        #expect(failure("/none/x.conf") == "can't open config file '/none/x.conf': No such file or directory")
        #expect(failure("--dir", "/none/x") == "can't chdir to '/none/x': No such file or directory")
        let file = folder.write("good.conf", "")
        #expect(failure(file, file) == "unexpected argument '\(file)'; directives are written as --NAME VALUE")
    }

    @Test func filesIncludeOthers() throws {
        _ = folder.write("part1.inc", "maxclients 7\n")
        _ = folder.write("part2.inc", "timeout 9\nport 7009\n")
        let file = folder.write(
            "main.conf", "include \(folder.path)/part*.inc\ninclude \(folder.path)/none*.inc\nport 7010\n")
        let config = try Config.load(arguments: [file])
        #expect(config.maxClients == 7)
        #expect(config.limits.idleTimeout == .seconds(9))
        #expect(config.port == 7010)
        let missing = folder.write("missing.conf", "include \(folder.path)/absent\n")
        #expect(failure(missing) == "can't open config file '\(folder.path)/absent': No such file or directory")
        let endless = folder.write("endless.conf", "include \(folder.path)/endless.conf\n")
        #expect(failure(endless).contains("too many files include each other"))
        _ = folder.write("broken.inc", "\nport x\n")
        let broken = folder.write("broken.conf", "include \(folder.path)/broken.inc\n")
        #expect(failure(broken).contains("at line 2 of '\(folder.path)/broken.inc'"))
    }

    /// The sample names every directive, at its default.
    @Test func theSampleIsTheDefaults() throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let sample = "/\(root)/apus.conf"
        let config = try Config.load(arguments: [sample, "--dir", "."])
        for directive in Directive.table where directive.id != .dir {
            #expect(config.values[directive.id] == Config.defaults[directive.id], "\(directive.name)")
        }
        #expect(config.notices.isEmpty)
        for path in [sample, "/\(root)/docs/configuration.md"] {
            let text = try #require(contents(path))
            for directive in Directive.table {
                let mark = path.hasSuffix(".md") ? "`\(directive.name)`" : "\n\(directive.name) "
                #expect(text.contains(mark), "\(path) does not have \(directive.name)")
            }
        }
    }

    private func contents(_ path: String) -> String? {
        guard let stream = fopen(path, "r") else { return nil }
        defer { fclose(stream) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        return String(decoding: bytes[..<fread(&bytes, 1, bytes.count, stream)], as: UTF8.self)
    }
}

extension String {
    /// How often `part` occurs.
    fileprivate func components(_ part: String) -> Int { ranges(of: part).count }
}
