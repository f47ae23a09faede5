import CLinux
import Glibc

/// A POSIX thread pinned to one core, running one body to its end.
public final class PinnedThread: @unchecked Sendable {
    private let body: @Sendable () -> Void
    private let core: Int32?
    private let name: String
    private var handle = pthread_t()

    /// - Parameters:
    ///   - name: shown by top and perf; at most 15 bytes.
    ///   - core: the core to stay on, or nil for any.
    public init(name: String, core: Int32?, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.core = core
        self.body = body
    }

    /// The cores this process may use, ascending.
    public static var usableCores: [Int32] {
        var cores = [Int32](repeating: 0, count: 1024)
        let count = apus_usable_cores(&cores, 1024)
        return Array(cores.prefix(Int(count)))
    }

    public func start() {
        let context = Unmanaged.passRetained(self).toOpaque()
        let code = pthread_create(
            &handle, nil,
            { context in
                let thread = Unmanaged<PinnedThread>.fromOpaque(context!).takeRetainedValue()
                apus_name_thread(thread.name)
                // A refusal (a cpuset that shrank) costs speed, not correctness.
                if let core = thread.core { _ = apus_pin_to_core(core) }
                thread.body()
                return nil
            }, context)
        precondition(code == 0, "cannot start a thread: \(String(cString: strerror(code)))")
    }

    public func join() { pthread_join(handle, nil) }
}
