"""The bare echo (`apus echo`) and a kernel's UDP socket."""

import json
import os
import signal
import socket
import subprocess
import unittest

import harness


class Echo(unittest.TestCase):
    """Datagrams come back from the address and port that they were sent to, with the length that was asked for."""

    def run_over(self, link):
        namespace = harness.Namespace()
        self.addCleanup(namespace.delete)
        namespace.add_veth()
        command = [harness.APUS, "echo", "--link", link, "--interface", "server0", "--address", "10.78.0.2/24",
                   "--reply-frame", "142"]
        with namespace.entered():
            echo = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
            try:
                self.assertIn(harness.READY, echo.stdout.readline())
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                    client.settimeout(10)
                    for number in range(500):
                        payload = os.urandom(number % 200)
                        client.sendto(payload, ("10.78.0.2", 1 + number))
                        answer, sender = client.recvfrom(2048)
                        self.assertEqual(sender, ("10.78.0.2", 1 + number))
                        # 142 bytes of frame are 100 of payload.
                        self.assertEqual(answer, payload[:100].ljust(100, b"\0"))
                echo.send_signal(signal.SIGTERM)
                told = json.loads(echo.communicate(timeout=10)[0])
            finally:
                echo.kill()
                echo.wait()
        self.assertEqual(echo.returncode, 0)
        self.assertEqual(told["datagrams"], 500)
        self.assertGreaterEqual(told["arp_replies"], 1)
        self.assertEqual(told["frames_out"], told["datagrams"] + told["arp_replies"])
        self.assertGreaterEqual(told["kicks"], 1)

    def test_xdp(self):
        self.run_over("xdp")

    def test_packet(self):
        self.run_over("packet")

    def test_a_reply_that_fits_no_frame(self):
        namespace = harness.Namespace()
        self.addCleanup(namespace.delete)
        namespace.add_veth()
        for length in ("41", "1515"):
            told = namespace.inside(
                harness.APUS, "echo", "--link", "xdp", "--interface", "server0", "--address", "10.78.0.2/24",
                "--reply-frame", length, check=False)
            self.assertEqual(told.returncode, 1)
            self.assertIn(f"a reply frame of {length} bytes does not fit server0: 42 to 1514 do", told.stdout)
