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
    private let slot: UnsafeMutablePointer<UnsafeMutableRawPointer?>

    public init(_ value: Value) {
        slot = .allocate(capacity: 1)
        slot.initialize(to: Unmanaged.passRetained(value).toOpaque())
    }

    deinit {
        Unmanaged<Value>.fromOpaque(slot.pointee!).release()
        slot.deallocate()
    }

    /// The present value. Good until the reading thread's next quiescent state; take it anew each turn.
    public var current: Value {
        Unmanaged<Value>.fromOpaque(apus_rcu_dereference(slot)!).takeUnretainedValue()
    }

    /// Replaces the value and frees the old one after a grace period. One updater at a time; it must be registered or
    /// not a reader at all. Blocks until all online readers were quiescent, so the caller's own reads end here.
    public func publish(_ value: Value) {
        let old = apus_rcu_exchange(slot, Unmanaged.passRetained(value).toOpaque())!
        apus_rcu_synchronize()
        Unmanaged<Value>.fromOpaque(old).release()
    }
}
