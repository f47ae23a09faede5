import CLinux
import Glibc

/// How other threads end a shard's sleep: an eventfd, written only when the sleeper has announced that it sleeps.
///
/// The sleeper announces, then looks at its rings once more, then sleeps; the waker publishes to the ring, then reads
/// the announcement. With a full fence between the two steps on both sides, at least one of them sees the other
/// (Dekker), so no wake-up is lost and a busy shard costs its peers no system call.
///
/// The waker's fence would have to wait for every store before it, some of which go to lines that other cores have; and it is
/// needed only when somebody goes to sleep. So the sleeper makes all threads of the process pass one (membarrier(2)), where
/// the kernel can do that.
@frozen
public struct Waker: BitwiseCopyable, @unchecked Sendable {
    /// Readable when somebody called. The sleeper polls it and owns it.
    public let descriptor: Int32
    /// 1 from the announcement until the sleeper is awake again or somebody has written the eventfd for it.
    @usableFromInline let sleeping: UnsafeMutablePointer<UInt32>
    /// The sleeper's own, on another cache line.
    @usableFromInline let own: UnsafeMutablePointer<SleeperState>

    /// The sleeper's fence is everybody's: `announceSleep` makes a system call.
    public let isAsymmetric: Bool

    /// The process is registered for `apus_membarrier`.
    private static let isRegistered = apus_register_membarrier()

    @usableFromInline struct SleeperState {
        /// Whether `announceSleep` was called since the last `awake`.
        var announced = false
        /// Writes to the eventfd that wakers are bound to make or made, and that were not read yet.
        var owed: UInt64 = 0
    }

    /// - Parameter usesMembarrier: false: as where the kernel has none.
    public init(usesMembarrier: Bool = true) {
        descriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        precondition(descriptor >= 0, "no descriptor left for an eventfd")
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 256, alignment: 128)
        sleeping = memory.initializeMemory(as: UInt32.self, repeating: 0, count: 32)
        isAsymmetric = usesMembarrier && Self.isRegistered
        own = (memory + 128).initializeMemory(as: SleeperState.self, to: SleeperState())
    }

    public func deallocate() {
        close(descriptor)
        UnsafeMutableRawPointer(sleeping).deallocate()
    }

    /// Sleeper: announce, then check the rings again before sleeping.
    public func announceSleep() {
        own.pointee.announced = true
        apus_store_relaxed_u32(sleeping, 1)
        if isAsymmetric { apus_membarrier() } else { apus_fence_seq_cst() }
    }

    /// Sleeper: awake again. Empties the eventfd if it was written. Whether that took a system call.
    ///
    /// A waker that took the announcement may write only after this call. That write is remembered as owed and read at
    /// a later call; it costs one early end of a sleep. Forgotten, it would end every later sleep at once.
    @discardableResult public func awake() -> Bool {
        if own.pointee.announced {
            own.pointee.announced = false
            if apus_exchange_u32(sleeping, 0) == 0 { own.pointee.owed &+= 1 }
        }
        guard own.pointee.owed > 0 else { return false }
        var value: UInt64 = 0
        if read(descriptor, &value, 8) == 8 { own.pointee.owed &-= min(value, own.pointee.owed) }
        return true
    }

    /// Waker, after publishing. One system call only if the shard sleeps and nobody woke it yet; whether it was made.
    @inlinable @discardableResult public func wake() -> Bool {
        if isAsymmetric { apus_compiler_fence() } else { apus_fence_seq_cst() }
        return apus_load_relaxed_u32(sleeping) != 0 && write()
    }

    @usableFromInline @inline(never) func write() -> Bool {
        guard apus_exchange_u32(sleeping, 0) == 1 else { return false }
        var one: UInt64 = 1
        _ = Glibc.write(descriptor, &one, 8)
        return true
    }
}
