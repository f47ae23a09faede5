extension FramePool {
    /// A sentence when the free list is not exactly the frames without references. O(frames), for checkers.
    public func findViolation() -> String? {
        var length = 0
        var frame = state.pointee.free
        while frame != .none {
            guard Int(frame) < count, length < count else { return "pool: the free list is broken" }
            if infos[Int(frame)].references != 0 { return "pool: frame \(frame) is free and referenced" }
            length += 1
            frame = infos[Int(frame)].next
        }
        if length != freeCount { return "pool: counts \(freeCount) free frames, \(length) are" }
        var unreferenced = 0
        for frame in 0..<count where infos[frame].references == 0 { unreferenced += 1 }
        return unreferenced == length ? nil : "pool: \(unreferenced - length) frames have neither list nor reference"
    }
}
