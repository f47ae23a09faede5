import Net
import Runtime
import Store

/// Requests are looked at some ahead of the one that runs, in a burst of frames and in a pipeline, so that the memory of
/// their keys is on its way meanwhile.
struct CommandsAhead: BitwiseCopyable {
    /// How far in a pipeline: as many as there is time for to fetch a line from memory, and few enough that all that comes
    /// stays in the first cache.
    static let most = 8
    /// Views of one command in the scratch memory.
    static let views = 16
    /// In a burst with fewer frames there is no time for memory to come.
    static let fewestFrames = 4
    /// Of a longer burst only so many frames are looked at: beyond that the first lines asked for may be gone again.
    static let mostFrames = 64

    /// The pipeline's commands, `Window.most` places, of which `runAhead` uses `most`.
    let commands: UnsafeMutablePointer<KnownCommand>
    /// The burst's keys and their hashes, `mostFrames` places each.
    let keys: UnsafeMutablePointer<ByteView>
    let hashes: UnsafeMutablePointer<UInt64>

    init() {
        commands = .allocate(capacity: Window.most)
        keys = .allocate(capacity: Self.mostFrames)
        hashes = .allocate(capacity: Self.mostFrames)
    }

    func deallocate() {
        commands.deallocate()
        keys.deallocate()
        hashes.deallocate()
    }
}

extension SessionPump {
    /// Asks for the keys' memory of a burst's requests, as far as they look like some of known commands. Nobody has checked
    /// these frames yet, and another shard or database may have their keys: then it is for nothing.
    @inline(never)
    func lookAhead(_ burst: FrameQueue, _ stack: Unmanaged<Stack>) {
        let database = shard.database(0)
        guard database.outgrowsCaches else { return }
        let heads = heads
        let keys = ahead.keys
        var count = 0
        for index in 0..<min(burst.count, CommandsAhead.mostFrames) {
            guard let text = stack._withUnsafeGuaranteedRef({ $0.likelyRequest(burst.peek(index)) }) else { continue }
            if heads.readKey(text.base, text.base + text.count, keys + count) { count &+= 1 }
        }
        database.prefetch(keys, stride: 1, count: count, hashes: ahead.hashes)
    }

    /// Runs `first` and the known commands behind it as `runKnown` does.
    @inline(never)
    func runAhead<P: Probe>(
        _ first: KnownCommand, _ limit: UnsafeRawPointer, _ context: inout CommandContext, _ session: Session,
        _ probe: P
    ) -> UnsafeRawPointer {
        let commands = ahead.commands
        let arguments = scratch.arguments
        let database = context.database
        let prefetches = database.outgrowsCaches
        var command = first
        while true {
            commands[0] = command
            var count = 1
            while count < CommandsAhead.most, command.end != limit {
                let place = arguments + count &* CommandsAhead.views
                guard let next = KnownCommand(command.end, limit, heads, place) else { break }
                commands[count] = next
                command = next
                count &+= 1
            }
            if prefetches {
                database.prefetch(arguments + 1, stride: CommandsAhead.views, count: count, hashes: ahead.hashes)
            }
            probe.mark(.parse)
            for index in 0..<count {
                runOwn(commands[index], arguments + index &* CommandsAhead.views, &context, probe)
            }
            guard count == CommandsAhead.most, command.end != limit,
                let next = KnownCommand(command.end, limit, heads, arguments)
            else { break }
            command = next
        }
        session.state.pointee.lastCommand = command.entry.pointee.number
        return command.end
    }
}
