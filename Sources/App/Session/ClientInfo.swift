import Glibc
import Net
import Runtime

/// What a client tells of itself. Heap memory that only such clients have.
struct ClientExtras: BitwiseCopyable {
    /// CLIENT SETNAME; empty: none.
    var name = OwnedText()
    /// CLIENT SETINFO lib-name, lib-ver; empty: none.
    var libraryName = OwnedText()
    var libraryVersion = OwnedText()

    var isEmpty: Bool { name.count == 0 && libraryName.count == 0 && libraryVersion.count == 0 }
}

/// Bytes from malloc with one owner. `base` is nil exactly when `count` is 0.
struct OwnedText: BitwiseCopyable {
    private(set) var base: UnsafeMutableRawPointer?
    private(set) var count = 0

    mutating func replace(with text: ByteView) {
        free(base)
        count = text.count
        base = nil
        guard count > 0 else { return }
        base = malloc(count)!
        base!.copyMemory(from: text.base, byteCount: count)
    }

    mutating func release() {
        free(base)
        base = nil
        count = 0
    }

    var string: String {
        base.map { String(decoding: UnsafeRawBufferPointer(start: $0, count: count), as: UTF8.self) } ?? ""
    }
    /// nil when empty.
    var view: ByteView? { base.map { ByteView($0, count) } }
}

/// Only printable ASCII without the space: CLIENT LIST separates its fields by spaces.
func isValidClientAttribute(_ text: ByteView) -> Bool {
    for index in 0..<text.count where text[index] < UInt8(ascii: "!") || text[index] > UInt8(ascii: "~") {
        return false
    }
    return true
}

extension Session {
    /// CLIENT SETNAME's name; nil when there is none.
    var name: ByteView? { state.pointee.extras?.pointee.name.view }

    func setName(_ text: ByteView) { setExtra(\.name, text) }
    func setLibraryName(_ text: ByteView) { setExtra(\.libraryName, text) }
    func setLibraryVersion(_ text: ByteView) { setExtra(\.libraryVersion, text) }

    /// An empty text removes the field, and the last field the block.
    private func setExtra(_ field: WritableKeyPath<ClientExtras, OwnedText>, _ text: ByteView) {
        if state.pointee.extras == nil {
            guard text.count > 0 else { return }
            let extras = UnsafeMutablePointer<ClientExtras>.allocate(capacity: 1)
            extras.initialize(to: ClientExtras())
            state.pointee.extras = extras
        }
        state.pointee.extras!.pointee[keyPath: field].replace(with: text)
        if state.pointee.extras!.pointee.isEmpty { freeExtras() }
    }

    func freeExtras() {
        guard let extras = state.pointee.extras else { return }
        extras.pointee.name.release()
        extras.pointee.libraryName.release()
        extras.pointee.libraryVersion.release()
        extras.deallocate()
        state.pointee.extras = nil
    }

    /// "address:port" of the client's end.
    func peerAddressText(_ streams: Streams) -> String {
        text(state.pointee.remote, streams) { $0.remote($1) }
    }
    /// The same of our end.
    func localAddressText(_ streams: Streams) -> String {
        text(state.pointee.local, streams) { $0.local($1) }
    }

    /// An IPv6 address is only known to the kernel.
    private func text(
        _ end: Endpoint, _ streams: Streams, _ ask: (KernelStack, KernelConnection) -> (String, UInt16)
    ) -> String {
        let stream = state.pointee.stream
        guard end.address.bits == 0, stream.kind == .kernel, let kernel = streams.kernel else { return end.text }
        let (address, port) = ask(kernel, stream.kernelConnection)
        return "\(address):\(port)"
    }

    /// One letter a property, as CLIENT LIST shows them.
    private var flagLetters: String {
        let flags = state.pointee.flags
        var letters = ""
        if flags.contains(.closeAfterReply) { letters += "c" }
        if flags.contains(.closeNow) { letters += "A" }
        if flags.contains(.noEvict) { letters += "e" }
        if flags.contains(.noTouch) { letters += "T" }
        return letters.isEmpty ? "N" : letters
    }

    /// The client's line in CLIENT LIST, without the newline. `qbuf` is what waits for the end of a command, `omem` what
    /// the client has not taken yet. Fields of Redis for things that do not exist here are 0, or -1 where Redis means
    /// "none" by it. What Redis does not have comes behind its last field: how the connection does.
    func infoLine(now: Nanoseconds, _ streams: Streams) -> String {
        let state = state.pointee
        let age = (now - state.createdAt) / 1_000_000_000
        let idle = (now - state.lastInteraction) / 1_000_000_000
        let command =
            state.lastCommand == SessionState.noCommand
            ? "NULL" : CommandTable.shared.entries[Int(state.lastCommand)].fullName.string
        let extras = state.extras?.pointee ?? ClientExtras()
        let waiting = state.reader.bufferedBytes
        let backlog = streams.backlog(state.stream)
        return
            "id=\(state.id) addr=\(peerAddressText(streams)) laddr=\(localAddressText(streams)) fd=-1 "
            + "name=\(extras.name.string) age=\(age) idle=\(idle) flags=\(flagLetters) db=\(state.database) sub=0 psub=0 ssub=0 multi=-1 "
            + "qbuf=\(waiting) qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=\(backlog) "
            + "tot-mem=\(memory + waiting + backlog) events=r cmd=\(command) user=default redir=-1 resp=\(state.protocolVersion) "
            + "lib-name=\(extras.libraryName.string) lib-ver=\(extras.libraryVersion.string)"
            + (streams.info(state.stream)?.clientFields ?? "")
    }

    /// Bytes of the session itself; its connection's are not in them.
    private var memory: Int {
        var bytes = MemoryLayout<SessionState>.stride
        if let extras = state.pointee.extras?.pointee {
            bytes += MemoryLayout<ClientExtras>.stride
            bytes += extras.name.count + extras.libraryName.count + extras.libraryVersion.count
        }
        return bytes
    }
}

extension Endpoint {
    var text: String { "\(address):\(port)" }
}

extension ConnectionInfo {
    /// Fields of CLIENT LIST: bytes, and microseconds. Each begins with a space.
    var clientFields: String {
        " tcp-state=\(state.name) rtt=\(roundTrip) rttvar=\(roundTripVariation) rto=\(retransmissionTimeout) "
            + "cwnd=\(congestionWindow) ssthresh=\(slowStartThreshold.map(Int.init) ?? -1) mss=\(maximumSegmentSize) "
            + "snd-wnd=\(sendWindow) rcv-wnd=\(receiveWindow) unacked=\(unacknowledged) unsent=\(unsent) "
            + "unread=\(unread) ooo=\(outOfOrder.map(Int.init) ?? -1) retrans=\(retransmissions) backoff=\(backoff)"
    }
}
