import Net
import Runtime

/// Opening connections, and what happens to them besides replies.
extension BenchLoop {
    /// Connections that are being opened at a time.
    private static var openingLimit: Int { 256 }
    /// For a connection to be opened, or another one.
    private static var patience: Nanoseconds { .seconds(5) }

    /// Clients 0..<count shall be connected.
    func open(_ count: Int) {
        precondition(count <= settings.clients)
        wanted = count
        nextToOpen = 0
        lastOpened = clock.monotonic
    }

    var isOpen: Bool { readyCount == wanted }

    /// Sends something over client 0 (which must be the only one, and connected) and collects the replies in `collected`.
    func ask(_ request: [UInt8], replies: Int) {
        precondition(clients.pointee.phase == .ready, "nobody is there to be asked")
        clients.pointee.phase = .asked
        readyCount -= 1
        collected = []
        collecting = replies
        lastOpened = clock.monotonic
        send(request, clients.pointee.connection!)
    }

    func tendConnections() -> Bool {
        var work = false
        while connectingCount < Self.openingLimit, nextToOpen < wanted, failure == nil {
            let client = clients + nextToOpen
            if client.pointee.phase == .closed { connect(client) }
            nextToOpen += 1
            work = true
        }
        if now - lastOpened > Self.patience, failure == nil {
            let what = collecting > 0 ? "does not answer" : "cannot be reached: nobody answers"
            fail("\(settings.host):\(settings.port) \(what) within \(Self.patience / 1_000_000_000) seconds.")
        }
        return work
    }

    private func connect(_ client: Client) {
        guard let connection = transport.connect(client: client - clients, now: now) else {
            return fail(
                "Cannot connect to \(settings.host):\(settings.port) (\(readyCount) of \(wanted) connections are open): "
                    + transport.refusal + ".")
        }
        client.pointee.connection = connection
        client.pointee.phase = .connecting
        client.pointee.scanner = ReplyScanner()
        (client.pointee.sent, client.pointee.answered, client.pointee.verified) = (0, 0, 0)
        connectingCount += 1
    }

    /// Whatever is not just replies to a ready client.
    func serveOther(_ client: Client, _ ready: BenchReady<T.Connection>) {
        if ready.events.contains(.opened) { opened(client, ready.connection) }
        if ready.events.contains(.readable) {
            switch client.pointee.phase {
            case .greeting: receiveGreeting(client, ready.connection)
            case .asked: collect(client, ready.connection)
            case .ready: receive(client, ready.connection)
            case .closed, .connecting: break
            }
        }
        // Its replies may have been the last of a connection that is not kept.
        guard client.pointee.connection == ready.connection else { return }
        if ready.events.contains(.closed) {
            lose(client)
            transport.free(ready.connection)
        } else if ready.events.contains(.endOfStream), client.pointee.phase != .closed {
            lose(client)
            transport.abort(ready.connection)
        }
    }

    private func opened(_ client: Client, _ connection: T.Connection) {
        connectingCount -= 1
        lastOpened = now
        guard greeting.replies > 0 else { return becomeReady(client, connection) }
        client.pointee.phase = .greeting
        client.pointee.sent = UInt32(greeting.replies)
        send(greeting.bytes, connection)
    }

    private func send(_ bytes: [UInt8], _ connection: T.Connection) {
        var writer = RequestWriter(reference, connection)
        bytes.withUnsafeBytes { writer.append($0.baseAddress!, $0.count) }
        writer.finish()
    }

    private func receiveGreeting(_ client: Client, _ connection: T.Connection) {
        var result = ScanResult()
        while true {
            let view = transport.received(connection)
            if view.count == 0 { break }
            let count = client.pointee.scanner.scan(view, shape: &shape, into: &result)
            if let text = result.errorText { return fail("The server refuses: \(text.string)") }
            if result.isBroken { return failUnreadable() }
            transport.consume(connection, count)
        }
        client.pointee.answered &+= UInt32(result.replies)
        if client.pointee.underWay == 0 { becomeReady(client, connection) }
    }

    private func collect(_ client: Client, _ connection: T.Connection) {
        var result = ScanResult()
        while true {
            let view = transport.received(connection)
            if view.count == 0 { break }
            let count = client.pointee.scanner.scan(view, shape: &shape, into: &result)
            collected += ByteView(view.base, count).array
            if result.isBroken { return failUnreadable() }
            transport.consume(connection, count)
        }
        collecting -= result.replies
        guard collecting <= 0 else { return }
        client.pointee.phase = .ready
        readyCount += 1
    }

    private func becomeReady(_ client: Client, _ connection: T.Connection) {
        client.pointee.phase = .ready
        (client.pointee.sent, client.pointee.answered) = (0, 0)
        readyCount += 1
        if state.isLoaded, client - clients < state.starting { startClient(client) }
    }

    /// The connection is gone, or its end has come. Its handle is let go of by the caller.
    private func lose(_ client: Client) {
        let phase = client.pointee.phase
        client.pointee.phase = .closed
        client.pointee.connection = nil
        client.pointee.isQueued = false
        switch phase {
        case .closed: return
        case .connecting:
            connectingCount -= 1
            return fail("Cannot connect to \(settings.host):\(settings.port): \(transport.refusal).")
        case .greeting, .asked:
            return fail("\(settings.host):\(settings.port) closed the connection before it was used.")
        case .ready:
            readyCount -= 1
            loseRequests(client)
        }
    }

    private func loseRequests(_ client: Client) {
        let place = stamps + (client - clients) * ring
        var answered = Int(client.pointee.answered)
        for _ in 0..<client.pointee.underWay {
            if place[answered & (ring - 1)] >= state.countsFrom {
                state.lost += 1
                mix?.failed(client: client - clients, position: answered)
            }
            verifier?.lost(client: client - clients, position: answered)
            answered += 1
        }
        fruitless = client.pointee.answered == 0 ? fruitless + 1 : 0
        if flightLimit > 0 { inFlight -= client.pointee.underWay }
        client.pointee.answered = client.pointee.sent
        if schedule != nil || flightLimit > 0 { forget(client) }
        guard fruitless < 1_000 else {
            return fail(
                "\(settings.host):\(settings.port) closes connections without an answer"
                    + (state.errorText.map { " (\($0))." } ?? "."))
        }
        if state.isLoaded { state.reconnects += 1 }
        nextToOpen = 0
        lastOpened = now
    }

    /// Out of the queue of clients with room; O(clients), for a lost connection.
    private func forget(_ client: Client) {
        let number = UInt32(client - clients)
        for _ in 0..<idle.count {
            if let other = idle.pop(), other != number { idle.push(other) }
        }
    }

    /// Instead of keeping the connection: a new one for the next batch.
    func renew(_ client: Client, _ connection: T.Connection) {
        transport.finish(connection)
        readyCount -= 1
        client.pointee.phase = .closed
        client.pointee.connection = nil
        connect(client)
    }

    /// Closes everything; what is under way is lost.
    func closeAll() {
        for number in 0..<settings.clients {
            let client = clients + number
            if let connection = client.pointee.connection { transport.abort(connection) }
            client.pointee = BenchClient()
        }
        (wanted, readyCount, connectingCount) = (0, 0, 0)
        transport.finishTurn(now: clock.monotonic)
    }
}
