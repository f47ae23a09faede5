import Runtime

extension Stack {
    /// `p` is the ARP packet behind the Ethernet header. Takes over the frame.
    func inputARP(_ d: FrameDescriptor, _ p: UnsafeMutableRawPointer, count: Int, stray: Bool) {
        guard let packet = ARPPacket(at: p, count: count) else {
            statistics.arpMalformed &+= 1
            pool.release(d.frame)
            return
        }
        if packet.senderAddress == configuration.address {
            // RFC 5227 2.4: somebody else claims our address. Nothing is learnt from that.
            statistics.arpAddressConflicts &+= 1
            pool.release(d.frame)
            return
        }
        let forUs = packet.targetAddress == configuration.address
        // An address probe (RFC 5227 1.1) has no sender; the address 0.0.0.0 is nobody's.
        if packet.senderAddress.bits != 0 {
            learn(packet.senderAddress, Ethernet.raw(packet.senderHardware), forUs: forUs)
        }
        if stray {
            // News from another shard, which has counted the frame and answered it.
            statistics.framesReceived &-= 1
            pool.release(d.frame)
            return
        }
        switch packet.operation {
        case .request:
            statistics.arpRequestsReceived &+= 1
            if forUs { sendARPReply(to: packet) }
        case .reply: statistics.arpRepliesReceived &+= 1
        }
        if configuration.strayHandling {
            pushStray(d)
        } else {
            pool.release(d.frame)
        }
    }

    /// RFC 826's merge, with one precaution: an entry whose owner differs from the claim is not overwritten; its old
    /// owner is asked first, and only when that one is silent the entry goes and the address is asked for anew.
    private func learn(_ address: IPv4Address, _ hardwareRaw: UInt64, forUs: Bool) {
        guard let entry = neighbours.find(address) else {
            // Whoever asks for us will get frames from us soon. Nobody else is worth an entry.
            if forUs, let entry = insertNeighbour(address) { confirm(entry, hardwareRaw) }
            return
        }
        if entry.pointee.state == .incomplete {
            confirm(entry, hardwareRaw)
        } else if entry.pointee.hardwareRaw == hardwareRaw {
            // A gratuitous announcement proves nothing about reachability; an answer to us or a question for us does.
            if forUs { confirm(entry, hardwareRaw) }
        } else {
            statistics.arpContradictions &+= 1
            if entry.pointee.state != .probing { startProbing(entry) }
        }
    }

    /// The entry's owner is known: frames that waited leave.
    private func confirm(_ entry: UnsafeMutablePointer<NeighbourCache.Entry>, _ hardwareRaw: UInt64) {
        entry.pointee.hardwareRaw = hardwareRaw
        entry.pointee.state = .reachable
        entry.pointee.attempts = 0
        wheel.schedule(entry.timerNode, at: now &+ NeighbourCache.reachableTime)
        while let d = entry.popPending() {
            Ethernet.write(
                pool.address(d.frame) + Int(d.offset), destinationRaw: hardwareRaw, sourceRaw: hardwareSelfRaw,
                type: EtherType.ipv4)
            pushTransmit(d)
        }
    }

    /// What goes to `destination` is not answered (RFC 1122 3.3.1.4): its next hop is asked whether it is still there, and
    /// searched for anew when it is not.
    func doubtNextHop(to destination: IPv4Address) {
        guard let entry = neighbours.find(nextHop(for: destination)),
            entry.pointee.state == .reachable || entry.pointee.state == .stale
        else { return }
        startProbing(entry)
    }

    private func startProbing(_ entry: UnsafeMutablePointer<NeighbourCache.Entry>) {
        entry.pointee.state = .probing
        entry.pointee.attempts = 1
        sendARPRequest(entry.pointee.address, toRaw: entry.pointee.hardwareRaw)
        wheel.schedule(entry.timerNode, at: now &+ NeighbourCache.retryTime)
    }

    private func insertNeighbour(_ address: IPv4Address) -> UnsafeMutablePointer<NeighbourCache.Entry>? {
        if let entry = neighbours.insert(address) { return entry }
        guard let victim = neighbours.victim() else {
            statistics.arpCacheFull &+= 1
            return nil
        }
        wheel.cancel(victim.timerNode)
        neighbours.remove(victim)
        return neighbours.insert(address)
    }

    /// The address on the link that frames to `destination` go to.
    func nextHop(for destination: IPv4Address) -> IPv4Address {
        guard (destination.bits ^ configuration.address.bits) & subnetMask != 0, let gateway = configuration.gateway
        else { return destination }
        return gateway
    }

    /// The hardware address for `destination`, if it is known. Otherwise `frame` (an IPv4 frame without Ethernet
    /// addresses, its reference taken over) waits or is dropped, and the address is asked for.
    func resolve(_ destination: IPv4Address, orQueue d: FrameDescriptor) -> UInt64? {
        let address = nextHop(for: destination)
        guard let entry = neighbours.find(address) ?? startResolving(address) else {
            statistics.arpPendingDrops &+= 1
            pool.release(d.frame)
            return nil
        }
        switch entry.pointee.state {
        case .reachable, .probing: return entry.pointee.hardwareRaw
        case .stale:
            startProbing(entry)
            return entry.pointee.hardwareRaw
        case .incomplete:
            if let dropped = entry.pushPending(d) {
                statistics.arpPendingDrops &+= 1
                pool.release(dropped.frame)
            }
            return nil
        }
    }

    private func startResolving(_ address: IPv4Address) -> UnsafeMutablePointer<NeighbourCache.Entry>? {
        guard let entry = insertNeighbour(address) else { return nil }
        entry.pointee.attempts = 1
        sendARPRequest(address, toRaw: Ethernet.raw(.broadcast))
        wheel.schedule(entry.timerNode, at: now &+ NeighbourCache.retryTime)
        return entry
    }

    /// An entry's timer fired: ask again, let it age, or give it up.
    func neighbourTimerFired(_ entry: UnsafeMutablePointer<NeighbourCache.Entry>) {
        switch entry.pointee.state {
        case .incomplete, .probing:
            guard entry.pointee.attempts < NeighbourCache.maxAttempts else {
                removeNeighbour(entry)
                return
            }
            entry.pointee.attempts += 1
            let direct = entry.pointee.state == .probing
            sendARPRequest(
                entry.pointee.address, toRaw: direct ? entry.pointee.hardwareRaw : Ethernet.raw(.broadcast))
            wheel.schedule(entry.timerNode, at: now &+ NeighbourCache.retryTime)
        case .reachable:
            entry.pointee.state = .stale
            // The next use has to pass by here, to be noticed as use.
            neighbours.invalidate()
            wheel.schedule(entry.timerNode, at: now &+ NeighbourCache.staleTime)
        case .stale:
            removeNeighbour(entry)
        }
    }

    private func removeNeighbour(_ entry: UnsafeMutablePointer<NeighbourCache.Entry>) {
        while let d = entry.popPending() {
            statistics.arpPendingDrops &+= 1
            pool.release(d.frame)
        }
        wheel.cancel(entry.timerNode)
        neighbours.remove(entry)
    }

    /// Releases everything the cache holds.
    func removeAllNeighbours() {
        while let entry = neighbours.first() { removeNeighbour(entry) }
    }

    // MARK: sending

    private func sendARPRequest(_ address: IPv4Address, toRaw destinationRaw: UInt64) {
        statistics.arpRequestsSent &+= 1
        let packet = ARPPacket(
            .request, senderHardware: configuration.hardwareAddress, senderAddress: configuration.address,
            targetHardware: MACAddress(bits: 0), targetAddress: address)
        sendARP(packet, toRaw: destinationRaw)
    }

    private func sendARPReply(to request: ARPPacket) {
        statistics.arpRepliesSent &+= 1
        let packet = ARPPacket(
            .reply, senderHardware: configuration.hardwareAddress, senderAddress: configuration.address,
            targetHardware: request.senderHardware, targetAddress: request.senderAddress)
        sendARP(packet, toRaw: Ethernet.raw(request.senderHardware))
    }

    private func sendARP(_ packet: ARPPacket, toRaw destinationRaw: UInt64) {
        guard let frame = pool.allocate() else {
            statistics.frameShortages &+= 1
            return
        }
        let p = pool.address(frame) + Self.payloadOffset
        Ethernet.write(p, destinationRaw: destinationRaw, sourceRaw: hardwareSelfRaw, type: EtherType.arp)
        packet.write(p + Ethernet.headerLength)
        pushTransmit(
            FrameDescriptor(
                frame: frame, offset: Self.payloadOffset, length: Ethernet.headerLength + ARPPacket.length))
    }
}
