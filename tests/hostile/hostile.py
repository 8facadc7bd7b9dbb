"""What the tests of hostile clients stand on: a daemon for a whole class of tests, what it takes
from the machine, and the question whether it still serves."""

import contextlib
import os
import pathlib
import subprocess
import sys
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # noqa: E402  pylint: disable=wrong-import-position
from foreign_client import (Stream, grpc, ingest_pb2, ingest_pb2_grpc,  # noqa: E402,F401
                            open_channel, usage)

FULL = bool(os.environ.get("HOLDFAST_HOSTILE_FULL"))
MEBIBYTE = 1 << 20
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def memory_of(process):
    """Resident bytes now, and at most since the start or the last forget_peak()."""
    found = {}
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text("ascii").splitlines():
        if line.startswith(("VmRSS:", "VmHWM:")):
            found[line[:5]] = int(line.split()[1]) * 1024
    return found["VmRSS"], found["VmHWM"]


def forget_peak(process):
    pathlib.Path(f"/proc/{process.pid}/clear_refs").write_text("5", "ascii")


def processor_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def descriptors_of(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def is_sanitized(program):
    """A program with AddressSanitizer keeps freed memory for a while: its size tells nothing."""
    return b"__asan_init" in pathlib.Path(program).read_bytes()


class HostileTest(unittest.TestCase):
    """Test cases that share one daemon, and one database if `with_database`."""

    with_database = False
    settings = {}

    @classmethod
    def setUpClass(cls):
        folder = harness.Folder()
        cls.addClassCleanup(folder.remove)
        cls.folder = folder.path
        cls.database = None
        if cls.with_database:
            cls.database = harness.Database(cls.folder)
            cls.addClassCleanup(cls.database.stop)
            cls.database.start()
        cls.daemon = cls.make_daemon(**cls.settings)
        if cls.with_database:
            cls.daemon.migrate()
        cls.daemon.start(ready=cls.with_database)

    @classmethod
    def make_daemon(cls, name="a", **settings):
        daemon = harness.Daemon(cls.folder, cls.database, name, **settings)
        cls.addClassCleanup(daemon.stop)
        return daemon

    @contextlib.contextmanager
    def connected(self, daemon=None):
        channel = open_channel(daemon or self.daemon)
        try:
            yield channel
        finally:
            channel.close()

    def assert_serves(self, daemon=None):
        """A gateway that comes now is served: its event becomes durable, and probes say so."""
        daemon = daemon or self.daemon
        with self.connected(daemon) as channel:
            answer = ingest_pb2_grpc.IngestServiceStub(channel).Write(ingest_pb2.WriteRequest(
                wait_for=ingest_pb2.ACK_LEVEL_JOURNALED,
                batch=ingest_pb2.EventBatch(events=[usage(str(uuid.uuid4()))])),
                wait_for_ready=True, timeout=60)
        self.assertEqual(len(answer.results), 1)
        self.assertIn(answer.results[0].outcome,
                      (ingest_pb2.OUTCOME_JOURNALED, ingest_pb2.OUTCOME_COMMITTED))
        harness.wait_for(lambda: daemon.page("/livez")[0] == 200, "the daemon to be alive")

    def refused(self, reason, daemon=None):
        return (daemon or self.daemon).metrics().sum("holdfast_connections_refused_total",
                                                     reason=reason)

    def wait_for_connections(self, count, daemon=None):
        """Waits until so many connections are left; the probe's own come and go."""
        harness.wait_for(
            lambda: (daemon or self.daemon).metrics().sum("holdfast_connections") <= count,
            f"at most {count} connections to be left")

    @contextlib.contextmanager
    def memory_bounded(self, growth_max, process=None, what=""):
        """Fails if the process ever grows by more than `growth_max` bytes meanwhile."""
        process = process or self.daemon.process
        forget_peak(process)
        before, _ = memory_of(process)
        seconds = processor_seconds(process)
        yield
        _, peak = memory_of(process)
        seconds = processor_seconds(process) - seconds
        print(f"{what or self.id().rsplit('.', 1)[1]}: grew by {(peak - before) / MEBIBYTE:.0f} "
              f"MiB at most, {seconds:.2f} s of a processor", file=sys.stderr)
        if not is_sanitized(harness.BIN / "holdfastd"):
            self.assertLessEqual(peak - before, growth_max)


def start_bare_server(case, folder):
    """A gRPC server without the gate; returns the process and its target."""
    target = f"unix:{folder}/bare"
    program = pathlib.Path(os.environ["HOLDFAST_BARE_SERVER"])
    process = subprocess.Popen([program, target], stdin=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    case.addCleanup(harness.end_process, process, patience=10)
    case.addCleanup(process.stdin.close)
    harness.wait_for(lambda: pathlib.Path(f"{folder}/bare").exists(), "the bare server to listen")
    return process, target
