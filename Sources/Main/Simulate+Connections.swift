import App

/// The table of `apus sim --connections N`. Exit status 1 when a client holds more than it may or something was left.
func printScale(_ report: ConnectionScale.Report) throws {
    func line(_ name: String, _ value: String) {
        print(name.padded(to: 58), value.leftPadded(to: 12))
    }
    func microseconds(_ time: Int64) -> String { decimals(Double(time) / 1000) + " us" }
    let perConnection = { (bytes: Int) in decimals(Double(bytes) / Double(report.connections)) }
    let parts = report.parts
    line("connections", "\(report.connections)")
    line("opens a second (server's CPU time)", "\(Int(report.opensPerSecond))")
    line("server's time an open", decimals(Double(report.openingTime) / Double(report.connections)) + " ns")
    line("longest turn while opening", microseconds(report.longestOpeningTurn))
    for lookup in report.lookups {
        line("look-up among \(lookup.connections)", decimals(lookup.nanoseconds) + " ns")
    }
    line("turn without frames, average", decimals(report.idleTurn) + " ns")
    line("turn without frames, longest", microseconds(report.longestIdleTurn))
    line("keepalive timers fired", "\(report.timersFired)")
    line("longest turn while timers fire", microseconds(report.longestTimerTurn))
    line("closes a second (RST)", "\(Int(Double(report.connections) * 1e9 / Double(max(1, report.closingTime))))")
    line("longest turn while closing", microseconds(report.longestClosingTurn))
    print("bytes an idle client")
    line("  control block, its timer included", decimals(parts.block))
    line("  its share of slab and malloc", decimals(parts.slab))
    line("  slots of the table now", decimals(parts.table))
    line("  slots of the table when they are most", decimals(parts.tableAtWorst))
    line("  connection, at most (bound 384)", decimals(parts.connectionAtWorst))
    line("  session, with its share of slab and malloc", decimals(parts.session))
    line("  client, at most (bound 512)", decimals(parts.clientAtWorst))
    line("  by malloc's account (the table is not malloc's)", perConnection(report.heapBytes))
    line("  by the kernel's account (RSS)", perConnection(report.residentBytes))
    let left = [report.leftConnections, report.leftSessions, report.leftFrames]
    line("connections, sessions, frames left at the end", left.map(String.init).joined(separator: " "))
    guard parts.connectionAtWorst <= 384, parts.clientAtWorst <= 512, left == [0, 0, 0] else {
        throw Failure(text: "an idle client is beyond its bounds, or something was left")
    }
}

private func decimals(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(abs(tenths % 10))"
}

extension String {
    fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
    fileprivate func leftPadded(to width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}
