"""HTTP/2 as bytes on a socket: what a client that means harm would send. No library, no rules."""

import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, \
    CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) \
        + struct.pack(">I", stream) + payload


def literal(name, value):
    """A header as HPACK has it without any table: a literal that is never indexed."""
    return b"\x10" + _length(len(name)) + name + _length(len(value)) + value


def _length(number):
    """A number in HPACK's form with a prefix of 7 bits."""
    if number < 127:
        return bytes([number])
    encoded = b"\x7f"
    number -= 127
    while number >= 128:
        encoded += bytes([number % 128 + 128])
        number //= 128
    return encoded + bytes([number])


def call_headers(path=b"/holdfast.v1.IngestService/Stream", more=()):
    """The header block of a gRPC call."""
    block = b"\x83\x86" + literal(b":path", path) + literal(b":authority", b"localhost") \
        + literal(b"te", b"trailers") + literal(b"content-type", b"application/grpc")
    return block + b"".join(literal(name, value) for name, value in more)


HELLO = PREFACE + frame(SETTINGS, 0, 0)


def message(encoded):
    """A gRPC message as it goes into DATA."""
    return b"\x00" + struct.pack(">I", len(encoded)) + encoded


def connect(target, patience=20):
    """A connected socket to "unix:/path" or "127.0.0.1:port"."""
    if target.startswith("unix:"):
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(patience)
        peer.connect(target[len("unix:"):])
        return peer
    host, port = target.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=patience)


class Closed(Exception):
    """The other side has closed the connection."""


class Connection:
    """A connection that has said HELLO, and can read frames."""

    def __init__(self, target, patience=20):
        self.peer = connect(target, patience)
        self._read = b""
        self.peer.sendall(HELLO)

    def send(self, data):
        """Sends; raises Closed if nobody takes it."""
        try:
            self.peer.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            raise Closed() from None

    def next_frame(self):
        """(type, flags, stream, payload) of the next frame; raises Closed at the end."""
        while True:
            if len(self._read) >= 9:
                length = int.from_bytes(self._read[:3], "big")
                if len(self._read) >= 9 + length:
                    kind, flags = self._read[3], self._read[4]
                    stream = int.from_bytes(self._read[5:9], "big") & 0x7fffffff
                    payload = self._read[9:9 + length]
                    self._read = self._read[9 + length:]
                    return kind, flags, stream, payload
            try:
                more = self.peer.recv(65536)
            except ConnectionResetError:
                raise Closed() from None
            if not more:
                raise Closed()
            self._read += more

    def frames_until_closed(self):
        """All frames until the other side closes; TimeoutError if it does not."""
        frames = []
        while True:
            try:
                frames.append(self.next_frame())
            except Closed:
                return frames

    def close(self):
        self.peer.close()


def was_closed(peer):
    """Whether the other side closes `peer` before its time-out; what it says before is dropped."""
    try:
        while peer.recv(65536):
            pass
        return True
    except ConnectionResetError:
        return True
    except (TimeoutError, socket.timeout):
        return False
