extension Slab {
    /// Every object that was handed out and not freed, or nil when the free chain or the counters are broken. For
    /// checkers: O(capacity * chunks).
    public func live() -> [UnsafeMutablePointer<Element>]? {
        let stride = MemoryLayout<Element>.stride
        var chunks: [UnsafeMutableRawPointer] = []
        var chunk = state.pointee.chunks
        while let current = chunk {
            chunks.append(current + 64)
            chunk = current.load(as: UnsafeMutableRawPointer?.self)
        }
        guard chunks.count * perChunk == state.pointee.capacity else { return nil }
        var isFree = [Bool](repeating: false, count: state.pointee.capacity)
        var free = state.pointee.free
        while let object = free {
            guard let home = chunks.firstIndex(where: { object >= $0 && object < $0 + stride * perChunk }) else {
                return nil
            }
            let offset = object - chunks[home]
            let index = home * perChunk + offset / stride
            // A chain that comes back to where it was is an object freed twice.
            guard offset % stride == 0, !isFree[index] else { return nil }
            isFree[index] = true
            free = object.load(as: UnsafeMutableRawPointer?.self)
        }
        var objects: [UnsafeMutablePointer<Element>] = []
        for index in isFree.indices where !isFree[index] {
            let object = chunks[index / perChunk] + index % perChunk * stride
            objects.append(object.assumingMemoryBound(to: Element.self))
        }
        return objects.count == state.pointee.liveCount ? objects : nil
    }
}
