/// What the loop itself asks of the kernel, and how often it lost its core. INFO shows each as `loop_...`.
struct LoopStatistics: BitwiseCopyable {
    /// System calls: poll to sleep, membarrier before it; eventfd written to wake another shard, and read after having been
    /// woken; the core given away between looks; questions about this thread.
    var polls: UInt64 = 0
    var barriers: UInt64 = 0
    var wakesSent: UInt64 = 0
    var wakesReceived: UInt64 = 0
    var yields: UInt64 = 0
    var questions: UInt64 = 0
    /// Context switches of this thread, as of at most 100 ms ago: because it slept or gave its core away, and because the
    /// core was taken from it.
    var voluntarySwitches: UInt64 = 0
    var involuntarySwitches: UInt64 = 0

    var systemCalls: UInt64 { polls &+ barriers &+ wakesSent &+ wakesReceived &+ yields &+ questions }
}
