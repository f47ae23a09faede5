"""A RESP client that shows what really went over the wire."""


def encode(*words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


class Closed(Exception):
    pass


class ErrorReply(str):
    """An error that the server replied."""


class Client:
    """One connection. `call` returns decoded replies, `raw` the bytes of one whole reply."""

    def __init__(self, server, timeout=20):
        self.socket = server.connect(timeout)
        self.buffer = bytearray()
        self.taken = bytearray()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def call(self, *words):
        self.send(encode(*words))
        return self.reply()

    def pipeline(self, commands):
        self.send(b"".join(encode(*words) for words in commands))
        return [self.reply() for _ in commands]

    def raw(self):
        self.taken = bytearray()
        self.reply()
        return bytes(self.taken)

    def rest(self):
        """All bytes until the server closes."""
        data = bytes(self.buffer)
        self.buffer.clear()
        try:
            while piece := self.socket.recv(1 << 16):
                data += piece
        except ConnectionResetError:
            pass
        return data

    def fill(self):
        piece = self.socket.recv(1 << 20)
        if not piece:
            raise Closed
        self.buffer += piece

    def line(self):
        while (end := self.buffer.find(b"\r\n")) < 0:
            self.fill()
        return self.take(end + 2)[:-2]

    def take(self, count):
        while len(self.buffer) < count:
            self.fill()
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        self.taken += data
        return data

    def reply(self):
        line = self.line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return ErrorReply(rest.decode(errors="replace"))
        if kind in (b":", b"("):
            return int(rest)
        if kind == b",":
            return float(rest)
        if kind == b"#":
            return rest == b"t"
        if kind == b"_":
            return None
        if kind in (b"$", b"=", b"!"):
            if int(rest) < 0:
                return None
            return self.take(int(rest) + 2)[:-2]
        if kind in (b"*", b"~", b">"):
            return None if int(rest) < 0 else [self.reply() for _ in range(int(rest))]
        if kind == b"%":
            return {freeze(self.reply()): self.reply() for _ in range(int(rest))}
        if kind == b"|":
            for _ in range(2 * int(rest)):
                self.reply()
            return self.reply()
        raise AssertionError(f"no RESP: {line!r}")


def freeze(value):
    return tuple(value) if isinstance(value, list) else value
