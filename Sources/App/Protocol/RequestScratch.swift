import Glibc
import Runtime

/// A shard's memory for reading requests, shared by all its sessions because only one command is read at a time:
/// the views of the arguments, room for unescaped inline arguments, and spare partial requests.
/// A handle: copies name the same memory. Used by one thread.
struct RequestScratch: BitwiseCopyable {
    struct State {
        /// Views of the command being read; `argumentCapacity` of them have room.
        var arguments: UnsafeMutablePointer<ByteView>
        /// Always at least `minimumArguments`.
        var argumentCapacity: Int
        /// Unescaped inline arguments; nil until a request needs it. Holds `textCapacity` bytes.
        var text: UnsafeMutableRawPointer?
        var textCapacity: Int
        /// Chain of partial requests that nobody uses, each with its buffers; at most `maximumSpares`.
        var spares: UnsafeMutablePointer<PartialRequest>?
        var spareCount: Int
        /// Partial requests in use by sessions.
        var partialCount: Int
        /// Longest bulk string a client may declare (proto-max-bulk-len). Below 2^40.
        var maximumBulkLength: Int
        /// Most bytes that one incomplete command may hold (client-query-buffer-limit).
        var maximumBuffered: Int
        /// The session being read has not logged in and must: it may declare little, since it need not send it to
        /// take memory.
        var isRestricted = false
    }

    static let minimumArguments = 1024
    /// What a client may declare before it has logged in, as in Redis.
    static let restrictedCount = 10
    static let restrictedBulkLength = 16384
    static let maximumSpares = 32
    /// A spare keeps its buffer only if that is at most this large.
    static let maximumSpareBuffer = 4096

    let state: UnsafeMutablePointer<State>

    init(maximumBulkLength: Int = 512 << 20, maximumBuffered: Int = 1 << 30) {
        state = .allocate(capacity: 1)
        state.initialize(
            to: State(
                arguments: .allocate(capacity: Self.minimumArguments), argumentCapacity: Self.minimumArguments,
                text: nil, textCapacity: 0, spares: nil, spareCount: 0, partialCount: 0,
                maximumBulkLength: maximumBulkLength, maximumBuffered: maximumBuffered))
    }

    /// After every reader that used it was discarded.
    func deallocate() {
        precondition(state.pointee.partialCount == 0, "a session still holds a partial request")
        while let spare = state.pointee.spares {
            state.pointee.spares = spare.pointee.nextSpare
            spare.pointee.deallocateBuffers()
            spare.deallocate()
        }
        state.pointee.arguments.deallocate()
        free(state.pointee.text)
        state.deallocate()
    }

    var arguments: UnsafeMutablePointer<ByteView> { state.pointee.arguments }
    var argumentCapacity: Int { state.pointee.argumentCapacity }

    /// Makes room for one argument more than `count`, keeping the first `count`. Returns where they are now.
    @inline(never)
    func growArguments(_ count: Int) -> UnsafeMutablePointer<ByteView> {
        resizeArguments(to: state.pointee.argumentCapacity &* 2, keeping: count)
        return state.pointee.arguments
    }

    /// Makes room for `capacity` arguments, keeping the first `count`.
    func resizeArguments(to capacity: Int, keeping count: Int) {
        let larger = UnsafeMutablePointer<ByteView>.allocate(capacity: capacity)
        larger.update(from: state.pointee.arguments, count: count)
        state.pointee.arguments.deallocate()
        state.pointee.arguments = larger
        state.pointee.argumentCapacity = capacity
    }

    /// After a command with very many arguments: gives the memory back.
    @inline(never)
    func shrinkArguments() {
        resizeArguments(to: Self.minimumArguments, keeping: 0)
    }

    /// Memory for at least `count` bytes of unescaped text. What was there is lost.
    func text(_ count: Int) -> UnsafeMutableRawPointer {
        if count > state.pointee.textCapacity || state.pointee.text == nil {
            free(state.pointee.text)
            state.pointee.textCapacity = max(count, 1024)
            state.pointee.text = malloc(state.pointee.textCapacity)!
        }
        return state.pointee.text!
    }

    /// An empty partial request.
    func takePartial() -> UnsafeMutablePointer<PartialRequest> {
        state.pointee.partialCount &+= 1
        if let spare = state.pointee.spares {
            state.pointee.spares = spare.pointee.nextSpare
            state.pointee.spareCount &-= 1
            return spare
        }
        let fresh = UnsafeMutablePointer<PartialRequest>.allocate(capacity: 1)
        fresh.initialize(to: PartialRequest())
        return fresh
    }

    /// Takes a partial request back, with whatever it still owns.
    func returnPartial(_ partial: UnsafeMutablePointer<PartialRequest>) {
        state.pointee.partialCount &-= 1
        partial.pointee.reset(keepingAtMost: Self.maximumSpareBuffer)
        if state.pointee.spareCount < Self.maximumSpares {
            partial.pointee.nextSpare = state.pointee.spares
            state.pointee.spares = partial
            state.pointee.spareCount &+= 1
        } else {
            partial.pointee.deallocateBuffers()
            partial.deallocate()
        }
    }
}
