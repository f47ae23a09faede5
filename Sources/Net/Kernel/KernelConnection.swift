import Runtime

/// A connection over a kernel socket: a handle, good until `KernelStack.free`.
public struct KernelConnection: BitwiseCopyable, Equatable {
    let block: UnsafeMutablePointer<KernelBlock>
}

/// What a connection is and waits for.
struct KernelFlags: OptionSet, BitwiseCopyable {
    let rawValue: UInt16

    /// In the ready list.
    static let ready = KernelFlags(rawValue: 1)
    /// In the list of connections that `output` looks at.
    static let touched = KernelFlags(rawValue: 2)
    /// In the list of connections that wait for their peer's FIN.
    static let lingering = KernelFlags(rawValue: 4)
    /// epoll said that the socket may have bytes, an end or an error; the next `nextEvent` reads it.
    static let readable = KernelFlags(rawValue: 8)
    /// The last read filled the buffer: the socket probably has more.
    static let more = KernelFlags(rawValue: 16)
    /// Not read until the user has consumed what is there.
    static let paused = KernelFlags(rawValue: 32)
    /// The socket took less than we had: epoll tells when to go on.
    static let blocked = KernelFlags(rawValue: 64)
    /// The peer's FIN was read.
    static let ended = KernelFlags(rawValue: 128)
    /// The user called `shutdown`: what is still received is thrown away.
    static let finishing = KernelFlags(rawValue: 256)
    /// Our FIN is sent: `finishing`, and no output is left.
    static let finished = KernelFlags(rawValue: 512)
    /// Nothing comes or goes any more; the user has been told or has aborted. Not registered with epoll.
    static let dead = KernelFlags(rawValue: 1024)
    /// An active open is under way: the socket is not written to, and not read, before epoll says that it is over.
    static let connecting = KernelFlags(rawValue: 2048)
}

/// A connection's state. Plain memory in a slab. An idle connection has no buffers.
struct KernelBlock: BitwiseCopyable {
    /// Open from accept to free.
    var descriptor: Int32
    /// What epoll watches for; 0 is a registered socket of which only errors are reported.
    var interest: UInt32
    var flags: KernelFlags
    /// Not yet taken by the user.
    var events: StreamEvents
    /// Of `received` calls in this turn that read the socket again.
    var reads: UInt8
    /// Unread bytes: in the stack's read buffer while this is the stack's `reader`, else in `ownInput`.
    var input: UnsafeMutableRawPointer
    /// Always 0 when neither of the two holds.
    var inputCount: Int
    /// Allocated exactly while unread bytes outlive their turn.
    var ownInput: UnsafeMutableRawPointer?
    /// Unsent output, oldest first; both nil or neither. Only the tail has room.
    var firstChunk: UnsafeMutablePointer<OutputChunk>?
    var lastChunk: UnsafeMutablePointer<OutputChunk>?
    /// Committed and unsent bytes: the sum over the chunks.
    var backlog: Int
    /// The largest backlog since the last `.writable`; 0 when it never was above the low-water mark.
    var peakBacklog: Int
    /// The user's.
    var context: UnsafeMutableRawPointer?
    /// When `lingering` ends by force.
    var lingerDeadline: Nanoseconds
    var liveLinks: BlockLinks
    var readyLinks: BlockLinks
    var touchedLinks: BlockLinks
    var lingerLinks: BlockLinks

    init(descriptor: Int32, input: UnsafeMutableRawPointer) {
        self.descriptor = descriptor
        self.input = input
        interest = 0
        flags = []
        events = []
        reads = 0
        inputCount = 0
        ownInput = nil
        firstChunk = nil
        lastChunk = nil
        backlog = 0
        peakBacklog = 0
        context = nil
        lingerDeadline = 0
        liveLinks = BlockLinks()
        readyLinks = BlockLinks()
        touchedLinks = BlockLinks()
        lingerLinks = BlockLinks()
    }
}

/// A block's neighbours in one list; meaningless outside of it.
struct BlockLinks: BitwiseCopyable {
    var previous: UnsafeMutablePointer<KernelBlock>?
    var next: UnsafeMutablePointer<KernelBlock>?
}

/// A FIFO of blocks chained through one of their link fields. All operations are O(1). Whether a block is in the list
/// is known by its flags.
struct BlockList: ~Copyable {
    private(set) var first: UnsafeMutablePointer<KernelBlock>?
    private var last: UnsafeMutablePointer<KernelBlock>?
    /// Of the link field within a block.
    private let offset: Int

    init(_ field: PartialKeyPath<KernelBlock>) {
        offset = MemoryLayout<KernelBlock>.offset(of: field)!
    }

    private func links(_ block: UnsafeMutablePointer<KernelBlock>) -> UnsafeMutablePointer<BlockLinks> {
        (UnsafeMutableRawPointer(block) + offset).assumingMemoryBound(to: BlockLinks.self)
    }

    mutating func append(_ block: UnsafeMutablePointer<KernelBlock>) {
        links(block).pointee = BlockLinks(previous: last, next: nil)
        if let last { links(last).pointee.next = block } else { first = block }
        last = block
    }

    mutating func remove(_ block: UnsafeMutablePointer<KernelBlock>) {
        let (previous, next) = (links(block).pointee.previous, links(block).pointee.next)
        if let previous { links(previous).pointee.next = next } else { first = next }
        if let next { links(next).pointee.previous = previous } else { last = previous }
    }
}
