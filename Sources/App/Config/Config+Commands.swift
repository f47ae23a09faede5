import Runtime

/// CONFIG GET and CONFIG SET.
extension Config {
    /// The directives that a CONFIG GET pattern names (a glob, in any case), in the table's order.
    public func matching(_ pattern: String) -> [(name: String, value: String)] { matching([pattern]) }

    /// The directives that any of these patterns names, each once.
    public func matching(_ patterns: [String]) -> [(name: String, value: String)] {
        return Directive.table.compactMap { directive in
            guard patterns.contains(where: { Self.matches($0, directive.name) }) else { return nil }
            // A name is given back as it was asked for, a glob's finds as the table has them.
            let asked = patterns.first { $0.lowercased() == directive.name }
            return (asked ?? directive.name, values[directive.id]!.description)
        }
    }

    private static func matches(_ pattern: String, _ name: String) -> Bool {
        var (pattern, name) = (pattern, name)
        return pattern.withUTF8 { pattern in
            // Of an empty string Swift gives no address; and an empty pattern names nothing.
            guard let base = pattern.baseAddress else { return false }
            return name.withUTF8 { name in
                stringMatch(
                    ByteView(base, pattern.count), ByteView(name.baseAddress!, name.count), ignoringCase: true)
            }
        }
    }

    /// What CONFIG SET makes of this configuration: all pairs are applied, or none. Redis's order of checks: first all
    /// names, then the values from left to right. The error's text is the error reply.
    public func setting(_ pairs: [(name: String, value: String)]) -> Result<Config, ConfigError> {
        var directives: [Directive] = []
        for (name, _) in pairs {
            guard let directive = Directive.named(name) else {
                if UnsupportedDirective.contains(name.lowercased()) {
                    return .failure(Self.refusal(name, "not supported yet"))
                }
                return .failure(
                    ConfigError("ERR Unknown option or number of arguments for CONFIG SET - '\(name)'"))
            }
            switch directive.change {
            case .startOnly: return .failure(Self.refusal(name, "can't set immutable config"))
            case .protected: return .failure(Self.refusal(name, "can't set protected config"))
            case .anyTime: break
            }
            if directives.contains(where: { $0.id == directive.id }) {
                return .failure(Self.refusal(name, "duplicate parameter"))
            }
            directives.append(directive)
        }
        var changed = values
        for (directive, pair) in zip(directives, pairs) {
            do {
                changed[directive.id] = try directive.kind.parse(
                    directive.kind.words(of: pair.value), previous: changed[directive.id])
            } catch {
                return .failure(Self.refusal(pair.name, error.text))
            }
        }
        return .success(Config(values: changed, notices: notices, file: file))
    }

    /// All directives, for --help.
    public static var help: String {
        Directive.table.map { directive in
            let value = directive.defaultValue.isEmpty ? "\"\"" : directive.defaultValue
            return "--\(directive.name) (\(value))  \(directive.summary)"
        }.joined(separator: "\n")
    }

    private static func refusal(_ name: String, _ reason: String) -> ConfigError {
        ConfigError("ERR CONFIG SET failed (possibly related to argument '\(name)') - \(reason)")
    }
}
