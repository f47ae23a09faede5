import CXDP

extension XDPProgram {
    /// One eBPF instruction (linux/bpf.h, struct bpf_insn) as the 64-bit word that it is in memory:
    /// opcode, destination and source register (4 bits each), 16-bit offset, 32-bit immediate.
    private static func word(
        _ opcode: Int32, _ destination: UInt64 = 0, _ source: UInt64 = 0, offset: Int = 0, _ immediate: UInt32 = 0
    ) -> UInt64 {
        UInt64(UInt8(truncatingIfNeeded: opcode)) | destination << 8 | source << 12
            | UInt64(UInt16(truncatingIfNeeded: offset)) << 16 | UInt64(immediate) << 32
    }

    /// The program. Registers: r1 context, r2 first byte of the frame, r3 its end, r4 scratch, r5 the field looked at.
    /// Fields are loaded in network order, so they are compared with constants in network order. The verifier wants
    /// every load proven to lie before r3: each group checks for what it is about to read.
    static func assemble(address: IPv4Address, count: Int, map: Int32) -> [UInt64] {
        let loadWord = BPF_LDX | BPF_MEM | BPF_W
        let loadHalf = BPF_LDX | BPF_MEM | BPF_H
        let move = BPF_ALU64 | BPF_MOV | BPF_X
        let moveConstant = BPF_ALU64 | BPF_MOV | BPF_K
        let add = BPF_ALU64 | BPF_ADD | BPF_K
        let jump = BPF_JMP | BPF_JA
        let ifGreater = BPF_JMP | BPF_JGT | BPF_X
        let ifEqual = BPF_JMP32 | BPF_JEQ | BPF_K
        let ifNotEqual = BPF_JMP32 | BPF_JNE | BPF_K

        // Indices of the groups in the array, and the distance of a jump from instruction `index`.
        let arp = 13
        let comparison = 17
        let match = compare(address, count)
        let redirect = comparison + match.count + 1
        let pass = redirect + 6
        func to(_ target: Int, _ index: Int) -> Int { target - index - 1 }

        let head = [
            // 0: r2, r3 = data, data_end (struct xdp_md, offsets 0 and 4).
            word(loadWord, 2, 1, offset: 0),
            word(loadWord, 3, 1, offset: 4),
            // 2: without a whole Ethernet header (14 bytes) the frame passes; r5 = EtherType.
            word(move, 4, 2),
            word(add, 4, 0, 14),
            word(ifGreater, 4, 3, offset: to(pass, 4)),
            word(loadHalf, 5, 2, offset: 12),
            // 6: ARP has its own group; what is neither ARP nor IPv4 passes (IPv6, VLAN tags, LLDP ...).
            word(ifEqual, 5, 0, offset: to(arp, 6), UInt32(UInt16(0x0806).bigEndian)),
            word(ifNotEqual, 5, 0, offset: to(pass, 7), UInt32(UInt16(0x0800).bigEndian)),
            // 8: IPv4: r5 = destination address, at 14 + 16 (RFC 791, 3.1).
            word(move, 4, 2),
            word(add, 4, 0, 34),
            word(ifGreater, 4, 3, offset: to(pass, 10)),
            word(loadWord, 5, 2, offset: 30),
            word(jump, offset: to(comparison, 12)),
            // 13: ARP: r5 = target protocol address, at 14 + 24 (RFC 826). Requests for our address, broadcast or not,
            // and replies to our own requests both carry it there.
            word(move, 4, 2),
            word(add, 4, 0, 42),
            word(ifGreater, 4, 3, offset: to(pass, 15)),
            word(loadWord, 5, 2, offset: 38),
        ]
        let tail = [
            // Only what is addressed to us is taken.
            word(jump, offset: to(pass, redirect - 1)),
            // return bpf_redirect_map(sockets, rx_queue_index, XDP_PASS). The low bits of the flags are what is
            // returned when the queue has no socket: the kernel gets the frame.
            word(loadWord, 2, 1, offset: 16),
            word(BPF_LD | BPF_IMM | BPF_DW, 1, UInt64(BPF_PSEUDO_MAP_FD), UInt32(bitPattern: map)),
            word(0),
            word(moveConstant, 3, 0, XDP_PASS.rawValue),
            word(BPF_JMP | BPF_CALL, 0, 0, UInt32(bitPattern: Int32(BPF_FUNC_redirect_map.rawValue))),
            word(BPF_JMP | BPF_EXIT),
            // pass: return XDP_PASS.
            word(moveConstant, 0, 0, XDP_PASS.rawValue),
            word(BPF_JMP | BPF_EXIT),
        ]
        return head + match + tail
    }

    /// Jumps over the next instruction behind it if r5, as it lies on the wire, is one of the addresses.
    private static func compare(_ address: IPv4Address, _ count: Int) -> [UInt64] {
        if count == 1 { return [word(BPF_JMP32 | BPF_JEQ | BPF_K, 5, 0, offset: 1, address.bits.bigEndian)] }
        // As a number of this machine, less the first address: below the count.
        return [
            word(BPF_ALU | BPF_END | BPF_TO_BE, 5, 0, 32),
            word(BPF_ALU | BPF_SUB | BPF_K, 5, 0, address.bits),
            word(BPF_JMP32 | BPF_JLT | BPF_K, 5, 0, offset: 1, UInt32(count)),
        ]
    }
}
