"""Floods of HTTP/2 frames: what takes a bare gRPC server's memory does not take the daemon's, which
serves during the flood and after it."""

import struct
import sys
import threading
import time
import unittest

import hostile  # First: it says where harness is.
import harness
from raw_http2 import (CONTINUATION, Closed, Connection, DATA, END_HEADERS, END_STREAM, GOAWAY,
                       HEADERS, PING, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE,
                       call_headers, connect, frame, literal, message, was_closed)

SECONDS = 15 if hostile.FULL else 0.8
MEBIBYTE = hostile.MEBIBYTE
# What any flood may take of memory. A stream of events takes some MiB in passing.
GROWTH_MAX = 96 * MEBIBYTE

STREAMS = 60000
BLOCK = call_headers()


def calls(after=b"", flags=END_HEADERS, count=STREAMS, block=BLOCK):
    """So many streams, each opened and followed by `after`, in which it stands as %s."""
    opening = frame(HEADERS, flags, 0, block)
    before, behind = opening[:5], opening[9:]
    numbers = [struct.pack(">I", 2 * number + 1) for number in range(count)]
    head, _, tail = after.partition(b"%s")
    if not tail:
        return b"".join(before + number + behind for number in numbers)
    return b"".join(before + number + behind + head + number + tail for number in numbers)


def on_stream_one(flood):
    return frame(HEADERS, END_HEADERS, 1, BLOCK) + flood


def each(kind, flags, payload):
    """A frame for calls(): %s is its stream."""
    return frame(kind, flags, 0, payload)[:5] + b"%s" + payload


ENDLESS = frame(HEADERS, 0, 1, BLOCK) \
    + frame(CONTINUATION, 0, 1, literal(b"x-flood", b"y" * 16000)) * 2000

# What is sent again and again, on connections that never read.
FLOODS = {
    "resets": calls(each(RST_STREAM, 0, struct.pack(">I", 8))),
    "continuations": ENDLESS,
    "small_continuations": frame(HEADERS, 0, 1, BLOCK) + frame(CONTINUATION, 0, 1) * 200000,
    "a_header_of_two_gibibytes": frame(HEADERS, 0, 1, BLOCK + b"\x10\x7f\x80\xff\xff\xff\x07x")
    + frame(CONTINUATION, 0, 1, b"z" * 16384) * 500,
    "streams_that_the_server_resets": calls(each(WINDOW_UPDATE, 0, bytes(4))),
    "calls_of_nothing": calls(flags=END_HEADERS | END_STREAM, block=call_headers(b"/no/such")),
    "streams_without_end": calls(),
    "large_headers": calls(count=4000, block=call_headers(more=[(b"x-large", b"a" * 15000)])),
    "settings": frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535)) * 300000,
    "pings": frame(PING, 0, 0, b"12345678") * 300000,
    "priorities": frame(PRIORITY, 0, 1, bytes(5)) * 300000,
    "window_updates": on_stream_one(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)) * 300000),
    "data_of_nothing": on_stream_one(frame(DATA, 0, 1) * 300000),
    "crumbs_of_data": on_stream_one(frame(DATA, 0, 1, message(b"x" * 4000000)[:5])
                                    + frame(DATA, 0, 1, b"x") * 300000),
    "unknown_frames": frame(0xfa, 0, 0, b"what?") * 300000,
    "goaways": frame(GOAWAY, 0, 0, bytes(8)) * 300000,
}


# Those that take the most alone, and the others together; each alone if there is time.
TOGETHER = [["resets"], ["continuations"], ["streams_that_the_server_resets"],
            ["calls_of_nothing"], ["streams_without_end"], ["pings"],
            ["small_continuations", "a_header_of_two_gibibytes", "large_headers", "goaways"],
            ["settings", "priorities", "window_updates", "unknown_frames"],
            ["data_of_nothing", "crumbs_of_data"]]
RUNS = [[name] for name in FLOODS] if hostile.FULL else TOGETHER
assert {name for names in TOGETHER for name in names} == FLOODS.keys()


class Flood:
    """Four threads that send floods until the time is up, on new connections if theirs are closed,
    and never read."""

    def __init__(self, target, *names, seconds=SECONDS):
        self.target = target
        self.until = time.monotonic() + seconds
        self.sent = 0
        self.closed = 0
        self.threads = [threading.Thread(target=self._run, args=(FLOODS[name],))
                        for name in (names * 4)[:4]]

    def run(self):
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.join()
        return self

    def _run(self, data):
        while (left := self.until - time.monotonic()) > 0:
            try:
                connection = Connection(self.target, max(left, 0.01))
            except OSError:
                continue
            try:
                for start in range(0, len(data), 1 << 20):
                    part = data[start:start + (1 << 20)]
                    connection.send(part)
                    self.sent += len(part)
                    if time.monotonic() > self.until:
                        break
            except (Closed, OSError):  # A TimeoutError, too: it is held back.
                self.closed += 1
            finally:
                connection.close()


class FloodsTest(hostile.HostileTest):

    def test_every_flood_is_stopped_and_the_daemon_serves_on(self):
        for number, names in enumerate(RUNS):
            what = ", ".join(names)
            # One of its own for each: a peer that has flooded is held back for a while.
            daemon = self.make_daemon(f"flooded-{number}")
            daemon.start(ready=False)
            with self.subTest(what), self.memory_bounded(GROWTH_MAX, daemon.process, what):
                Flood(daemon.target, *names).run()
                self.assert_serves(daemon)
            daemon.stop()

    def test_a_gateway_is_served_while_another_of_its_user_floods(self):
        with self.connected() as channel:
            stream = hostile.Stream(channel, ack_level=hostile.ingest_pb2.ACK_LEVEL_JOURNALED)
            stream.wait_welcome()
            flood = Flood(self.daemon.target, "resets", seconds=2 * SECONDS)
            flooding = threading.Thread(target=flood.run)
            flooding.start()
            sent = 0
            while flooding.is_alive():
                stream.send(sent + 1, [hostile.usage(f"meanwhile {sent}")])
                sent += 1
                stream.wait_journaled(sent)
            flooding.join()
            stream.cancel()
        print(f"events acknowledged one by one during the flood: {sent}", file=sys.stderr)
        self.assertGreater(sent, 5)

    def test_the_floods_that_take_a_bare_grpc_server_do_not_take_the_daemon(self):
        # If no memory goes where no gate is, the tests above prove nothing.
        process, target = hostile.start_bare_server(self, self.folder)
        for name, taken_min in (("resets", 100), ("continuations", 40)):
            hostile.forget_peak(process)
            before = hostile.memory_of(process)[0]
            Flood(target, name, seconds=max(SECONDS, 1.5)).run()
            taken = (hostile.memory_of(process)[1] - before) / MEBIBYTE
            print(f"{name} without the gate: grew by {taken:.0f} MiB", file=sys.stderr)
            self.assertGreater(taken, taken_min, f"{name} is no flood any more")

    def test_what_is_no_http2_is_closed_before_grpc_sees_it(self):
        hello = Connection  # Says what a client says first.
        cases = {
            "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "TLS": bytes.fromhex("1603010200010001fc0303") + b"\x5a" * 600,
            "noise": bytes(range(256)) * 40,
        }
        for name, data in cases.items():
            with self.subTest(name):
                peer = connect(self.daemon.target)
                peer.sendall(data)
                self.assertTrue(was_closed(peer))
                peer.close()
        frames = {
            "a first frame that is no SETTINGS": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                                 + frame(PING, 0, 0, bytes(8)),
        }
        for name, data in frames.items():
            with self.subTest(name):
                peer = connect(self.daemon.target)
                peer.sendall(data)
                self.assertTrue(was_closed(peer))
                peer.close()
        after_hello = {
            "a push": frame(PUSH_PROMISE, END_HEADERS, 1, struct.pack(">I", 2) + BLOCK),
            "a stream of the server's": frame(HEADERS, END_HEADERS, 2, BLOCK),
            "a block that is interrupted": frame(HEADERS, 0, 1, BLOCK)
                                           + frame(PING, 0, 0, bytes(8)),
            "a continuation of nothing": frame(CONTINUATION, END_HEADERS, 1, BLOCK),
            "a reset of a wrong size": frame(RST_STREAM, 0, 1, bytes(5)),
            "a ping of a wrong size": frame(PING, 0, 0, bytes(7)),
            "settings without end": frame(SETTINGS, 0, 0, bytes(6 * 200)),
        }
        before = self.refused("protocol")
        for name, data in after_hello.items():
            with self.subTest(name):
                connection = hello(self.daemon.target)
                connection.send(data)
                self.assertTrue(was_closed(connection.peer))
                connection.close()
        self.assertEqual(self.refused("protocol"), before + len(after_hello))
        self.assert_serves()

    def test_headers_over_the_limit_are_answered_and_far_over_it_the_connection_ends(self):
        # 16 KiB is gRPC's limit, 32 KiB the gate's.
        for size, closed in ((1000, False), (12000, False), (20000, False), (40000, True)):
            with self.subTest(size):
                connection = Connection(self.daemon.target)
                block = call_headers(b"/grpc.health.v1.Health/Check",
                                     more=[(b"x-large", b"a" * size)])
                pieces = [block[at:at + 16000] for at in range(0, len(block), 16000)]
                data = b"".join(
                    frame(HEADERS if at == 0 else CONTINUATION,
                          END_HEADERS if at == len(pieces) - 1 else 0, 1, piece)
                    for at, piece in enumerate(pieces))
                connection.send(data + frame(DATA, END_STREAM, 1, message(b"")))
                if closed:
                    connection.frames_until_closed()
                else:
                    while True:
                        kind, flags, stream, _ = connection.next_frame()
                        if stream == 1 and kind in (HEADERS, RST_STREAM):
                            break
                connection.close()
        harness.wait_for(lambda: self.refused("headers") >= 1, "the refusal to be counted")


if __name__ == "__main__":
    unittest.main(verbosity=2)
