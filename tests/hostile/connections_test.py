"""Connections: more than may be, more than there are file descriptors, of users who may not, of
peers that say nothing, read nothing or never end."""

import os
import pathlib
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest
import uuid

import hostile  # First: it says where harness is.
import harness
from hostile import grpc, ingest_pb2, ingest_pb2_grpc, usage
from raw_http2 import (Connection, DATA, END_HEADERS, HEADERS, PREFACE, call_headers, connect,
                       frame, message, was_closed)

MEBIBYTE = hostile.MEBIBYTE


class Crowd:
    """A process that opens connections until it is told to end; this one's own limit on open files
    stays out of it. As another user if `uid` is given."""

    PROGRAM = """
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
path, count, hello = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3])
peers, closed = [], 0
for _ in range(count):
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(20)
    try:
        peer.connect(path)
        if hello:
            peer.sendall(hello)
    except OSError:
        closed += 1
    peers.append(peer)
print(closed, flush=True)
sys.stdin.readline()
for peer in peers:
    peer.settimeout(0.001)
    try:
        while peer.recv(65536):
            pass
        closed += 1
    except ConnectionResetError:
        closed += 1
    except OSError:
        pass
print(closed, flush=True)
sys.stdin.readline()
"""

    def __init__(self, path, count, hello=b"", uid=None):
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.PROGRAM, str(path), str(count), hello.hex()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, user=uid)
        self.process.stdout.readline()

    def closed(self):
        """How many of them the other side has closed. To be asked once."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class LimitsTest(hostile.HostileTest):

    settings = {"HOLDFAST_CONNECTIONS_MAX": 20, "HOLDFAST_PEER_CONNECTIONS_MAX": 12,
                "HOLDFAST_ALLOWED_UIDS": 12345}

    def setUp(self):
        # So that only the daemon itself refuses another user.
        folder = self.daemon.folder
        for place in (folder.parent, folder):
            os.chmod(place, 0o755)
        os.chmod(folder / "s", 0o666)
        self.path = folder / "s"

    def crowd(self, *arguments, **named):
        crowd = Crowd(self.path, *arguments, **named)
        self.addCleanup(crowd.end)
        return crowd

    def test_a_peer_has_no_more_connections_than_its_part_and_others_have_theirs(self):
        crowd = self.crowd(30)
        harness.wait_for(lambda: self.refused("too_many") >= 18, "those over the part refused")
        self.assertEqual(crowd.closed(), 18)
        self.assertEqual(self.daemon.metrics().sum("holdfast_connections"), 12)
        # The probe of /livez is no peer, and its own connection always enters.
        self.assertEqual(self.daemon.page("/livez")[0], 200)
        crowd.end()
        self.wait_for_connections(1)
        self.assert_serves()

    @unittest.skipUnless(os.geteuid() == 0, "needs root to be another user")
    def test_there_are_no_more_connections_than_may_be_and_then_there_is_room_again(self):
        one, other = self.crowd(12), self.crowd(12, uid=12345)
        harness.wait_for(lambda: self.daemon.metrics().sum("holdfast_connections") >= 20,
                         "the connections to be taken")
        self.assertEqual(one.closed() + other.closed(), 4)
        self.assertEqual(self.daemon.page("/livez")[0], 200)
        one.end()
        other.end()
        self.wait_for_connections(1)
        self.assert_serves()

    @unittest.skipUnless(os.geteuid() == 0, "needs root to be another user")
    def test_a_user_who_is_not_allowed_is_closed_before_a_byte_is_read(self):
        before = self.refused("user")
        crowd = self.crowd(5, uid=54321)
        harness.wait_for(lambda: self.refused("user") == before + 5, "the users to be refused")
        self.assertEqual(crowd.closed(), 5)
        lines = [line for line in self.daemon.log_lines("warning") if "reason=user" in line]
        self.assertEqual(len(lines), 1, "many refusals, one line")
        self.assertIn("54321", lines[0])
        self.assert_serves()


class DescriptorsTest(hostile.HostileTest):

    def test_a_limit_on_files_leaves_the_daemon_what_it_needs_whoever_knocks(self):
        daemon = self.make_daemon("few", HOLDFAST_CONNECTIONS_MAX=1000,
                                  HOLDFAST_PEER_CONNECTIONS_MAX=1000)
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        try:
            with open(daemon.log, "ab") as log:
                daemon.process = subprocess.Popen(
                    [harness.BIN / "holdfastd"], env=daemon.environment(), stdout=log, stderr=log,
                    stdin=subprocess.DEVNULL,
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        harness.wait_for(lambda: daemon.page("/readyz")[0] == 200, "the daemon to answer")
        self.assertTrue(any("fewer connections" in line for line in daemon.log_lines("warning")))
        crowd = Crowd(daemon.folder / "s", 600, hello=PREFACE + frame(4, 0, 0))
        harness.wait_for(lambda: self.refused("too_many", daemon) > 0, "the limit to be reached")
        self.assertLess(hostile.descriptors_of(daemon.process), 256 - 40)
        self.assertEqual(daemon.page("/livez")[0], 200)
        crowd.end()
        self.wait_for_connections(1, daemon)
        self.assert_serves(daemon)
        self.assertFalse(daemon.log_lines("error"), daemon.log_tail())

    def test_more_connections_than_descriptors_end_a_bare_listener_for_ever(self):
        # Without this the test above would prove little.
        target = f"unix:{self.folder}/few-bare"
        program = os.environ["HOLDFAST_BARE_SERVER"]
        process = subprocess.Popen(
            [program, target], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128)))
        self.addCleanup(harness.end_process, process, patience=10)
        self.addCleanup(process.stdin.close)
        path = pathlib.Path(f"{self.folder}/few-bare")
        harness.wait_for(path.exists, "the bare server to listen")
        crowd = Crowd(path, 250, hello=PREFACE + frame(4, 0, 0))
        harness.wait_for(lambda: hostile.descriptors_of(process) >= 120, "it to be full")
        crowd.end()
        harness.wait_for(lambda: hostile.descriptors_of(process) < 60, "it to be empty")
        served = self.is_answered(target, patience=3)
        print(f"a bare listener after more connections than descriptors: "
              f"{'serves' if served else 'never again'}", file=sys.stderr)
        self.assertFalse(served, "gRPC's own listener recovers by now")

    @staticmethod
    def is_answered(target, patience):
        connection = Connection(target, patience)
        try:
            connection.next_frame()
            return True
        except (OSError, Exception):  # pylint: disable=broad-except
            return False
        finally:
            connection.close()


class SlownessTest(hostile.HostileTest):

    settings = {"HOLDFAST_CONNECTIONS_MAX": 64}

    BEGINNINGS = (b"", PREFACE[:5], PREFACE, PREFACE + frame(4, 0, 0)[:5],
                  PREFACE + frame(4, 0, 0) + frame(HEADERS, 0, 1, call_headers()),
                  PREFACE + frame(4, 0, 0) + frame(HEADERS, END_HEADERS, 1, call_headers())[:40])

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.slow = [connect(cls.daemon.target, harness.PATIENCE) for _ in cls.BEGINNINGS]
        for peer, beginning in zip(cls.slow, cls.BEGINNINGS):
            peer.sendall(beginning)

    def test_whoever_says_nothing_or_too_slowly_is_closed_and_takes_nobodys_place(self):
        self.assert_serves()
        for peer in self.slow:
            self.assertTrue(was_closed(peer))
            peer.close()
        self.assertEqual(self.refused("timeout"), len(self.slow))

    def test_a_byte_at_a_time_is_as_good_as_a_whole(self):
        data = (PREFACE + frame(4, 0, 0)
                + frame(HEADERS, END_HEADERS, 1, call_headers(b"/grpc.health.v1.Health/Check"))
                + frame(DATA, 1, 1, message(b"")))
        peer = connect(self.daemon.target)
        for at in range(len(data)):
            peer.sendall(data[at:at + 1])
        answer = b""
        while b"grpc-status" not in answer:
            more = peer.recv(65536)
            self.assertTrue(more, answer)
            answer += more
        peer.close()

    def test_a_peer_that_never_reads_is_not_read_from_without_end(self):
        answers = frame(HEADERS, 0x5, 0, call_headers(b"/no/such"))
        with self.memory_bounded(64 * MEBIBYTE):
            peer = Connection(self.daemon.target, patience=1.5)
            peer.peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            calls = b"".join(answers[:5] + struct.pack(">I", 2 * number + 1) + answers[9:]
                             for number in range(100000))
            with self.assertRaises(OSError):
                peer.peer.sendall(calls)
            peer.close()
        self.assert_serves()

    def test_streams_that_never_read_their_acknowledgements_take_no_memory(self):
        peers = []
        with self.memory_bounded(128 * MEBIBYTE):
            for number in range(20):
                connection = Connection(self.daemon.target, patience=1)
                hello = ingest_pb2.StreamRequest(hello=ingest_pb2.Hello(
                    producer_id=str(uuid.uuid4())))
                stream = frame(HEADERS, END_HEADERS, 1, call_headers()) \
                    + frame(DATA, 0, 1, message(hello.SerializeToString()))
                # Refused one and all: an answer for each.
                for at in range(100):
                    batch = ingest_pb2.StreamRequest(batch=ingest_pb2.EventBatch(
                        first_sequence=at * 100 + 1,
                        events=[usage(f"{number} {at} {n}", api_key_id="") for n in range(100)]))
                    data = message(batch.SerializeToString())
                    stream += b"".join(frame(DATA, 0, 1, data[part:part + 16384])
                                       for part in range(0, len(data), 16384))
                try:
                    # No more than the window that every stream has from the start.
                    connection.peer.sendall(stream[:60000])
                except OSError:
                    pass
                peers.append(connection)
            self.assert_serves()
        for connection in peers:
            connection.close()


class CallsTest(hostile.HostileTest):

    with_database = True

    def test_a_storm_of_deadlines_leaves_nothing_behind(self):
        storm = 10000 if hostile.FULL else 2000
        with self.connected() as channel, self.memory_bounded(128 * MEBIBYTE):
            stub = ingest_pb2_grpc.IngestServiceStub(channel)
            calls = [stub.Write.future(ingest_pb2.WriteRequest(
                wait_for=ingest_pb2.ACK_LEVEL_COMMITTED,
                batch=ingest_pb2.EventBatch(events=[usage(f"storm {number}")])),
                timeout=0.001 * (number % 4)) for number in range(storm)]
            codes = [call.code() for call in calls]
        self.assertLessEqual(set(codes), {grpc.StatusCode.OK, grpc.StatusCode.DEADLINE_EXCEEDED,
                                          grpc.StatusCode.RESOURCE_EXHAUSTED})
        self.assert_serves()
        books = self.daemon.wait_drained()
        self.assertEqual(books["accepted"], books["committed"] + books["duplicate"])
        self.assertEqual(self.database.number(
            "SELECT COUNT(*) FROM usage_records WHERE request_id LIKE 'request-storm%'"),
            self.database.number("SELECT SUM(requests) FROM usage_stats") - self.others())

    def others(self):
        return self.database.number(
            "SELECT COUNT(*) FROM usage_records WHERE request_id NOT LIKE 'request-storm%'")

    def test_a_stream_may_be_cancelled_at_each_message(self):
        producer = str(uuid.uuid4())
        with self.connected() as channel:
            for end in range(12):
                stream = hostile.Stream(channel, producer)
                if end > 0:
                    held = stream.wait_welcome().resume_after
                    for number in range(held + 1, end):
                        stream.send(number, [usage(f"cancelled {number}")])
                    if end % 2 == 0:
                        stream.wait_journaled(end - 1)
                stream.cancel()
            stream = hostile.Stream(channel, producer)
            held = stream.wait_welcome().resume_after
            self.assertGreaterEqual(held, 9)
            stream.send(held + 1, [usage(f"cancelled {held + 1}")])
            stream.wait_committed(held + 1)
            stream.cancel()
        self.assertEqual(self.database.number(
            "SELECT COUNT(*) FROM usage_records WHERE request_id LIKE 'request-cancelled%'"),
            held + 1)

    def test_half_closing_at_once_or_never_is_both_right(self):
        with self.connected() as channel:
            early = hostile.Stream(channel)
            early.half_close()
            self.assertEqual(early.wait_end()[0], grpc.StatusCode.OK)
            nameless = ingest_pb2_grpc.IngestServiceStub(channel).Stream(iter(()), timeout=60)
            with self.assertRaises(grpc.RpcError) as caught:
                next(nameless)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
            never = hostile.Stream(channel)
            never.wait_welcome()
            never.send(1, [usage("never closed")])
            never.wait_committed(1)
            self.assertIsNone(never.end)
            never.cancel()

    def test_a_thousand_streams_open_and_close_and_none_is_left(self):
        count = 1000
        done = []

        def open_some(channel, number):
            for _ in range(number):
                stream = hostile.Stream(channel)
                stream.wait_welcome()
                stream.half_close()
                done.append(stream.wait_end()[0])

        with self.connected() as channel:
            threads = [threading.Thread(target=open_some, args=(channel, count // 8))
                       for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(done, [grpc.StatusCode.OK] * count)
        harness.wait_for(lambda: self.daemon.metrics().sum("holdfast_streams") == 0,
                         "no stream to be left")


if __name__ == "__main__":
    unittest.main(verbosity=2)
