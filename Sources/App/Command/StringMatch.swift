import Runtime

/// Redis's glob patterns (stringmatchlen): `*`, `?`, `[abc]`, `[^a]`, `[a-z]`, `\x`.
func stringMatch(_ pattern: ByteView, _ string: ByteView, ignoringCase: Bool = false) -> Bool { false }
