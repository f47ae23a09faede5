import CURCU

/// The calling thread's part in RCU (liburcu, quiescent-state-based flavour). A thread that reads published values
/// registers once, announces quiescence when it holds no reference, and goes offline while it sleeps.
public enum RCUThread {
    public static func register() { apus_rcu_register_thread() }
    public static func unregister() { apus_rcu_unregister_thread() }
    /// "I hold no reference to anything published." Once a turn of the poll loop.
    public static func quiescent() { apus_rcu_quiescent_state() }
    /// Before sleeping: updaters do not wait for this thread until it is online again.
    public static func offline() { apus_rcu_thread_offline() }
    public static func online() { apus_rcu_thread_online() }
}

/// A read-mostly object that readers reach with one load and one updater replaces as a whole.
/// Values are classes so that the old one lives until every reader has announced quiescence.
public final class RCUPublished<Value: AnyObject>: @unchecked Sendable {
    /// Holds one retain of the object it points to. Written only by `publish`.
    @usableFromInline let slot: UnsafeMutablePointer<UnsafeMutableRawPointer?>

    public init(_ value: Value) {
        slot = .allocate(capacity: 1)
        slot.initialize(to: Unmanaged.passRetained(value).toOpaque())
    }

    deinit {
        Unmanaged<Value>.fromOpaque(slot.pointee!).release()
        slot.deallocate()
    }

    /// The present value's identity: one load, nothing is retained. A shard compares it with the value that it holds
    /// (`current`, strongly) and takes the new one only when they differ. It must hold that value: the address of a
    /// freed one could come back with another content.
    @inlinable public var identity: UnsafeRawPointer {
        UnsafeRawPointer(apus_rcu_dereference(slot).unsafelyUnwrapped)
    }

    /// The present value, not retained: one load. Good until the reading thread's next quiescent state; take it anew
    /// each turn.
    @inlinable public var borrowed: Unmanaged<Value> {
        Unmanaged<Value>.fromOpaque(apus_rcu_dereference(slot)!)
    }

    /// The present value, retained: good for as long as the caller keeps it. An atomic increment, so not for each turn.
    public var current: Value { borrowed.takeUnretainedValue() }

    /// Replaces the value and frees the old one after a grace period. One updater at a time; it must be registered or
    /// not a reader at all. Blocks until all online readers were quiescent, so the caller's own reads end here.
    public func publish(_ value: Value) {
        let old = apus_rcu_exchange(slot, Unmanaged.passRetained(value).toOpaque())!
        apus_rcu_synchronize()
        Unmanaged<Value>.fromOpaque(old).release()
    }
}
