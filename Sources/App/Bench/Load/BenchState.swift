import Runtime

/// How far a test has come.
struct BenchState {
    /// Requests may still be sent.
    var isSending = false
    /// A test has begun.
    var isLoaded = false
    /// Clients below this number have had their first turn in this test.
    var starting = Int.max
    /// When `passBoundary` has something to do.
    var boundary = Nanoseconds.max
    /// Requests stamped before this are not counted; `.max` while warming up.
    var countsFrom = Nanoseconds.max
    /// No request is sent at or after this.
    var sendUntil = Nanoseconds.max
    /// Requests that count: how many to send, and how many were.
    var target = 0
    var issued = 0
    /// Of these, lost with their connection.
    var lost = 0
    /// Error replies; replies that were not what they should be.
    var errors = 0
    var wrong = 0
    var reconnects = 0
    /// The text of the first error reply, and what was wrong first.
    var errorText: String?
    var wrongText: String?
    var lastReply: Nanoseconds = 0
    /// When the first counted request could be sent.
    var start: Nanoseconds = 0
    /// Processor time and the transport's counters at that time.
    var usageAtStart = 0.0
    var countersAtStart = TransportCounters()
    /// Texts of errors for whoever wants to show them; bounded.
    var texts: [String] = []

    mutating func shown(_ text: String) {
        if texts.count < 1_000 { texts.append(text) }
    }
}
