import Runtime
import Testing

@testable import Net

@Suite struct Neighbours {
    private let other = MACAddress(bits: 0x02_00_00_00_00_77)
    private let us = Conversation.localAddress
    private let them = Conversation.remoteAddress

    /// The next frame, which must be ARP, and where it goes.
    private func arp(_ t: Conversation) -> (ARPPacket, MACAddress)? {
        guard let frame = t.frame(), frame[12] == 8, frame[13] == 6 else { return nil }
        return frame.withUnsafeBytes {
            let p = $0.baseAddress!
            return ARPPacket(at: p + 14, count: frame.count - 14).map { ($0, MACAddress(at: p)) }
        }
    }

    private func fresh(resolved: Bool = false) -> Conversation {
        let t = Conversation(resolved: resolved)
        t.answersARP = false
        return t
    }

    @Test func requestsForUsAreAnswered() {
        let t = fresh()
        t.input(t.arp(.request, sender: them, Conversation.remoteMAC, target: us))
        let (reply, destination) = arp(t)!
        #expect(reply.operation == .reply)
        #expect(reply.senderHardware == Conversation.localMAC && reply.senderAddress == us)
        #expect(reply.targetHardware == Conversation.remoteMAC && reply.targetAddress == them)
        #expect(destination == Conversation.remoteMAC)
        t.input(t.arp(.request, sender: IPv4Address(10, 0, 0, 8), other, target: IPv4Address(10, 0, 0, 9)))
        #expect(t.frame() == nil)
    }

    @Test func addressProbesAreAnsweredAndNotLearnt() {
        let t = fresh()
        t.input(t.arp(.request, sender: IPv4Address(0, 0, 0, 0), other, target: us))
        #expect(arp(t)?.0.operation == .reply)
        #expect(t.stack.scheduledTimers == 0)
    }

    @Test func framesWaitForTheAnswer() {
        let t = fresh()
        t.connection = t.stack.connect(to: them, port: 80, now: t.now)
        t.turn()
        let (request, destination) = arp(t)!
        #expect(request.operation == .request && request.targetAddress == them)
        #expect(destination == .broadcast)
        #expect(t.frame() == nil)
        t.input(t.arp(.reply, sender: them, Conversation.remoteMAC, target: us, to: Conversation.localMAC))
        let syn = t.frame()!
        #expect(SentSegment(syn)?.flags == .syn)
        #expect(syn[0..<6].elementsEqual([2, 0, 0, 0, 0, 2]))
    }

    @Test func silenceDropsWhatWaits() {
        let t = fresh()
        t.connection = t.stack.connect(to: them, port: 80, now: t.now)
        t.wait(.milliseconds(3_500))
        var requests = 0
        while let (packet, _) = arp(t) {
            #expect(packet.operation == .request)
            requests += 1
        }
        #expect(requests >= 3)
        #expect(t.stack.statistics.arpPendingDrops >= 1)
    }

    @Test func theGatewayIsAskedForAddressesOutside() {
        let t = Conversation(resolved: false) { $0.gateway = IPv4Address(10, 0, 0, 254) }
        t.answersARP = false
        _ = t.stack.connect(to: IPv4Address(8, 8, 8, 8), port: 53, now: t.now)
        t.turn()
        #expect(arp(t)?.0.targetAddress == IPv4Address(10, 0, 0, 254))
    }

    @Test func onlyAFewFramesWait() {
        let t = fresh()
        for _ in 0..<10 { _ = t.stack.connect(to: them, port: 80, now: t.now) }
        t.turn()
        #expect(t.stack.statistics.arpPendingDrops == 6)
        #expect(t.pool.count - t.pool.freeCount == NeighbourCache.maxPending)
    }

    /// A false owner is not believed while the old one answers.
    @Test func contradictionIsProbedFirst() {
        let t = fresh(resolved: true)
        t.establish()
        t.input(t.arp(.reply, sender: them, other, target: us))
        let (probe, destination) = arp(t)!
        #expect(probe.operation == .request && probe.targetAddress == them)
        #expect(destination == Conversation.remoteMAC)
        #expect(t.stack.statistics.arpContradictions == 1)
        t.write("x")
        #expect(t.frame()?[5] == 2)
        // The old owner answers: nothing has changed.
        t.input(t.arp(.reply, sender: them, Conversation.remoteMAC, target: us))
        t.wait(.milliseconds(5_000))
        while let frame = t.frame() { #expect(frame[5] == 2) }
    }

    /// The old owner is gone: the address is asked for anew.
    @Test func silentOwnerIsReplaced() {
        let t = fresh(resolved: true)
        t.establish()
        t.input(t.arp(.request, sender: them, other, target: us))
        t.wait(.seconds(4))
        while t.frame() != nil {}
        t.write("x")
        var asked = false
        for _ in 0..<100 where !asked {
            t.wait(.milliseconds(50))
            while let frame = t.frame() { if frame[13] == 6, frame[0] == 255 { asked = true } }
        }
        #expect(asked)
        t.input(t.arp(.reply, sender: them, other, target: us))
        t.wait(.seconds(4))
        var last: [UInt8]?
        while let frame = t.frame() { if frame[13] == 0 { last = frame } }
        #expect(last?[5] == 0x77)
    }

    @Test func gratuitousAnnouncementsMakeNoEntries() {
        let t = fresh()
        t.input(t.arp(.request, sender: them, Conversation.remoteMAC, target: them))
        t.input(t.arp(.reply, sender: them, Conversation.remoteMAC, target: them))
        #expect(t.stack.scheduledTimers == 0)
    }

    @Test func entriesAge() {
        let t = fresh(resolved: true)
        #expect(t.stack.scheduledTimers == 1)
        t.wait(.seconds(29))
        t.establish()
        while t.frame() != nil {}
        t.wait(.seconds(2))
        // Stale: the next use asks the owner directly, and goes on meanwhile.
        t.write("x")
        #expect(arp(t)?.1 == Conversation.remoteMAC)
        #expect(SentSegment(t.frame()!)?.text == [120])
        t.input(t.arp(.reply, sender: them, Conversation.remoteMAC, target: us))
        t.send(.ack, seq: 1, ack: 2)
        t.stack.abort(t.connection)
        t.stack.free(t.connection)
        t.wait(.seconds(400))
        #expect(t.stack.scheduledTimers == 0)
    }

    @Test func cacheIsBounded() {
        let t = fresh()
        for index in 0..<2_000 {
            let address = IPv4Address(bits: 0x0A00_0100 + UInt32(index))
            t.input(t.arp(.request, sender: address, other, target: us))
        }
        #expect(t.stack.neighbours.count == NeighbourCache.maxEntries)
        #expect(t.stack.statistics.arpCacheFull == UInt64(2_000 - NeighbourCache.maxEntries))
        // Stale ones give way.
        t.wait(.seconds(31))
        t.input(t.arp(.request, sender: them, Conversation.remoteMAC, target: us))
        #expect(t.stack.neighbours.find(them) != nil)
        #expect(t.stack.neighbours.count == NeighbourCache.maxEntries)
    }

    @Test func ourOwnAddressClaimedByAnother() {
        let t = fresh()
        t.input(t.arp(.reply, sender: us, other, target: us))
        #expect(t.stack.statistics.arpAddressConflicts == 1)
        #expect(t.stack.scheduledTimers == 0)
    }

    @Test func malformedPacketsAreCounted() {
        let t = fresh()
        let good = t.arp(.request, sender: them, other, target: us)
        for (index, value) in [(14, 9), (16, 9), (18, 7), (19, 3), (21, 9), (22, 1)] {
            var bad = good
            bad[index] = UInt8(value)
            t.input(bad)
        }
        t.input(Array(good[..<41]))
        #expect(t.stack.statistics.arpMalformed == 7)
        #expect(t.frame() == nil)
        #expect(t.pool.freeCount == t.pool.count)
    }

    @Test func arpFramesAreHandedOnToOtherShards() {
        let t = Conversation(resolved: false) { $0.strayHandling = true }
        t.input(t.arp(.request, sender: them, Conversation.remoteMAC, target: us))
        #expect(t.stack.strays.count == 1)
        t.pool.release(t.stack.strays.pop()!.frame)
        // A shard that was given a copy learns and says nothing.
        let u = Conversation(resolved: false) { $0.strayHandling = true }
        let burst = FrameQueue(capacity: 2)
        defer { burst.deallocate() }
        let frame = u.pool.allocate()!
        let bytes = u.arp(.request, sender: them, Conversation.remoteMAC, target: us)
        bytes.withUnsafeBytes { u.pool.address(frame).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        _ = burst.push(FrameDescriptor(frame: frame, offset: 0, length: bytes.count))
        u.stack.inputStray(burst, final: false, now: u.now)
        #expect(u.stack.strays.isEmpty && u.stack.transmitQueue.isEmpty)
        #expect(u.stack.neighbours.find(them) != nil)
        // It is counted where it came in.
        #expect(u.stack.statistics.framesReceived == 0 && u.stack.statistics.arpRequestsReceived == 0)
    }
}
