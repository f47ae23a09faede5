"""What a neighbour on the wire sees: echo replies, refused ports, and that broken frames harm nobody."""

import fcntl
import os
import random
import socket
import struct
import time

from suites.base import ServerTest

SIOCGIFHWADDR = 0x8927


class Network(ServerTest):
    def setUp(self):
        super().setUp()
        self.own_stack_only()

    def test_ping(self):
        for size in (0, 1, 8, 56, 100, 512, 1000, 1471, 1472):
            output = self.tool("ping", "-n", "-c", 2, "-i", 0.01, "-W", 2, "-s", size, self.server.host)
            self.assertIn(b" 0% packet loss", output)

    def test_many_pings(self):
        output = self.tool("ping", "-n", "-q", "-c", 1000, "-i", 0.001, "-W", 2, self.server.host)
        self.assertIn(b" 0% packet loss", output)

    def test_refused_port(self):
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection((self.server.host, 1), timeout=5)

    def test_a_kernel_that_asks_for_ecn_gets_it(self):
        """Both agree on the SYNs, and the kernel sees that our text is capable (ss: ecn, ecnseen)."""
        def ask(setting):
            with open("/proc/sys/net/ipv4/tcp_ecn", "w") as file:
                file.write(setting)

        value = b"v" * 300_000
        for setting, agreed in (("1", True), ("2", False)):
            ask(setting)
            try:
                with self.client() as client:
                    self.assertEqual(client.call("SET", "k", value), "OK")
                    self.assertEqual(client.call("GET", "k"), value)
                    told = self.tool("ss", "-tino", "dst", self.server.host).decode()
            finally:
                ask("2")
            self.assertEqual(" ecn " in told, agreed, told)
            self.assertEqual("ecnseen" in told, agreed, told)

    def test_packets_go_through_our_stack(self):
        with self.client() as client:
            before = self.info(client)
            for _ in range(100):
                client.call("PING")
            for _ in range(3):  # the link's counters are taken ten times a second
                time.sleep(0.15)
                after = self.info(client)
        for name in ("frames_received", "tcp_segments_received", "link_received_frames"):
            self.assertGreaterEqual(int(after[name]) - int(before[name]), 100, name)
        expected = "xdp" if self.configuration.link == "auto" else self.configuration.link
        self.assertIn(expected, after["link"])

    def interface(self):
        names = self.server.namespace.interfaces()
        return next(name for name in ("client0", "apus0", "aputap0") if name in names)

    def hardware_addresses(self, name):
        """Our interface's, and the server's as the kernel's neighbour cache has it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            own = fcntl.ioctl(probe, SIOCGIFHWADDR, struct.pack("256s", name.encode()))[18:24]
        text = self.tool("ip", "neigh", "show", self.server.host).decode().split()
        return own, bytes.fromhex(text[text.index("lladdr") + 1].replace(":", ""))

    def test_broken_frames(self):
        """Truncated, oversized and random frames, many with plausible headers: dropped, and nobody else notices."""
        randomness = random.Random(2026)
        name = self.interface()
        own, theirs = self.hardware_addresses(name)
        address = socket.inet_aton(self.server.host)
        with self.client() as client, socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
            wire.bind((name, 0))
            before = self.info(client)
            for i in range(4000):
                frame = broken_frame(randomness, own, theirs, address, self.server.port)
                try:
                    wire.send(frame)
                except OSError:
                    pass  # the kernel refuses some lengths itself
                if i % 200 == 0:
                    self.assertEqual(client.call("SET", "k", i), "OK")
                    self.assertEqual(client.call("GET", "k"), str(i).encode())
            after = self.info(client)
        for cause in ("ipv4_malformed", "ipv4_bad_checksum", "ipv4_fragments", "tcp_malformed", "tcp_bad_checksum",
                      "icmp_bad_checksum"):
            self.assertGreater(int(after[cause]), int(before[cause]), cause)
        self.tool("ping", "-n", "-c", 1, "-W", 2, self.server.host)


def broken_frame(randomness, own, theirs, address, port):
    kind = randomness.randrange(8)
    noise = randomness.randbytes(randomness.choice([0, 1, 7, 19, 20, 21, 40, 60, 200, 1400]))
    if kind == 0:
        return theirs + own + noise + b"\0\0"
    if kind == 1:  # ARP with random contents
        return theirs + own + b"\x08\x06" + bytes([0, 1, 8, 0, 6, 4, 0, randomness.randrange(4)]) + noise
    if kind == 2:  # IPv4 with a random rest
        return theirs + own + b"\x08\x00" + bytes([randomness.choice([0x45, 0x4F, 0x41, 0x65])]) + noise
    protocol = randomness.choice([1, 6, 6, 6, 17, 99])
    if protocol == 6:
        length = randomness.choice([0, 4, 5, 5, 5, 6, 10, 15])
        payload = struct.pack(">HHIIBBHHH", randomness.randrange(65536), randomness.choice([port, port, 1]),
                              randomness.getrandbits(32), randomness.getrandbits(32), length << 4,
                              randomness.randrange(256), randomness.randrange(65536), 0, 0) + noise
    elif protocol == 1:
        payload = bytes([randomness.choice([8, 0, 3]), 0, 0, 0, 0, 1, 0, 1]) + noise
    else:
        payload = noise
    if kind >= 5 and protocol == 6:  # right TCP checksum
        pseudo = bytes([10, 77, 0, 1]) + address + struct.pack(">BBH", 0, 6, len(payload))
        total = checksum(pseudo + payload)
        payload = payload[:16] + struct.pack(">H", total) + payload[18:]
    declared = 20 + len(payload) + randomness.choice([0, 0, 0, -5, 5, 1000])
    fragment = randomness.choice([0, 0, 0, 0x2000, 0x0005])
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, max(declared, 0) & 0xFFFF, 1, fragment, 64, protocol, 0,
                         bytes([10, 77, 0, 1]), address)
    if randomness.randrange(5):
        header = header[:10] + struct.pack(">H", checksum(header)) + header[12:]
    frame = theirs + own + b"\x08\x00" + header + payload
    return frame[: randomness.randrange(14, len(frame) + 1)] if kind == 3 else frame[:1514]


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
