"""`holdfast health`, as an exec probe and a preStop hook would run it, and `holdfast status`, as a
tired operator does."""

import json
import os
import pty
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

    def status(self, *arguments, **how):
        return subprocess.run([harness.BIN / "holdfast", "status", f"--to={self.daemon.target}",
                               *arguments], text=True, timeout=60, check=False, **how)

    def status_on_a_terminal(self):
        ours, its = pty.openpty()
        try:
            done = self.status(stdout=its)
            return done.returncode, os.read(ours, 1 << 16).decode()
        finally:
            os.close(ours)
            os.close(its)

    def test_status_says_first_whether_data_is_safe_and_flows_and_what_to_do(self):
        self.database.stop()
        self.daemon.start(ready=False)
        harness.wait_for(lambda: self.daemon.status()["summary"]["headline"]
                         == "The database is away.", "the daemon to see that")
        done = self.status(capture_output=True)
        self.assertEqual(done.returncode, 1, done.stderr)
        lines = done.stdout.splitlines()
        # The words are those of the status page, which has them from there.
        said = self.daemon.status()
        self.assertEqual(lines[0], said["summary"]["headline"])
        for line, question, answer in ((lines[1], "Is my data safe?", said["summary"]["safe"]),
                                       (lines[2], "Does it flow?", said["summary"]["flows"])):
            self.assertIn(question, line)
            self.assertIn(f"{answer['answer']}. {answer['because']}", line)
        above = done.stdout[:done.stdout.index("holdfastd ")]
        for problem in said["problems"]:
            self.assertIn(problem["cause"], above)
            self.assertIn(f"What to do: {problem['remedy']}", above)
        code, shown = self.status_on_a_terminal()
        self.assertEqual(code, 1)
        self.assertTrue(shown.startswith("\x1b[33mThe database is away.\x1b[0m"), shown)

        done = self.status("--json", capture_output=True)
        self.assertEqual(done.returncode, 1)
        answer = json.loads(done.stdout)
        self.assertEqual(answer["summary"]["headline"], "The database is away.")
        self.assertEqual([problem["remedy"] for problem in answer["problems"]],
                         [problem["remedy"] for problem in said["problems"]])

        self.database.start()
        harness.wait_for(lambda: not self.daemon.status()["missing"], "nothing to be missing")
        done = self.status(capture_output=True)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(done.stdout.splitlines()[0], self.daemon.status()["summary"]["headline"])
        self.assertIn("Does it flow?    Yes.", done.stdout)

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
