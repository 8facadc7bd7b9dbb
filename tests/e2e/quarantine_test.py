"""Quarantined events through the tool: looked at, replayed once their cause is mended, discarded."""

import json
import re
import subprocess
import unittest

import harness
from foreign_client import Stream, ingest_pb2, ingest_pb2_grpc, open_channel, usage

LONG_MODEL = "a model with a long name"


class QuarantineTest(harness.DaemonTest):

    settings = {"HOLDFAST_LANE_LOOK_EVERY": "1", "HOLDFAST_LANES_PER_KIND": "2"}

    def setUp(self):
        super().setUp()
        self.daemon.start()

    def holdfast(self, *arguments, daemon=None, program=harness.BIN / "holdfast"):
        """The exit status, and what was said."""
        done = subprocess.run([program, *arguments, f"--to={(daemon or self.daemon).target}"],
                              capture_output=True, text=True, timeout=120, check=False,
                              stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout + done.stderr

    def write(self, events):
        channel = open_channel(self.daemon)
        self.addCleanup(channel.close)
        ingest = ingest_pb2_grpc.IngestServiceStub(channel)
        return [result.outcome for result in ingest.Write(ingest_pb2.WriteRequest(
            batch=ingest_pb2.EventBatch(events=events),
            wait_for=ingest_pb2.ACK_LEVEL_COMMITTED), timeout=60).results]

    def narrow(self, bytes_max=16):
        self.database.sql(f"ALTER TABLE usage_records MODIFY model VARBINARY({bytes_max}) NOT NULL")

    def widen(self):
        self.narrow(128)

    def assert_books_become(self, daemon, **expected):
        """As assert_books, once the lanes have looked at their rows."""
        harness.wait_for(lambda: (books := daemon.books()) and all(
            books[name] == value for name, value in expected.items()), f"the books: {expected}")
        self.assert_books(daemon, **expected)

    def test_a_mended_event_is_replayed_once(self):
        self.narrow()
        outcomes = self.write([usage(1), usage(2, model=LONG_MODEL), usage(3)])
        self.assertEqual(outcomes[1], ingest_pb2.OUTCOME_QUARANTINED)

        code, said = self.holdfast("quarantine", "ls")
        self.assertEqual(code, 1, said)
        self.assertRegex(said, r"1 +usage +usage-\d +1406 model +1 ")
        self.assertNotIn(LONG_MODEL, said)
        code, said = self.holdfast("quarantine", "show", "1")
        self.assertEqual(code, 0, said)
        self.assertIn(LONG_MODEL, said)
        self.assertIn("waiting", said)

        # Not mended yet: it waits on.
        code, said = self.holdfast("quarantine", "replay", "1")
        self.assertEqual(code, 1, said)
        self.assertIn("refused again", said)
        self.assertEqual(self.database.sql("SELECT attempts, outcome FROM holdfast_quarantine"),
                         [("2", "")])
        self.assert_books(self.daemon, accepted=3, committed=2, quarantined=1)

        self.widen()
        code, said = self.holdfast("quarantine", "replay", "--all", "--errno=1406",
                                   "--column=model")
        self.assertEqual(code, 0, said)
        self.assertRegex(said, r"committed +1")
        self.assertEqual(self.database.sql(
            "SELECT model, SUM(requests), SUM(cost_micros) FROM usage_stats GROUP BY 1 ORDER BY 1"),
            [(LONG_MODEL, "1", "300"), ("model-1", "2", "600")])
        self.assertEqual(self.database.number("SELECT COUNT(*) FROM usage_records"), 3)
        self.assert_books_become(self.daemon, accepted=3, committed=3, quarantined=0)

        code, said = self.holdfast("quarantine", "replay", "1")
        self.assertEqual(code, 0, said)
        self.assertIn("settled before", said)
        self.assertEqual(self.database.number("SELECT SUM(requests) FROM usage_stats"), 3)
        code, said = self.holdfast("quarantine", "ls")
        self.assertEqual((code, said), (0, "no event waits in the quarantine\n"))
        code, said = self.holdfast("quarantine", "ls", "--settled", "--json")
        self.assertEqual(json.loads(said)["outcome"], "QUARANTINE_OUTCOME_COMMITTED")

    def test_a_conflict_is_discarded_and_stays_counted(self):
        self.write([usage(1), usage(1, cost_micros=7)])
        code, said = self.holdfast("quarantine", "discard", "1")
        self.assertEqual(code, 64, said)
        self.assertIn("--yes", said)
        code, said = self.holdfast("quarantine", "discard", "1", "--yes",
                                   "--reason=the gateway made the id twice")
        self.assertEqual(code, 0, said)
        self.assertRegex(said, r"discarded +1")
        code, said = self.holdfast("quarantine", "show", "1")
        self.assertIn("the gateway made the id twice", said)
        self.assertRegex(said, r"settled +\d{4}-.* by .* via ")
        code, said = self.holdfast("quarantine", "replay", "1")
        self.assertIn("settled before", said)
        self.assert_books(self.daemon, accepted=2, committed=1, quarantined=1)
        self.assertTrue([line for line in self.daemon.log_lines("info")
                         if "discard" in line and "operator" in line])

    def test_replays_by_two_daemons_count_once_while_traffic_runs_and_one_is_killed(self):
        poison = 300
        self.narrow()
        self.write([usage(number, key="poison", model=LONG_MODEL) for number in range(poison)])
        self.assertEqual(
            self.database.number("SELECT COUNT(*) FROM holdfast_quarantine"), poison)
        self.widen()
        other = self.make_daemon("b", **self.settings)
        other.start()

        channel = open_channel(self.daemon)
        self.addCleanup(channel.close)
        stream = Stream(channel)
        self.addCleanup(stream.cancel)
        stream.wait_welcome()
        replays = [subprocess.Popen(
            [harness.BIN / "holdfast", "quarantine", "replay", "--all", f"--to={daemon.target}"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for daemon in (self.daemon, other)]
        for process in replays:
            self.addCleanup(process.stdout.close)
            self.addCleanup(process.wait)
        sent = 0
        while self.replayed() < poison // 4:
            # The same key: the replays and the lane meet in one row of the counters.
            stream.send(sent + 1, [usage(1000 + sent + number, key="poison", model=LONG_MODEL)
                                   for number in range(50)])
            sent += 50
            stream.wait_journaled(sent)
        self.daemon.kill()
        said = [process.communicate(timeout=300)[0] for process in replays]
        self.assertIn(replays[0].returncode, (0, 69), said[0])
        self.assertEqual(replays[1].returncode, 0, said[1])

        self.daemon.start()
        code, text = self.holdfast("quarantine", "replay", "--all")
        self.assertEqual(code, 0, text)
        total = poison + sent
        self.assert_books_become(self.daemon, accepted=total, committed=total, quarantined=0,
                                 duplicate=0)
        self.assertEqual(self.database.number("SELECT COUNT(*) FROM usage_records"), total)
        self.assertEqual(self.database.sql("SELECT SUM(requests), SUM(cost_micros) FROM usage_stats"),
                         [(str(total), str(300 * total))])
        self.assertEqual(self.replayed(), poison)

    def replayed(self):
        return self.database.number(
            "SELECT COUNT(*) FROM holdfast_quarantine WHERE outcome = 'committed'")

    def test_a_drain_that_is_waited_for_says_whether_events_were_left(self):
        self.write([usage(1)])
        code, said = self.holdfast("drain", "--wait")
        self.assertEqual(code, 0, said)
        self.assertIn("drained: every event is in the database", said)
        self.assertEqual(self.daemon.process.wait(60), 0)

        self.daemon.settings["HOLDFAST_DRAIN_TIMEOUT"] = "1"
        self.daemon.start()
        self.database.stop()
        channel = open_channel(self.daemon)
        self.addCleanup(channel.close)
        stream = Stream(channel)
        self.addCleanup(stream.cancel)
        stream.wait_welcome()
        stream.send(1, [usage(number) for number in range(10, 20)])
        stream.wait_journaled(10)
        code, said = self.holdfast("drain", "--wait")
        self.assertEqual(code, 75, said)
        self.assertIn("10 events pending", said)
        self.assertEqual(self.daemon.process.wait(60), 75)

        # Without its database it says so, and not that there are no events.
        self.daemon.start(ready=False)
        code, said = self.holdfast("quarantine", "ls")
        self.assertEqual(code, 75, said)
        self.assertIn("cannot be read", said)

    def test_the_log_level_circuits_and_status_can_be_looked_at_and_changed(self):
        self.assertEqual(self.holdfast("loglevel"), (0, "info\n"))
        self.assertEqual(self.holdfast("loglevel", "error"), (0, "error (was info)\n"))
        self.assertEqual(self.holdfast("loglevel"), (0, "error\n"))
        self.assertTrue([line for line in self.daemon.log_lines("warning")
                         if "log level" in line])
        code, said = self.holdfast("circuits", "ls")
        self.assertEqual(code, 0, said)
        self.assertRegex(said, r"database +closed +0 of \d+ +ever")
        self.assertEqual(self.holdfast("circuits", "reset", "database")[0], 0)
        code, said = self.holdfast("circuits", "reset", "redis")
        self.assertEqual(code, 1, said)
        self.assertIn('there is "database"', said)
        code, said = self.holdfast("status", "--watch", "--every=100ms", "--times=5")
        self.assertEqual(code, 0, said)
        self.assertEqual(len(said.splitlines()), 1, said)
        self.assertTrue(re.match(r"\d\d:\d\d:\d\dZ  ready  streams 0  accepted 0", said), said)


if __name__ == "__main__":
    unittest.main()
