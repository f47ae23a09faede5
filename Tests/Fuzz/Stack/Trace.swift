import Runtime

@testable import Net

/// To read what an input does, step by step.
extension SegmentProgram {
    func trace(_ operation: UInt8, _ left: Int) {
        for b in world.stack.blocks.live() ?? [] {
            let c = b.pointee
            say(
                "    \(world.stack.describe(b)) una \(c.sndUna.raw) max +\(c.sndMax - c.sndUna) end +\(c.sndEnd - c.sndUna)"
                    + " wnd \(c.sndWnd) cwnd \(c.cwnd) mss \(c.mss) frames \(c.sndFrames) chunks \(c.sndChunks.count)"
                    + " rcv \(c.rcvNxt.raw) edge +\(c.rcvEdge - c.rcvNxt) acked \(c.lastAckSent - c.rcvNxt)"
                    + " unread \(c.rcvBytes) runs \(c.oooRuns) timer \(c.retransmitAt == .max ? -1 : c.retransmitAt - world.now)"
            )
        }
        let kinds = [
            "ack", "text", "more text", "text+fin", "partial ack", "repeated ack", "gap", "old text", "odd", "SYN",
            "SYN,ACK", "RST", "connect", "read", "write", "write more", "shutdown", "abort", "free", "wait", "wait ms",
            "ICMP error", "fragments", "hoard", "ARP", "raw", "SACK", "window", "changed", "echo", "change", "ECN",
        ]
        say(
            "\(world.now / 1_000_000) ms, \(world.pool.freeCount) free: \(kinds[Int(operation & 31)]), peer \(operation >> 5 & 3),"
                + " \(operation & 128 == 0 ? "turn" : "no turn"), \(left) bytes left")
    }

    func traceIn(_ s: Peer.Segment) {
        say(
            "  > flags \(s.flags.rawValue) seq \(s.sequence.raw) ack \(s.acknowledgement.raw) text \(s.text)"
                + " window \(s.window) tos \(s.typeOfService) options \(s.options)")
    }
}

extension SeenFrame {
    func trace() {
        if case .segment = kind {
            say(
                "  < flags \(flags.rawValue) seq \(sequence.raw) ack \(acknowledgement.raw) text \(textCount) window \(window)"
            )
        } else {
            say("  < \(kind)")
        }
    }
}
