import Glibc

/// Builds a `Config` from a file and from the command line: later settings replace earlier ones, except that the
/// repeated lines of `save` in one source add up.
struct ConfigLoader {
    private var values = Config.defaults
    private var notices: [String] = []
    /// Directives that were named at all, in order of first appearance.
    private var named: [DirectiveID] = []
    /// Whether this source (the file, or the command line) already had a `save`.
    private var sourceHasSave = false
    /// Directives of Redis that we do not keep and have told of.
    private var ignored: Set<String> = []

    /// Files within files; a file that includes itself ends here.
    private static let includeDepth = 16

    // MARK: sources

    /// A file in redis.conf's syntax; "-" is the standard input.
    mutating func applyFile(_ path: String) throws(ConfigError) {
        sourceHasSave = false
        try applyText(try Self.read(path), included: nil, depth: 0)
    }

    /// `--directive value ...`, repeated; `--directive=value` is understood too. A value may begin with one dash.
    mutating func applyArguments(_ arguments: [String]) throws(ConfigError) {
        sourceHasSave = false
        var index = 0
        while index < arguments.count {
            let argument = arguments[index]
            guard argument.hasPrefix("--"), argument.count > 2 else {
                throw ConfigError("unexpected argument '\(argument)'; directives are written as --NAME VALUE")
            }
            var words = [String(argument.dropFirst(2))]
            if let equals = words[0].firstIndex(of: "="), Directive.named(String(words[0][..<equals])) != nil {
                words = [String(words[0][..<equals]), String(words[0][words[0].index(after: equals)...])]
            }
            index += 1
            while index < arguments.count, !arguments[index].hasPrefix("--") {
                words.append(arguments[index])
                index += 1
            }
            do {
                try apply(words, depth: 0)
            } catch {
                let shown = words.dropFirst().map(quotedConfigWord).joined(separator: " ")
                throw ConfigError("--\(words[0])\(shown.isEmpty ? "" : " " + shown): \(error.sentence)")
            }
        }
    }

    /// One directive; `value` is split into words as the rest of a line would be, unless the directive takes one word.
    mutating func applySetting(name: String, value: String) throws(ConfigError) {
        guard let directive = Directive.named(name) else { throw ConfigError("unknown directive '\(name)'") }
        do {
            try set(directive, directive.kind.words(of: value))
        } catch {
            throw ConfigError("\(name) \(quotedConfigWord(value)): \(error.text)")
        }
    }

    func finish() -> (values: [DirectiveID: ConfigValue], notices: [String]) {
        var all = notices
        for id in named where values[id] != Config.defaults[id] {
            let directive = Directive.of(id)
            if case .none(let reason) = directive.effect {
                all.append("The directive '\(directive.name)' has no effect: \(reason)")
            }
        }
        return (values, all)
    }

    // MARK: lines

    /// What is wrong with a line.
    private enum LineError: Error {
        /// Redis's words.
        case bad(String)
        /// Already complete: it happened in an included file.
        case complete(ConfigError)

        var sentence: String {
            switch self {
            case .bad(let text): text
            case .complete(let error): error.text
            }
        }
    }

    private mutating func applyText(_ text: String, included path: String?, depth: Int) throws(ConfigError) {
        var number = 0
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            number += 1
            let trimmed = line.drop { $0.isWhitespace }
            if trimmed.isEmpty || trimmed.first == "#" { continue }
            do throws(LineError) {
                guard let words = splitConfigLine(trimmed) else {
                    throw LineError.bad("Unbalanced quotes in configuration line")
                }
                if !words.isEmpty { try apply(words, depth: depth) }
            } catch {
                guard case .bad(let reason) = error else { throw ConfigError(error.sentence) }
                let place = "at line \(number)" + (path.map { " of '\($0)'" } ?? "")
                var shown = String(trimmed)
                while shown.last?.isWhitespace == true { shown.removeLast() }
                throw ConfigError(
                    """
                    *** FATAL CONFIG FILE ERROR (Apus \(Config.version)) ***
                    Reading the configuration file, \(place)
                    >>> '\(shown)'
                    \(reason)
                    """)
            }
        }
    }

    private mutating func apply(_ words: [String], depth: Int) throws(LineError) {
        let name = words[0].lowercased()
        let rest = Array(words.dropFirst())
        if name == "include", rest.count == 1 { return try include(rest[0], depth: depth) }
        if let directive = Directive.named(name) {
            do throws(ValueError) {
                // As in Redis, a line needs a value; only lists may be empty, and then by "".
                guard !rest.isEmpty else { throw ValueError("wrong number of arguments") }
                try set(directive, rest)
            } catch {
                throw .bad(error.text)
            }
        } else if UnsupportedDirective.contains(name) {
            if ignored.insert(name).inserted {
                notices.append("The directive '\(name)' is not supported yet and is ignored")
            }
        } else {
            throw .bad("Bad directive or wrong number of arguments")
        }
    }

    private mutating func set(_ directive: Directive, _ words: [String]) throws(ValueError) {
        var value = try directive.kind.parse(words, previous: values[directive.id])
        if case .savePoints(let points) = value {
            if sourceHasSave, !points.isEmpty, case .savePoints(let earlier)? = values[directive.id] {
                value = .savePoints(earlier + points)
            }
            sourceHasSave = true
        }
        values[directive.id] = value
        if !named.contains(directive.id) { named.append(directive.id) }
    }

    // MARK: files

    /// A pattern that matches nothing is no error, a name without wildcards must exist (as in Redis).
    private mutating func include(_ pattern: String, depth: Int) throws(LineError) {
        guard depth < Self.includeDepth else { throw .bad("too many files include each other") }
        var paths = [pattern]
        if pattern.contains(where: { "*?[".contains($0) }) {
            var matches = glob_t()
            defer { globfree(&matches) }
            paths = []
            if glob(pattern, 0, nil, &matches) == 0 {
                paths = (0..<Int(matches.gl_pathc)).map { String(cString: matches.gl_pathv[$0]!) }
            }
        }
        for path in paths {
            do {
                try applyText(try Self.read(path), included: path, depth: depth + 1)
            } catch {
                throw .complete(error)
            }
        }
    }

    private static func read(_ path: String) throws(ConfigError) -> String {
        let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        func failure() -> ConfigError {
            ConfigError("can't open config file '\(path)': \(String(cString: strerror(errno)))")
        }
        guard descriptor >= 0 else { throw failure() }
        defer { if descriptor != STDIN_FILENO { close(descriptor) } }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw failure() }
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension DirectiveKind {
    /// A value given as one string (CONFIG SET): lists are split at white space, other values are one word.
    func words(of value: String) -> [String] {
        switch self {
        case .words, .savePoints, .outputLimits:
            value.split(whereSeparator: \.isWhitespace).map(String.init)
        default: [value]
        }
    }
}

extension Config {
    /// The server's configuration from its command line: an optional file, then directives, which override it.
    ///
    /// `directory` becomes an absolute path; the caller changes to it before it opens anything else.
    public static func load(arguments: [String]) throws(ConfigError) -> Config {
        var loader = ConfigLoader()
        var rest = arguments[...]
        var file = ""
        if let first = rest.first, !first.hasPrefix("--") {
            try loader.applyFile(first)
            file = first == "-" ? "" : absolute(first) ?? first
            rest = rest.dropFirst()
        }
        try loader.applyArguments(Array(rest))
        var (values, notices) = loader.finish()
        if case .text(let directory)? = values[.dir] {
            guard let path = absolute(directory) else {
                throw ConfigError("can't chdir to '\(directory)': \(String(cString: strerror(errno)))")
            }
            values[.dir] = .text(path)
        }
        return Config(values: values, notices: notices, file: file)
    }

    /// nil: there is no such file, and errno says why.
    private static func absolute(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}
