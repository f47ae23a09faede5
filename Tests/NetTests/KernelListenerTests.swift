import CLinux
import Glibc
import Runtime
import Testing

@testable import Net

@Suite(.serialized) struct KernelListenerTests {
    private func message(_ bind: [String], port: UInt16) -> String {
        do throws(ListenError) {
            let sockets = try KernelListener.open(bind: bind, port: port, shards: 1, backlog: 16)
            for socket in sockets.joined() { close(socket) }
            return "no error"
        } catch {
            return error.description
        }
    }

    @Test func everyShardListensOnEveryAddress() throws {
        let sockets = try KernelListener.open(bind: ["127.0.0.1", "-::1"], port: 0, shards: 3, backlog: 16)
        defer { for socket in sockets.joined() { close(socket) } }
        #expect(sockets.count == 3)
        let ports = Set(sockets.joined().map { KernelListener.port(of: $0) })
        #expect(ports.count == 1)
        #expect(!ports.contains(0))
        // IPv6 may be off on this machine.
        #expect(Set(sockets.map(\.count)).count == 1)
    }

    @Test func aPortInUseIsAClearSentence() throws {
        // Even against ourselves, although SO_REUSEPORT would let two servers share the port.
        let sockets = try KernelListener.open(bind: ["127.0.0.1"], port: 0, shards: 2, backlog: 16)
        defer { for socket in sockets.joined() { close(socket) } }
        let port = KernelListener.port(of: sockets[0][0])
        let expected =
            "cannot listen on 127.0.0.1:\(port): the address is in use, so another server runs there; stop it, "
            + "or choose another port with --port"
        #expect(message(["127.0.0.1"], port: port) == expected)
    }

    @Test func anAddressThatIsNotOurs() {
        let error = message(["192.0.2.1"], port: 6399)
        #expect(error.hasPrefix("cannot listen on 192.0.2.1:6399: this machine does not have the address"))
        #expect(message(["-192.0.2.1"], port: 6399).hasPrefix("cannot listen: this machine has none of the addresses"))
        #expect(message(["127.0.0.1", "-192.0.2.1"], port: 0) == "no error")
        #expect(message(["localhost"], port: 6399).hasPrefix("cannot listen on 'localhost': not an IPv4 or IPv6"))
        #expect(message(["*"], port: 0) == "no error")
    }

    /// In a process of its own, because the limit holds for all its threads.
    @Test func acceptPausesWhenDescriptorsRunOut() async {
        await #expect(processExitsWith: .success) {
            let fixture = try KernelFixture()
            let client = KernelClient(port: fixture.port)
            let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
            var limit = rlimit()
            getrlimit(resource, &limit)
            let old = limit
            // No number below the limit is free.
            limit.rlim_cur = 3
            setrlimit(resource, &limit)
            fixture.turn { _, _ in preconditionFailure("accepted without a descriptor") }
            precondition(fixture.stack.statistics.acceptFailures == 1)
            precondition(fixture.stack.nextDeadline == fixture.now + .milliseconds(100))
            // Silent until then: no spinning.
            precondition(fixture.stack.poll(now: fixture.now) == 0)
            limit = old
            setrlimit(resource, &limit)
            fixture.now += .milliseconds(100)
            var opened = false
            fixture.turn { _, events in opened = events == .opened }
            precondition(opened)
            withExtendedLifetime(client) {}
        }
    }
}
