"""What can stand on the server's end of the wire, and the command line that starts it.

redis    Debian's redis-server, kernel TCP
peer     any server with redis-server's options: PEER=/path/to/binary, PEER_ARGS for options that replace ours
kernel   Apus on kernel sockets
xdp, packet, tap    Apus with its own stack on that link
echo     `apus echo`: frame in, frame out, no stack; the physical limit
"""

import os
import pathlib
import shlex
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
APUS = pathlib.Path(os.environ.get("APUS", ROOT / ".build" / "release" / "apus"))
PEER = os.environ.get("PEER", "")
READY = "Ready to accept connections"
LINKS = ("xdp", "packet", "tap", "kernel")
PORT = "6379"
MAX_CLIENTS = "15000"
# Of an unpipelined GET: Ethernet, IPv4, TCP with timestamps, and 36 bytes of request or 71 of reply.
HEADERS = 14 + 20 + 32
REQUEST_FRAME, REPLY_FRAME = HEADERS + 36, HEADERS + 71


def own_stack(name):
    """Whether frames reach the server without the kernel's TCP."""
    return name not in ("redis", "peer", "kernel")


def label(name):
    return {"redis": "redis-server", "peer": pathlib.Path(PEER).name, "echo": "bare AF_XDP echo"}.get(
        name, f"Apus {name}"
    )


def version(name):
    """The first line of what the binary says about itself."""
    binary = {"redis": "redis-server", "peer": PEER}.get(name, str(APUS))
    told = subprocess.run(
        [binary, "--version"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=10,
        check=False,
    ).stdout.strip()
    return told.splitlines()[0] if told else ""


def command(name, address, extra=(), binary=None):
    """`extra` comes last, so that it wins; `binary`: another build of Apus."""
    apus = str(binary or APUS)
    if name in ("redis", "peer"):
        options = ["--port", PORT, "--bind", address, "--maxclients", MAX_CLIENTS]
        options += ["--save", "", "--appendonly", "no", "--protected-mode", "no"]
        if name == "redis":
            return ["redis-server", *options, *extra]
        given = os.environ.get("PEER_ARGS")
        return [PEER, *(options if given is None else shlex.split(given.format(address=address, port=PORT))), *extra]
    interface = ["--interface", "aputap0" if name == "tap" else "server0", "--address", address + "/24"]
    if name == "echo":
        return [apus, "echo", "--link", "xdp", *interface, "--reply-frame", str(REPLY_FRAME), *extra]
    base = [apus, "--port", PORT, "--shards", "1", "--link", name, "--maxclients", MAX_CLIENTS]
    if name == "kernel":
        return [*base, "--bind", address, *extra]
    return [*base, *interface, "--bind", "", *extra]
