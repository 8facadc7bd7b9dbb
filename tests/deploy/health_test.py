"""`holdfast health`, as an exec probe and a preStop hook would run it."""

import subprocess
import sys
import unittest

from prometheus import harness

from foreign_client import Stream, grpc, ingest_pb2, ingest_pb2_grpc, message, open_channel

MEBIBYTE = 1 << 20


class HealthTest(harness.DaemonTest):

    settings = {"HOLDFAST_JOURNAL_MAX_BYTES": 64 * MEBIBYTE,
                "HOLDFAST_JOURNAL_SEGMENT_BYTES": 8 * MEBIBYTE}

    def health(self, *arguments):
        """The exit status, and what was said."""
        done = subprocess.run([harness.BIN / "holdfast", "health", f"--to={self.daemon.target}",
                               *arguments], capture_output=True, text=True, timeout=60,
                              check=False)
        return done.returncode, done.stdout + done.stderr

    def fill_the_journal(self, channel):
        ingest = ingest_pb2_grpc.IngestServiceStub(channel)
        for number in range(400):
            event = message(number, conversation=number, raw_json="x" * (900 << 10))
            try:
                ingest.Write(ingest_pb2.WriteRequest(
                    batch=ingest_pb2.EventBatch(events=[event]),
                    wait_for=ingest_pb2.ACK_LEVEL_JOURNALED), timeout=60)
            except grpc.RpcError:
                return
        self.fail("64 MiB took 350 MiB")

    def test_it_tells_absent_from_alive_from_taking_events(self):
        code, said = self.health()
        self.assertEqual(code, 69, said)
        self.assertIn("Is holdfastd running", said)

        # Without its database it is alive, and takes events until its journal is full.
        self.database.stop()
        self.daemon.start(ready=False)
        self.assertEqual(self.health(), (0, ""))
        self.assertEqual(self.health("--ready"), (0, ""))
        channel = open_channel(self.daemon)
        self.addCleanup(channel.close)
        self.fill_the_journal(channel)
        code, said = harness.wait_for(lambda: (answer := self.health("--ready"))[0] and answer,
                                      "health to see the full journal")
        self.assertEqual(code, 1, said)
        self.assertIn("takes no events", said)
        self.assertEqual(self.health(), (0, ""))

    def test_it_waits_until_no_gateway_has_a_stream_open(self):
        self.daemon.start()
        self.assertEqual(self.health("--idle"), (0, ""))
        channel = open_channel(self.daemon)
        self.addCleanup(channel.close)
        stream = Stream(channel)
        stream.wait_welcome()
        code, said = self.health("--idle", "--timeout=500ms")
        self.assertEqual(code, 75, said)
        self.assertIn("1 streams", said)
        with subprocess.Popen([harness.BIN / "holdfast", "health", f"--to={self.daemon.target}",
                               "--idle", "--timeout=60s"], stderr=sys.stderr) as waiting:
            stream.cancel()
            self.assertEqual(waiting.wait(60), 0)

    def test_wrong_arguments_are_named(self):
        for arguments, fault in ((["--readdy"], "--readdy"), (["now"], "now"),
                                 (["--timeout=soon"], "timeout"),
                                 (["--ready", "--idle"], "two questions")):
            code, said = self.health(*arguments)
            self.assertEqual(code, 64)
            self.assertIn(fault, said)


if __name__ == "__main__":
    unittest.main()
