/// Why a configuration was refused: the whole text for the user, without a line break at its end.
/// From CONFIG SET it is the error reply, beginning with "ERR".
public struct ConfigError: Error, Equatable, CustomStringConvertible {
    public let text: String
    public init(_ text: String) { self.text = text }
    public var description: String { text }
}
