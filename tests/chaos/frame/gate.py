"""A gate between a daemon and its database: passes bytes on, knows a MySQL packet when it sees one,
and does harm at a chosen moment.

    gate = Gate(database)
    daemon = stage.daemon(database, **gate.settings())
    gate.on_commit = lambda link: link.cut()     # Returns True: handled, not forwarded.

Connections are not encrypted (the settings say so): the gate reads along.
"""

import contextlib
import re
import socket
import struct
import threading

import harness

COMMIT = b"\x03COMMIT"
BEGIN = b"\x03BEGIN"
KILL = b"\x03KILL CONNECTION "
LANE = re.compile(rb"(?:rate_limit|usage|message)-\d+")

# What happens to the bytes of one direction.
PASS, HOLD, DROP, TRICKLE = "pass", "hold", "drop", "trickle"
TRICKLE_PAUSE_SECONDS = 0.2
TCP_ESTABLISHED = 1


def receive(source, size):
    """Exactly `size` bytes; raises EOFError at the end of the connection."""
    parts = []
    while size:
        part = source.recv(min(size, 1 << 16))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def reset_on_close(link):
    """The peer will see a reset instead of an orderly end (TCP only)."""
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Link:
    """One connection of the daemon's. `up` and `down` say what happens to bytes to and from the
    server; any thread may change them."""

    def __init__(self, gate, client):
        self.gate, self.client = gate, client
        self.server = gate.connect()
        self.thread_id = None    # The server's number of it.
        self.lane = None         # Whose transaction it carries.
        self.packets = 0
        self.swallow_kills = False
        self._changed = threading.Condition()
        self._modes = {"up": PASS, "down": PASS}
        self._ended = False
        self._threads = [threading.Thread(target=self._run, args=(self._upward,), daemon=True),
                         threading.Thread(target=self._run, args=(self._downward,), daemon=True)]

    def start(self):
        for thread in self._threads:
            thread.start()

    @property
    def up(self):
        return self._modes["up"]

    @property
    def down(self):
        return self._modes["down"]

    def set(self, up=None, down=None):
        """Changes what happens to the bytes of either direction."""
        with self._changed:
            self._modes = {"up": up or self.up, "down": down or self.down}
            self._changed.notify_all()

    @property
    def ended(self):
        return self._ended

    def close_client(self, reset=False):
        self._close(self.client, reset)

    def close_server(self, reset=False):
        self._close(self.server, reset)

    def cut(self, reset=False):
        """Ends the connection on both sides."""
        self._ended = True
        with self._changed:
            self._changed.notify_all()
        self.close_client(reset)
        self.close_server()
        self.gate.forget(self)
        return True

    @staticmethod
    def _close(side, reset):
        with contextlib.suppress(OSError):
            if reset:
                reset_on_close(side)
                side.close()
            else:
                # close() alone would not wake the thread that reads it.
                side.shutdown(socket.SHUT_RDWR)
                side.close()

    def client_is_gone(self):
        """Whether the daemon has ended its side, or the link is over."""
        try:
            return self._ended or self.client.getsockopt(
                socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != TCP_ESTABLISHED
        except OSError:
            return True

    def send_up(self, data):
        """Sends bytes to the server, past everything."""
        self.server.sendall(data)

    def _run(self, pump):
        try:
            pump()
        except (OSError, EOFError, ValueError):
            pass
        # What is held or dropped also keeps the news of the end from the other side.
        if self._wait_while(HOLD, DROP):
            self.cut()

    def _wait_while(self, *modes):
        with self._changed:
            self._changed.wait_for(lambda: self._ended or not (
                self.up in modes or self.down in modes))
        return not self._ended

    def _upward(self):
        while not self._ended:
            header = receive(self.client, 4)
            payload = receive(self.client, int.from_bytes(header[:3], "little"))
            self.packets += 1
            if header[3] == 0:
                payload = self._look_at(payload)
                if payload is None:
                    continue
            self._forward("up", self.server, header + payload)

    def _look_at(self, payload):
        """Returns the payload to forward; None if it has been seen to."""
        if payload == BEGIN:
            self.lane = None
        elif self.lane is None:
            found = LANE.search(payload[:256])
            self.lane = found and found[0].decode()
        if payload.startswith(KILL) and self.gate.swallow_kills:
            self.gate.kills_swallowed += 1
            return b"\x03DO 0".ljust(len(payload))
        hook = self.gate.on_commit if payload == COMMIT else self.gate.on_packet
        if hook and hook(self):
            return None
        return payload

    def _downward(self):
        header = receive(self.server, 4)
        greeting = receive(self.server, int.from_bytes(header[:3], "little"))
        if greeting[0] == 10:
            after = greeting.index(b"\0") + 1
            self.thread_id = int.from_bytes(greeting[after:after + 4], "little")
        self._forward("down", self.client, header + greeting)
        while not self._ended:
            data = self.server.recv(1 << 16)
            if not data:
                raise EOFError
            self._forward("down", self.client, data)

    def _forward(self, direction, to, data):
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._modes[direction] != HOLD)
        if self._ended:
            raise EOFError
        mode = self._modes[direction]
        if mode == DROP:
            return
        if mode == TRICKLE:
            for byte in data:
                with self._changed:
                    self._changed.wait(TRICKLE_PAUSE_SECONDS)
                if self._ended:
                    raise EOFError
                to.sendall(bytes([byte]))
            return
        if direction == "up":
            with self.gate.passage:
                pass
        to.sendall(data)


class Gate:
    """Listens on a loopback port of its own. The hooks `on_commit(link)` and `on_packet(link)` are
    called by the link's thread before a COMMIT, or any other command, is forwarded; a hook that
    returns True has seen to it."""

    def __init__(self, database):
        self._database = database
        self.on_commit = self.on_packet = self.on_open = None
        self.swallow_kills = False
        self.kills_swallowed = 0
        # Whoever holds it lets nothing pass to the server.
        self.passage = threading.Lock()
        self._links = set()
        self._links_lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def settings(self, **more):
        """Settings of a daemon that is to come through here."""
        return {"MYSQL_SOCKET": "", "MYSQL_HOST": f"127.0.0.1:{self.port}",
                "MYSQL_SSL_MODE": "disabled", **more}

    def connect(self):
        """A new connection to the server."""
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(self._database.socket))
        return server

    def links(self):
        with self._links_lock:
            return list(self._links)

    def forget(self, link):
        with self._links_lock:
            self._links.discard(link)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                link = Link(self, client)
            except OSError:  # The server is away.
                client.close()
                continue
            with self._links_lock:
                self._links.add(link)
            if self.on_open:
                self.on_open(link)
            link.start()

    def heal(self):
        """No more harm: no hooks, and what was harmed is cut."""
        self.on_commit = self.on_packet = self.on_open = None
        self.swallow_kills = False
        for link in self.links():
            if (link.up, link.down) != (PASS, PASS):
                link.cut()

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.heal()
        for link in self.links():
            link.cut()


class Outcomes:
    """Learns from the database what became of a lane's COMMIT. For the thread that holds the
    gate's passage."""

    def __init__(self, database):
        self._session = database.session()

    def position(self, lane):
        """Where the lane stands, as committed."""
        answer = self._session.run(f"SELECT position FROM holdfast_lanes WHERE lane = '{lane}'")
        return int(answer[0])

    def wait_gone(self, thread_id, patience=30):
        """Waits until the server has ended the session."""
        harness.wait_for(lambda: not self.alive(thread_id), f"session {thread_id} to end",
                         patience, interval=0.001)

    def alive(self, thread_id):
        return self._session.run("SELECT COUNT(*) FROM information_schema.processlist "
                                 f"WHERE id = {thread_id}") != ["0"]

    def kill(self, thread_id):
        try:
            self._session.run(f"KILL CONNECTION {thread_id}")
        except AssertionError:
            pass  # It has gone by itself.

    def close(self):
        self._session.close()
