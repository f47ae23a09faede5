// The folder's contract: a header is parsed in two steps. A view exists only over bytes that are there (its initialiser
// checks the length once); a value is made from a view by `parse` and cannot be nonsense afterwards. Whoever holds a
// value checks nothing again. Multi-byte fields are big-endian on the wire and native in values.

extension UnsafeRawPointer {
    @inline(__always) func byte(_ offset: Int) -> UInt8 { load(fromByteOffset: offset, as: UInt8.self) }
    /// Big-endian fields; alignment does not matter.
    @inline(__always) func big16(_ offset: Int) -> UInt16 {
        UInt16(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }
    @inline(__always) func big32(_ offset: Int) -> UInt32 {
        UInt32(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
    /// The bytes as they lie.
    @inline(__always) func raw16(_ offset: Int) -> UInt16 { loadUnaligned(fromByteOffset: offset, as: UInt16.self) }
    @inline(__always) func raw32(_ offset: Int) -> UInt32 { loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
    @inline(__always) func raw64(_ offset: Int) -> UInt64 { loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
}

extension UnsafeMutableRawPointer {
    @inline(__always) func put8(_ value: UInt8, _ offset: Int) {
        storeBytes(of: value, toByteOffset: offset, as: UInt8.self)
    }
    @inline(__always) func putBig16(_ value: UInt16, _ offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
    }
    @inline(__always) func putBig32(_ value: UInt32, _ offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
    }
    @inline(__always) func putRaw16(_ value: UInt16, _ offset: Int) {
        storeBytes(of: value, toByteOffset: offset, as: UInt16.self)
    }
    @inline(__always) func putRaw32(_ value: UInt32, _ offset: Int) {
        storeBytes(of: value, toByteOffset: offset, as: UInt32.self)
    }
    @inline(__always) func putRaw64(_ value: UInt64, _ offset: Int) {
        storeBytes(of: value, toByteOffset: offset, as: UInt64.self)
    }
}
