import Runtime

/// IPv4 datagrams of which some fragments have come (RFC 791 3.2, RFC 815). Fragments are copied to the heap, so that an
/// unfinished datagram holds no frame. It owns the copies; `Stack+Fragments.swift` says what is done with whole datagrams.
struct FragmentTable: ~Copyable {
    /// A fragment's copy: this, then `headerLength` bytes of IPv4 header (of the first fragment only), then the payload.
    struct Piece {
        var next: UnsafeMutablePointer<Piece>?
        /// Place of the payload in the datagram's, and its length, >= 1.
        var offset: Int
        var count: Int
        var headerLength: Int
    }

    struct Datagram {
        /// What RFC 791 names a datagram by; our address is the destination of all.
        var sourceRaw: UInt32 = 0
        var identification: UInt16 = 0
        var protocolNumber: UInt8 = 0
        var isUsed = false
        /// Fragments overlapped (RFC 5722 4): it holds no pieces, and those still to come are dropped.
        var isRefused = false
        /// Sorted by offset, no overlaps.
        var pieces: UnsafeMutablePointer<Piece>?
        var pieceCount = 0
        /// Payload bytes in pieces.
        var bytes = 0
        /// Length of the whole payload; -1 before the last fragment came.
        var total = -1
        /// Bit k: a fragment had the ECN codepoint k.
        var codepoints: UInt8 = 0
        var expires: Nanoseconds = 0
        /// Of the fragment that came last, as `Ethernet.raw`.
        var hardwareRaw: UInt64 = 0
    }

    enum Outcome {
        /// Kept, or a repetition of one that was kept.
        case waiting, duplicate
        /// The datagram in this slot is whole.
        case whole(Int)
        /// It contradicts what came before; its datagram is refused.
        case overlap
        /// One of a refused datagram.
        case refused
        /// The datagram has too many fragments.
        case tooMany
    }

    static let capacity = 64
    /// Of one source: a fourth of the table, so that nobody fills it alone.
    static let perSource = 16
    /// A datagram of 65,535 bytes over a path of 576, and some room.
    static let maxPieces = 144
    /// Bytes of all pieces together, and what a piece costs beside its bytes.
    static let maxBytes = 1 << 20
    static let pieceOverhead = 64
    /// RFC 1122 3.3.2: between 60 and 120 seconds is recommended; RFC 791 had 15; Linux has 30, which is long enough for
    /// any path and bounds how long identifications collide (RFC 4963).
    static let lifetime: Nanoseconds = .seconds(30)

    private let slots: UnsafeMutablePointer<Datagram>
    /// Bytes of all pieces, overhead included. <= maxBytes between calls.
    private(set) var memory = 0
    private(set) var count = 0

    init() {
        slots = .allocate(capacity: Self.capacity)
        slots.initialize(repeating: Datagram(), count: Self.capacity)
    }

    deinit {
        for index in 0..<Self.capacity where slots[index].isUsed { Self.freePieces(slots[index].pieces) }
        slots.deallocate()
    }

    subscript(_ index: Int) -> Datagram { slots[index] }

    /// The earliest end; nil when the table is empty. O(capacity).
    var nextExpiry: Nanoseconds? { oldest(of: nil).map { slots[$0].expires } }

    // MARK: arrival

    /// The slot of the fragment's datagram, if some of it came before.
    func find(_ header: IPv4Header) -> Int? {
        for index in 0..<Self.capacity where slots[index].isUsed {
            let slot = slots + index
            if slot.pointee.sourceRaw == header.sourceRaw, slot.pointee.identification == header.identification,
                slot.pointee.protocolNumber == header.protocolNumber
            {
                return index
            }
        }
        return nil
    }

    /// A slot that has to be emptied before a fragment of `bytes` from this source can be kept; nil: none. For a new
    /// datagram a free slot is needed as well.
    func victim(for header: IPv4Header, bytes: Int, isNew: Bool) -> Int? {
        if isNew {
            var same = 0
            for index in 0..<Self.capacity where slots[index].isUsed && slots[index].sourceRaw == header.sourceRaw {
                same += 1
            }
            if same >= Self.perSource { return oldest(of: header.sourceRaw) }
            if count == Self.capacity { return oldest(of: nil) }
        }
        return memory &+ bytes &+ Self.pieceOverhead > Self.maxBytes ? oldest(of: nil) : nil
    }

    private func oldest(of sourceRaw: UInt32?) -> Int? {
        var found: Int?
        for index in 0..<Self.capacity where slots[index].isUsed {
            if let sourceRaw, slots[index].sourceRaw != sourceRaw { continue }
            if found.map({ slots[index].expires < slots[$0].expires }) ?? true { found = index }
        }
        return found
    }

    /// A slot for a new datagram. One must be free.
    mutating func make(_ header: IPv4Header, now: Nanoseconds) -> Int {
        var index = 0
        while slots[index].isUsed { index += 1 }
        slots[index] = Datagram()
        slots[index].sourceRaw = header.sourceRaw
        slots[index].identification = header.identification
        slots[index].protocolNumber = header.protocolNumber
        slots[index].isUsed = true
        slots[index].expires = now &+ Self.lifetime
        count += 1
        return index
    }

    /// Takes a copy of the fragment: `p` is its IPv4 header, `header` what it says. The caller has checked that offset and
    /// length are possible.
    mutating func insert(
        _ index: Int, _ header: IPv4Header, _ p: UnsafeRawPointer, hardwareRaw: UInt64
    ) -> Outcome {
        let slot = slots + index
        guard !slot.pointee.isRefused else { return .refused }
        let offset = header.fragmentOffset
        let count = header.payloadCount
        let end = offset &+ count
        var previous: UnsafeMutablePointer<Piece>?
        var next = slot.pointee.pieces
        while let piece = next, piece.pointee.offset < end {
            if piece.pointee.offset == offset, piece.pointee.count == count { return .duplicate }
            if piece.pointee.offset &+ piece.pointee.count > offset { return refuse(slot) }
            previous = piece
            next = piece.pointee.next
        }
        // The end, told by one fragment, must be beyond every other, and there is only one.
        if header.moreFragments {
            if slot.pointee.total >= 0, end > slot.pointee.total { return refuse(slot) }
        } else {
            if next != nil || slot.pointee.total >= 0 { return refuse(slot) }
            slot.pointee.total = end
        }
        guard slot.pointee.pieceCount < Self.maxPieces else {
            _ = refuse(slot)
            return .tooMany
        }
        let piece = Self.copy(header, p)
        piece.pointee.next = next
        if let previous { previous.pointee.next = piece } else { slot.pointee.pieces = piece }
        slot.pointee.pieceCount += 1
        slot.pointee.bytes += count
        slot.pointee.hardwareRaw = hardwareRaw
        slot.pointee.codepoints |= 1 &<< (header.typeOfService & 3)
        memory += count + Self.pieceOverhead
        return slot.pointee.bytes == slot.pointee.total ? .whole(index) : .waiting
    }

    private static func copy(_ header: IPv4Header, _ p: UnsafeRawPointer) -> UnsafeMutablePointer<Piece> {
        let headerLength = header.fragmentOffset == 0 ? header.headerLength : 0
        let raw = UnsafeMutableRawPointer.allocate(
            byteCount: MemoryLayout<Piece>.size + headerLength + header.payloadCount, alignment: 8)
        let piece = raw.bindMemory(to: Piece.self, capacity: 1)
        piece.initialize(
            to: Piece(
                next: nil, offset: header.fragmentOffset, count: header.payloadCount, headerLength: headerLength))
        UnsafeMutableRawPointer(piece + 1).copyMemory(
            from: p + (header.headerLength - headerLength), byteCount: headerLength + header.payloadCount)
        return piece
    }

    private mutating func refuse(_ slot: UnsafeMutablePointer<Datagram>) -> Outcome {
        releasePieces(slot)
        slot.pointee.isRefused = true
        return .overlap
    }

    // MARK: departure

    /// The type of service of the whole: with CE if a fragment was marked; nil when another one was not capable of ECN, so
    /// that the mark is not true (RFC 3168 5.3).
    func typeOfService(_ index: Int) -> UInt8? {
        let seen = slots[index].codepoints
        if seen & 0b1000 != 0 { return seen & 1 == 0 ? 3 : nil }
        return seen & 1 != 0 ? 0 : seen & 0b100 != 0 ? 2 : 1
    }

    /// Copies the whole payload to `target`.
    func assemble(_ index: Int, _ target: UnsafeMutableRawPointer) {
        var next = slots[index].pieces
        while let piece = next {
            (target + piece.pointee.offset).copyMemory(from: Self.payload(piece), byteCount: piece.pointee.count)
            next = piece.pointee.next
        }
    }

    /// The first fragment as it came, from its IPv4 header on; nil if it has not come.
    func first(_ index: Int) -> (UnsafeRawPointer, Int)? {
        guard let piece = slots[index].pieces, piece.pointee.offset == 0 else { return nil }
        return (UnsafeRawPointer(piece + 1), piece.pointee.headerLength &+ piece.pointee.count)
    }

    mutating func remove(_ index: Int) {
        releasePieces(slots + index)
        slots[index].isUsed = false
        count -= 1
    }

    /// The slot of a datagram whose time is over.
    func expired(_ now: Nanoseconds) -> Int? {
        for index in 0..<Self.capacity where slots[index].isUsed && slots[index].expires <= now { return index }
        return nil
    }

    private mutating func releasePieces(_ slot: UnsafeMutablePointer<Datagram>) {
        memory -= slot.pointee.bytes + slot.pointee.pieceCount * Self.pieceOverhead
        Self.freePieces(slot.pointee.pieces)
        slot.pointee.pieces = nil
        slot.pointee.pieceCount = 0
        slot.pointee.bytes = 0
    }

    private static func payload(_ piece: UnsafeMutablePointer<Piece>) -> UnsafeRawPointer {
        UnsafeRawPointer(piece + 1) + piece.pointee.headerLength
    }

    private static func freePieces(_ first: UnsafeMutablePointer<Piece>?) {
        var next = first
        while let piece = next {
            next = piece.pointee.next
            piece.deallocate()
        }
    }
}
